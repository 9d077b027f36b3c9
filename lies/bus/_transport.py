"""What differs between sockets of this machine and sockets on TCP: options, and who the peer is."""

import re
from typing import Protocol

import zmq

from lies.bus.rights import Who
from lies.keys import KeyPair

HANDSHAKE_MS = 5000  # a connection that has said no more than "connected" by then is closed
KEEPALIVE_IDLE_S = 30  # TCP asks a silent peer; the bus's own heartbeats are quicker unless a host dies
BACKLOG = 4096  # connections not yet accepted: where there is no room for more, TCP tries again after 1 s
CURVE_OVERHEAD = 33  # octets that CurveZMQ adds to a frame (ZeroMQ RFC 26): the limit is on what arrives
ZAP_DOMAIN = b"lies"
_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]@;]+):(?P<port>[0-9]{1,5})", re.ASCII)


class Transport(Protocol):
    """How a socket is set up before it binds or connects, and whom its messages are from."""

    context: "zmq.Context[zmq.Socket[bytes]]"
    overhead: int  # octets of a frame that are not the message's

    def prepare(self, socket: "zmq.Socket[bytes]") -> None:
        """Set the socket's options."""
        ...

    def identify(self, frame: zmq.Frame) -> Who:
        """Who sent a frame, as far as the transport vouches for it."""
        ...


class Local:
    """Within the machine: the kernel says which user has connected. context: None for the process's own."""

    overhead = 0

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]] | None" = None) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = context or zmq.Context.instance()

    def prepare(self, socket: "zmq.Socket[bytes]") -> None:
        """Leave who has connected and says nothing only so long."""
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)

    def identify(self, frame: zmq.Frame) -> Who:
        """The uid of the peer."""
        return peer_uid(_metadata(frame, "Peer-Address"))


class CurveServer:
    """The daemon's side of TCP: CURVE only; the peer is the public key that it proved to have.

    The context is one of its own, so that handshakes of strangers keep another thread busy than the one that
    serves this machine. Without a ZAP handler in it nobody is let in.
    """

    overhead = CURVE_OVERHEAD

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", key: KeyPair) -> None:
        self.context = context
        self._key = key

    def prepare(self, socket: "zmq.Socket[bytes]") -> None:
        """Demand CURVE and an answer of the ZAP handler."""
        _prepare_tcp(socket)
        socket.setsockopt(zmq.BACKLOG, BACKLOG)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._key.secret.encode("ascii"))
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def identify(self, frame: zmq.Frame) -> Who:
        """The peer's public key, which the ZAP handler gave back as its user id."""
        return _metadata(frame, "User-Id") or None


class CurveClient:
    """A peer's side of TCP: CURVE with the server's public key and a pair of its own."""

    overhead = CURVE_OVERHEAD

    def __init__(self, server_key: str, key: KeyPair) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._server_key = server_key
        self._key = key

    def prepare(self, socket: "zmq.Socket[bytes]") -> None:
        """Speak CURVE with this server and no other."""
        _prepare_tcp(socket)
        socket.setsockopt(zmq.CURVE_SERVERKEY, self._server_key.encode("ascii"))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self._key.public.encode("ascii"))
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._key.secret.encode("ascii"))

    def identify(self, frame: zmq.Frame) -> Who:
        """Nobody: what comes on this socket comes from the one server whose key is known."""
        del frame
        return None


def is_tcp_address(text: str) -> bool:
    """Whether a text is `tcp://HOST:PORT`, an IPv6 address in brackets."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and int(found["port"]) <= 65535


def peer_uid(address: str | None) -> int | None:
    """The uid in `localhost:UID:GID:PID`, which the kernel vouches for; None if there is none."""
    if address is None:
        return None
    parts = address.rsplit(":", 3)
    if len(parts) != 4 or parts[0] != "localhost" or not (parts[1].isascii() and parts[1].isdigit()):
        return None  # an IPv6 address that ends in :0:1:2 is not root
    return int(parts[1])


def _prepare_tcp(socket: "zmq.Socket[bytes]") -> None:
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.IPV6, 1)  # and IPv4
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_IDLE_S // 3)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)


def _metadata(frame: zmq.Frame, name: str) -> str | None:
    try:
        value = frame.get(name)
    except (zmq.ZMQError, KeyError):
        return None
    return value if isinstance(value, str) else None
