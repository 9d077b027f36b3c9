"""Ways to a daemon: the socket files of this machine, or TCP with CURVE."""

import socket
from pathlib import Path
from typing import Protocol, TypeAlias

import zmq
from attrs import frozen

from lies.bus._directory import PUBLISH, endpoint
from lies.bus._transport import CurveClient, Local, Transport, is_tcp_address
from lies.errors import ConfigError, LiesError, NoDaemon, NotPermitted
from lies.keys import KeyPair, is_public_key

HELLO_AGAIN_S = 0.5  # pause before an unanswered Hello is said again on this machine
_RETRIED = int(zmq.EVENT_CONNECT_RETRIED)
_BROKEN_OFF = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_WRONG_PROTOCOL = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_NOT_LET_IN = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)


@frozen
class TcpDaemon:
    """A daemon on another host.

    bus, publish: `tcp://HOST:PORT` of its endpoints, publish only for drivers; server_key: its public key
    (Z85); key: the pair that we show. ConfigError for an address or key that is none.
    """

    bus: str
    server_key: str
    key: KeyPair
    publish: str | None = None

    def __attrs_post_init__(self) -> None:
        for address in (self.bus, self.publish):
            if address is not None and not is_tcp_address(address):
                raise ConfigError(f"{address!r} is not of the form tcp://HOST:PORT")
        if not is_public_key(self.server_key):
            raise ConfigError("the server key is none: it has 40 characters, as `lies keys show` prints them")


Where: TypeAlias = Path | str | TcpDaemon
"""Where a daemon is: its runtime directory on this machine, or its addresses and key on TCP."""


class Route(Protocol):
    """The way to one endpoint.

    endpoint: for ZeroMQ; shown, daemon: endpoint and daemon in sentences; hello_again_s: pause before an
    unanswered Hello is said again; telling: events of zmq_socket_monitor(3) that `told` understands.
    """

    endpoint: str
    shown: str
    daemon: str
    transport: Transport
    hello_again_s: float
    telling: int

    def probe(self) -> None:
        """NoDaemon or NotPermitted if that can be known at once."""
        ...

    def told(self, event: int, value: int) -> LiesError | None:
        """Why a connection does not come about, None if it still may."""
        ...


class _LocalRoute:
    """Over a socket file of this machine."""

    hello_again_s = HELLO_AGAIN_S
    telling = 0

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / name
        self.endpoint = endpoint(directory, name)
        self.shown = str(self._path)
        self.daemon = str(directory)
        self.transport: Transport = Local()

    def probe(self) -> None:
        """Ask the kernel whether anybody listens, and whether we may open the file."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(1.0)
            try:
                attempt.connect(str(self._path))
            except PermissionError as error:
                raise NotPermitted(
                    f"the daemon's socket {self._path} may not be opened by this user"
                ) from error
            except BlockingIOError:
                return  # somebody listens, and more knock than he has let in yet
            except OSError as error:
                raise NoDaemon(f"no daemon answers at {self._path}") from error

    def told(self, event: int, value: int) -> LiesError | None:
        """Nothing: `probe` has said it."""
        del event, value
        return None


class _TcpRoute:
    """Over TCP; libzmq connects again by itself, so that a Hello only needs saying again if it was lost."""

    hello_again_s = 5.0  # connecting takes five round trips
    telling = _RETRIED | _BROKEN_OFF | _WRONG_PROTOCOL | _NOT_LET_IN

    def __init__(self, daemon: TcpDaemon, name: str) -> None:
        address = daemon.publish if name == PUBLISH else daemon.bus
        if address is None:
            raise ConfigError(f"the publish endpoint of the daemon at {daemon.bus} is not given")
        self.endpoint = self.shown = self.daemon = address
        self.transport: Transport = CurveClient(daemon.server_key, daemon.key)
        self._key = daemon.key

    def probe(self) -> None:
        """Nothing can be known before the handshake."""

    def told(self, event: int, value: int) -> LiesError | None:
        """The sentence for an event."""
        del value
        if event == _RETRIED:
            return NoDaemon(f"no daemon answers at {self.shown}")
        if event == _BROKEN_OFF:
            return NotPermitted(f"{self.shown} broke off the handshake: it has another key, or is full")
        if event == _WRONG_PROTOCOL:
            return NotPermitted(f"{self.shown} does not speak CURVE with the server key that is given")
        if event == _NOT_LET_IN:
            return NotPermitted(
                f"the daemon at {self.shown} does not list the key {self._key.name}; "
                f"its public key is {self._key.public}"
            )
        return None


def route(where: Where, name: str) -> Route:
    """The way to the endpoint `bus` or `publish`; ConfigError if there is none."""
    if isinstance(where, TcpDaemon):
        return _TcpRoute(where, name)
    if str(where).startswith("tcp:"):
        raise ConfigError(f"{where} needs CURVE keys: give a TcpDaemon, with a server key and your own pair")
    return _LocalRoute(Path(where), name)
