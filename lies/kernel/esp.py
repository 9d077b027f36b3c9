"""ESP for the Mobility Header between this host and its peers, done by the kernel (RFC 5568 section 10)."""

import asyncio
import errno
import hashlib
import hmac
import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from ipaddress import IPv6Address

from lies.errors import LiesError, MalformedMessage
from lies.kernel import xfrm
from lies.kernel.netlink import KernelError, Netlink

_log = logging.getLogger("lies.signalling")
_GONE = (errno.ENOENT, errno.ESRCH)
_NOT_THERE = frozenset({errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.ENOSYS})
_MOBILITY, _HOP_LIMIT = 135, 64
_FIRST_SPI = 256  # RFC 4303 section 2.1
_BURST = 64
_BARRED = "no policy of an IKE daemon says how, or a packet filter forbids it"


class EspUnavailable(LiesError):
    """This kernel has no ESP."""


class Protection:
    """Security associations and policies with some peers, from construction to close.

    peers: the secret that is shared with each, or None where an IKE daemon makes the associations, and the
    policies that go with them. Whatever of the Mobility Header these peers send without ESP is dropped by
    the kernel, and none goes to them without; where an IKE daemon has no policy, none goes to and fro at all.
    EspUnavailable where the kernel has no ESP; then nothing is left of it.
    """

    def __init__(self, address: IPv6Address, peers: Mapping[IPv6Address, bytes | None]) -> None:
        self._undo: list[bytes] = []
        with ExitStack() as stack:
            self._netlink = stack.enter_context(closing(Netlink(xfrm.NETLINK_XFRM)))
            stack.callback(self._remove)
            for peer, secret in peers.items():
                self._protect(address, peer, secret)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Remove them."""
        self._stack.close()

    def _protect(self, address: IPv6Address, peer: IPv6Address, secret: bytes | None) -> None:
        for source, destination, incoming in ((address, peer, False), (peer, address, True)):
            spi, key = association(secret or os.urandom(xfrm.INTEGRITY_KEY), source, destination)
            removal = xfrm.delete_state(source, destination, spi)
            self._netlink.execute([removal], ignore=_GONE)  # of one of us that was killed
            self._undo.append(removal)
            reqid = int.from_bytes(hashlib.sha256(source.packed + destination.packed).digest()[:2]) | 1
            self._add(xfrm.new_state(source, destination, spi, key, reqid))
            if secret is not None:
                self._undo.append(xfrm.delete_policy(source, destination, incoming=incoming))
                self._add(xfrm.policy(source, destination, reqid, incoming=incoming))
                continue
            self._netlink.execute([removal])  # it only showed that this kernel can
            self._undo.append(xfrm.delete_barrier(source, destination, incoming=incoming))
            self._add(xfrm.barrier(source, destination, incoming=incoming))

    def _add(self, message: bytes) -> None:
        try:
            self._netlink.execute([message])
        except KernelError as error:
            if error.errno in _NOT_THERE:
                raise EspUnavailable(f"this kernel has no ESP (CONFIG_INET6_ESP): {error}") from error
            raise

    def _remove(self) -> None:
        self._netlink.execute(self._undo, ignore=_GONE)


def association(secret: bytes, source: IPv6Address, destination: IPv6Address) -> tuple[int, bytes]:
    """SPI and integrity key of one direction, worked out of a shared secret, so that both ends agree."""
    ends = source.packed + destination.packed
    spi = int.from_bytes(hmac.digest(secret, b"lies esp spi" + ends, "sha256")[:4])
    key = hmac.digest(secret, b"lies esp integrity" + ends, "sha256")
    return _FIRST_SPI + spi % ((1 << 32) - _FIRST_SPI), key[: xfrm.INTEGRITY_KEY]


class MobilitySocket:
    """The Mobility Header to and from peers through the kernel's IPsec, which a packet socket goes past.

    handler(packet) is called on the loop for what comes from one of `peers`, with an IPv6 header before it; a
    MalformedMessage that it raises is logged and dropped. only_esp: what did not come in ESP is dropped,
    whatever the policies of the host say.
    """

    def __init__(
        self,
        address: IPv6Address,
        peers: frozenset[IPv6Address],
        handler: Callable[[bytes], None],
        *,
        only_esp: bool = True,
    ) -> None:
        self._address = address
        self._peers = peers
        self._handler = handler
        self._loop: asyncio.AbstractEventLoop | None = None
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_INET6, kind, _MOBILITY)
        try:
            if only_esp:
                value = xfrm.only_out_of_esp(address)
                self._socket.setsockopt(socket.IPPROTO_IPV6, xfrm.IPV6_XFRM_POLICY, value)
            self._socket.bind((str(address), 0))
        except OSError:
            self._socket.close()
            raise

    def start(self) -> None:
        """Begin to receive on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def send(self, packet: bytes, destination: IPv6Address) -> bool:
        """Send what is in an IPv6 packet; a failure is logged, like a packet lost on the way.

        False if nothing is to leave for that destination now, where another attempt would be in vain.
        """
        try:
            self._socket.sendto(packet[40:], (str(destination), 0))
        except OSError as error:  # what waits for a security association is dropped without an error
            barred = error.errno == errno.EPERM
            _log.warning("not sent to %s: %s", destination, _BARRED if barred else error.strerror)
            return not barred
        return True

    def close(self) -> None:
        """Stop."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None
        self._socket.close()

    def _on_readable(self) -> None:
        for _ in range(_BURST):
            try:
                header, peer = self._socket.recvfrom(65536)
            except OSError:  # nothing more; or an error that an earlier packet brought
                return
            source = IPv6Address(peer[0].partition("%")[0])
            if source not in self._peers:
                continue
            head = struct.pack("!IHBB", 6 << 28, len(header), _MOBILITY, _HOP_LIMIT)
            try:
                self._handler(head + source.packed + self._address.packed + header)
            except MalformedMessage as error:
                _log.warning("dropped, from %s: %s", source, error)
