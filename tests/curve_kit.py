"""A daemon on TCP with keys for a test, and peers that hold the right or the wrong ones."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bus_rig
import zmq
from bus_rig import Daemon, Dealer

from lies.bus import ALL_RIGHTS, ListedKey, Right, Rights, TcpDaemon, TcpEndpoints
from lies.keys import KeyPair, new_key

LOOPBACK = "tcp://127.0.0.1:0"


class Ring:
    """The keys of a test: `server`, and those that are made as they are asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = new_key(directory, "server")
        self._made: dict[str, KeyPair] = {"server": self.server}

    def key(self, name: str) -> KeyPair:
        """The pair of a name."""
        if name not in self._made:
            self._made[name] = new_key(self.directory, name)
        return self._made[name]

    def rights(self, **listed: Collection[Right]) -> Rights:
        """Rights that list keys by name."""
        return Rights(keys={self.key(n).public: ListedKey(n, frozenset(r)) for n, r in listed.items()})


class TcpRig:
    """A running daemon with its keys."""

    def __init__(self, running: Daemon, ring: Ring) -> None:
        self.ring = ring
        self.core = running.core
        self.server = running.server
        self.driver = running.driver
        self.directory = running.directory

    def where(self, name: str, *, server_key: str | None = None) -> TcpDaemon:
        """The daemon for the holder of a key."""
        addresses = self.server.addresses
        return TcpDaemon(
            addresses["bus"],
            server_key or self.ring.server.public,
            self.ring.key(name),
            publish=addresses.get("publish"),
        )

    def dealer(self, name: str | None, endpoint: str = "bus", **options: Any) -> "TcpDealer":
        """A bare DEALER with a key, or without CURVE."""
        curve: dict[str, Any] = {}
        if name is not None:
            pair = self.ring.key(name)
            curve = {
                "CURVE_SERVERKEY": self.ring.server.public.encode(),
                "CURVE_PUBLICKEY": pair.public.encode(),
                "CURVE_SECRETKEY": pair.secret.encode(),
            }
        return TcpDealer(self.server.addresses[endpoint], {**curve, **options})


class TcpDealer(Dealer):
    """bus_rig.Dealer on a TCP address."""

    def __init__(self, address: str, options: dict[str, Any]) -> None:
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        for option, value in options.items():
            self.socket.setsockopt(getattr(zmq, option), value)
        self.socket.connect(address)


@asynccontextmanager
async def tcp_daemon(
    directory: Path,
    *,
    bus: str = LOOPBACK,
    publish: str | None = LOOPBACK,
    ring: Ring | None = None,
    **more: Any,
) -> AsyncIterator[TcpRig]:
    """bus_rig.daemon on TCP as well; keywords that are no option of the server list a key with its rights.

    Without any, `friend` has all rights.
    """
    ring = ring or Ring(directory / "keys")
    listed = {name: more.pop(name) for name in tuple(more) if isinstance(more[name], set | frozenset)}
    rights = ring.rights(**(listed or {"friend": ALL_RIGHTS}))
    tcp = TcpEndpoints(ring.server, bus, publish)
    async with bus_rig.daemon(directory / "run", rights=rights, tcp=tcp, **more) as running:
        yield TcpRig(running, ring)
