"""The mobile node's port in the testbed's radio: in one access point's bridge, or in none.

Attached means that a frame sent by the mobile node's interface has arrived at the access point's bridge, and
one from there at the interface; only then does `move` return. The frames are of the local experimental
EtherType (IEEE 802, 88B5).
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress

from attrs import define

from lies.attachment import Moved, PortConfig
from lies.errors import LinkError, LinkErrorReason
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.runtime import monotonic_ns

_ETH_P_EXPERIMENTAL = 0x88B5
_PROBE_EVERY_S = 0.001
_EAGER_NS = 3_000_000  # how long the loop is kept busy for the frames of a port that went in
_BROADCAST = b"\xff" * 6
_TOKEN_OCTETS = 8
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_PROBE = struct.Struct("!8sq30x")  # token, when it was sent; 46 octets as Ethernet wants them


class BridgePort:
    """Moves one bridge port between bridges of the radio namespace; all times are CLOCK_MONOTONIC.

    limit_s: how long frames may take to pass after the port went in. Raises OSError where the namespace,
    the port or a bridge is not there.
    """

    def __init__(self, port: PortConfig, l2_gap_ms: float, *, limit_s: float = 5.0) -> None:
        self._config = port
        self._gap_ns = round(l2_gap_ms * 1e6)
        self._limit_s = limit_s
        self._out_ns: int | None = None
        self._attached = False
        with ExitStack() as undo:
            with entered(port.radio_netns):
                self._radio = Netlink()
                undo.callback(self._radio.close)
                index = index_of(port.port)
                bridges = {poa: index_of(name) for poa, name in port.bridges.items()}
                self._air = undo.enter_context(_packet_socket())
            self._node = undo.enter_context(_packet_socket())
            self._leave = m.set_link(index, up=False, master=0)
            self._enter = {
                poa: [m.set_link(index, master=bridge), m.set_link(index, up=True)]
                for poa, bridge in bridges.items()
            }
            self._radio.execute([self._leave])
            self._close = undo.pop_all().close

    async def move(self, poa: str, on_out: Callable[[int], None]) -> Moved:
        """Leave where it is, stay out for the L2 gap or longer, enter `poa`, return when frames pass.

        Raises LinkError for a PoA without a bridge; OSError when the kernel refuses or no frame passes
        within limit_s, and the port is out then.
        """
        bridge = self._config.bridges.get(poa)
        if bridge is None:
            raise LinkError(LinkErrorReason.UNKNOWN_POA, f"no bridge for the point of attachment {poa}")
        was_attached = self._attached
        out_ns = None
        if was_attached:
            out_ns = await self.detach()
            on_out(out_ns)
        if self._out_ns is not None:
            await asyncio.sleep(max(0, self._out_ns + self._gap_ns - monotonic_ns()) / 1e9)
        try:
            self._radio.execute(self._enter[poa])
            in_ns = await self._until_frames_pass(bridge)
        except BaseException:
            await self.detach()
            raise
        self._attached = True
        return Moved(out_ns, in_ns, monotonic_ns())

    async def detach(self) -> int:
        """Out of every bridge, without carrier: port_out_ns."""
        # No frame passes once the kernel has begun; the call returns when all of it has noticed (RCU).
        out_ns = monotonic_ns()
        self._radio.execute([self._leave])
        self._attached = False
        self._out_ns = out_ns
        return out_ns

    async def close(self) -> None:
        """Detach and close the sockets."""
        try:
            await self.detach()
        finally:
            self._close()

    async def _until_frames_pass(self, bridge: str) -> int:
        """Probe until a frame has arrived each way: when the later of these two was sent.

        That is when the link was there. The kernel lets a port's frames pass up to some ms after the call
        that put it in has returned (a worker of the kernel's notices what has carrier), and not both ways at
        once. Probed without a pause at first: asyncio cannot wait for less than 1 ms.
        """
        token = os.urandom(_TOKEN_OCTETS)
        node = self._config.interface
        ways = [_Way(self._node, node, self._air, bridge), _Way(self._air, bridge, self._node, node)]
        began_ns = now_ns = monotonic_ns()
        while now_ns - began_ns < self._limit_s * 1e9:
            passed = [way.probe(token) for way in ways]  # both, each time
            if all(passed):
                return max(way.passed_ns for way in ways)
            await asyncio.sleep(0 if now_ns - began_ns < _EAGER_NS else _PROBE_EVERY_S)
            now_ns = monotonic_ns()
        raise OSError(f"no frame passed from {node} and back within {self._limit_s:g} s")


@define
class _Way:
    """One direction between a node and a bridge; passed_ns: when a frame was sent that came."""

    sender: socket.socket
    sends_by: str
    receiver: socket.socket
    comes_by: str
    passed_ns: int = 0

    def probe(self, token: bytes) -> bool:
        """Send a frame, unless one has come; whether one has."""
        if not self.passed_ns:
            with suppress(OSError):  # ENETDOWN, ENOBUFS: no carrier yet; the next one may pass
                target = (self.sends_by, _ETH_P_EXPERIMENTAL, 0, 0, _BROADCAST)
                self.sender.sendto(_PROBE.pack(token, monotonic_ns()), target)
            self._look(token)
        return self.passed_ns > 0

    def _look(self, token: bytes) -> None:
        while True:
            try:
                data, address = self.receiver.recvfrom(64)
            except BlockingIOError:
                return
            if len(data) >= _PROBE.size and data[:_TOKEN_OCTETS] == token and address[0] == self.comes_by:
                self.passed_ns = _PROBE.unpack_from(data)[1]
                return


def _packet_socket() -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_EXPERIMENTAL))
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    return opened
