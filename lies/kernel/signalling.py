"""Mobility signalling of one node: packets in from its interfaces, packets out, and a silent kernel.

The kernel's own answers to headers that it does not know (RFC 4443 section 3.4) are kept back by rules that
drop what the node itself takes from its packet sockets.
"""

import asyncio
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address

from lies.errors import MalformedMessage
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.packet_filter import EVERYTHING, Wanted
from lies.kernel.packets import ETH_P_IPV6, PacketSender, SignallingReceiver
from lies.kernel.precedence import PREFERENCE_FIRST, claim, release

_log = logging.getLogger("lies.signalling")
_TAKEN = (43, 60, 135)  # routing header, destination options, Mobility Header

Handler = Callable[[bytes, bytes, str], None]


class Signalling:
    """Signalling sockets of a node in the network namespace where it is made.

    handler(packet, link-layer source, interface) is called on the loop for every whole IPv6 packet that
    may be signalling; a MalformedMessage that it raises is counted, logged once per cause, and dropped.
    addresses: own addresses whose packets the kernel shall not answer; None: whatever comes in by the
    interfaces (a host, not a router). owner: of those rules; made after the owner's Decapsulator, closed
    before it. wanted: what the handler is called for.
    """

    def __init__(
        self,
        netlink: Netlink,
        interfaces: Sequence[str],
        handler: Handler,
        *,
        addresses: Iterable[IPv6Address] | None,
        owner: int = m.OWNER_LIES,
        wanted: Wanted = EVERYTHING,
    ) -> None:
        self._netlink = netlink
        self._owner = owner
        self._claimed = False
        self._handler = handler
        self.dropped: Counter[str] = Counter()
        self._receivers: dict[str, SignallingReceiver] = {}
        self._senders: dict[str | None, PacketSender] = {}
        self._frames: socket.socket | None = None
        self._rules: list[tuple[IPv6Address | None, str | None]] = (
            [(None, i) for i in interfaces] if addresses is None else [(a, None) for a in addresses]
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            for name in interfaces:
                self._receivers[name] = SignallingReceiver(name, wanted)
                self._senders[name] = PacketSender(name)
            self._senders[None] = PacketSender()
            self._frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
            self._claimed = claim(netlink, owner)
            self._netlink.execute(self._silence(add=True), ignore=(errno.EEXIST,))
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Begin to receive on the running loop."""
        self._loop = asyncio.get_running_loop()
        for name, receiver in self._receivers.items():
            self._loop.add_reader(receiver.fileno(), self._on_readable, name, receiver)

    def send(
        self,
        packet: bytes,
        destination: IPv6Address,
        *,
        interface: str | None = None,
        link_layer: bytes | None = None,
        awaited: bool = False,
    ) -> None:
        """Send a whole IPv6 packet: by the routes, by an interface, or to a link-layer address on it.

        What the kernel cannot send is counted and logged, like a packet lost on the way. awaited: somebody
        waits for it: what it wakes on this processor runs before the rest of what we have to do.
        """
        try:
            if link_layer is not None and interface is not None and self._frames is not None:
                self._frames.sendto(packet, (interface, ETH_P_IPV6, 0, 0, link_layer))
            else:
                self._senders[interface].send(packet, destination)
        except (OSError, ValueError) as error:  # ValueError: a link-layer address that is too long
            self._drop(f"not sent: {getattr(error, 'strerror', None) or error}")
        if awaited:
            os.sched_yield()

    def close(self) -> None:
        """Stop, and let the kernel answer for itself again."""
        for receiver in self._receivers.values():
            if self._loop is not None:
                self._loop.remove_reader(receiver.fileno())
            receiver.close()
        for sender in self._senders.values():
            sender.close()
        if self._frames is not None:
            self._frames.close()
        self._receivers, self._senders, self._frames = {}, {}, None
        self._netlink.execute(self._silence(add=False), ignore=m.GONE)
        if self._claimed:
            release(self._netlink, self._owner)
            self._claimed = False

    def _silence(self, *, add: bool) -> list[bytes]:
        return [
            m.rule(
                PREFERENCE_FIRST,
                table=None,
                destination=address,
                iif=interface,
                ip_protocol=protocol,
                owner=self._owner,
                add=add,
            )
            for address, interface in self._rules
            for protocol in _TAKEN
        ]

    def _on_readable(self, name: str, receiver: SignallingReceiver) -> None:
        for packet, lla in receiver.receive():
            try:
                self._handler(packet, lla, name)
            except MalformedMessage as error:
                self._drop(str(error))

    def _drop(self, cause: str) -> None:
        self.dropped[cause] += 1
        if self.dropped[cause] == 1:
            _log.warning("dropped: %s (said once per cause)", cause)
        if len(self.dropped) > 1000:  # a sender that varies its faults must not fill memory
            self.dropped = Counter({"other causes": self.dropped.total()})
