"""The daemon's endpoints on TCP: CURVE, the allow-list, and what can be wrong with an address."""

import asyncio
import errno
from collections.abc import Iterator
from typing import Protocol

import zmq
from attrs import frozen

from lies.bus._directory import BUS, PUBLISH
from lies.bus._transport import CurveServer
from lies.bus._zap import ZapHandler
from lies.bus.core import BusCore
from lies.errors import ConfigError, EndpointInUse, NotPermitted
from lies.keys import KeyPair

SCHEME = "tcp://"


@frozen
class TcpEndpoints:
    """Where the bus is reached from other hosts.

    key: the daemon's own pair; bus, publish: `tcp://ADDRESS:PORT`, None for no such endpoint; port 0 takes a
    free one.
    """

    key: KeyPair
    bus: str | None = None
    publish: str | None = None


class TcpGate:
    """The context of the TCP sockets with the ZAP handler that guards them.

    The handler is there before the first socket and goes after the last one.
    """

    def __init__(self, endpoints: TcpEndpoints, core: BusCore) -> None:
        self._endpoints = endpoints
        self._core = core
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._zap: ZapHandler | None = None

    def wanted(self) -> Iterator[tuple[str, str]]:
        """Name and address of each endpoint."""
        for name, address in ((BUS, self._endpoints.bus), (PUBLISH, self._endpoints.publish)):
            if address is not None:
                yield name, address

    def open(self) -> CurveServer:
        """Begin to answer; returns what the sockets are set up with."""
        self._context = zmq.Context()
        self._zap = ZapHandler(self._context, self._admits, self._unlisted)
        return CurveServer(self._context, self._endpoints.key)

    async def close(self) -> None:
        """End the context, once its sockets are closed and what they were given last is sent."""
        zap, self._zap = self._zap, None
        context, self._context = self._context, None
        if zap is not None:
            zap.close()
        if context is not None:
            await asyncio.to_thread(context.term)

    def _admits(self, key: str) -> bool:
        return self._core.rights.lists(key)

    def _unlisted(self) -> None:
        self._core.counters.unlisted_keys += 1


class Bindable(Protocol):
    """An endpoint that is not bound yet."""

    def bind(self, address: str) -> str:
        """Bind and say where; zmq.ZMQError if it cannot be had."""
        ...


def bind_tcp(one: Bindable, address: str) -> str:
    """Bind to a TCP address; returns it with the port that was taken.

    EndpointInUse, NotPermitted or ConfigError if it cannot be had.
    """
    try:
        bound = one.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise EndpointInUse(f"another program has {address}") from error
        kind = NotPermitted if error.errno == errno.EACCES else ConfigError
        raise kind(f"{address} cannot be opened: {error.strerror}") from error
    return f"{address.rpartition(':')[0]}:{bound.rpartition(':')[2]}"  # libzmq writes IPv4 as IPv6
