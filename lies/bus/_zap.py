"""The ZAP handler of the TCP sockets (ZeroMQ RFC 27): who proved to have a listed CURVE key is let in."""

import logging
from collections.abc import Callable

import zmq
from zmq.utils import z85

from lies.bus._socket import BusSocket
from lies.bus._transport import ZAP_DOMAIN, Local
from lies.bus.rights import Who

ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_REQUEST_FRAMES = 8  # delimiter, version, request id, domain, address, routing id, mechanism, credentials
_KEY = 32  # octets
_KEYS_LOGGED = 100

_log = logging.getLogger("lies.bus")


class ZapHandler:
    """Answers libzmq's question for each CURVE handshake, on the loop and without waiting.

    admits: whether a public key (Z85) is on the allow-list; unlisted: called for each that is not. A key that
    is not listed is logged once, so that the administrator can list it; it is public.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        admits: Callable[[str], bool],
        unlisted: Callable[[], None],
    ) -> None:
        self._admits = admits
        self._unlisted = unlisted
        self._logged: set[str] = set()
        self._socket = BusSocket(zmq.ROUTER, self._receive, send_limit=0, transport=Local(context))
        self._socket.bind(ENDPOINT)

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close(flush=False)

    def _receive(self, routing_id: bytes, frames: list[bytes], who: Who) -> None:
        del who
        if len(frames) < _REQUEST_FRAMES or frames[1] != _VERSION:
            return  # nobody but libzmq speaks on this socket, and it speaks 1.0
        _, _, request_id, domain, address, _, mechanism, credentials = frames[:_REQUEST_FRAMES]
        key = _z85(credentials) if mechanism == b"CURVE" and len(credentials) == _KEY else ""
        listed = domain == ZAP_DOMAIN and bool(key) and self._admits(key)
        code, text = (b"200", b"listed") if listed else (b"400", b"not listed")
        user = key.encode("ascii") if listed else b""
        self._socket.send([routing_id, b"", _VERSION, request_id, code, text, user, b""])
        if not listed:
            self._unlisted()
            self._log(key, address)

    def _log(self, key: str, address: bytes) -> None:
        if key in self._logged or len(self._logged) >= _KEYS_LOGGED:
            return
        self._logged.add(key)
        where = address.decode("ascii", "replace").removeprefix("::ffff:")
        _log.warning(
            "a peer at %s was not let in: its key %s is not listed (said once for each key)", where, key
        )


def _z85(octets: bytes) -> str:
    """Z85 of a key (ZeroMQ RFC 32)."""
    return z85.encode(octets).decode("ascii")
