"""The mobile node's port in the testbed's radio: in one access point's bridge, or in none.

Attached means that a frame sent by the mobile node's interface has arrived at the access point's bridge;
only then does `move` return. The frames are of the local experimental EtherType (IEEE 802, 88B5).
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable

from lies.attachment import Moved, PortConfig
from lies.errors import LinkError, LinkErrorReason
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies.runtime import monotonic_ns

_ETH_P_EXPERIMENTAL = 0x88B5
_PROBE_EVERY_S = 0.001
_PROBE_LIMIT_S = 5.0
_BROADCAST = b"\xff" * 6
_TOKEN_OCTETS = 8


class BridgePort:
    """Moves one bridge port between bridges of the radio namespace; all times are CLOCK_MONOTONIC.

    Raises OSError where the namespace or the port is not there.
    """

    def __init__(self, port: PortConfig, l2_gap_ms: float) -> None:
        self._config = port
        self._gap_ns = round(l2_gap_ms * 1e6)
        self._out_ns: int | None = None
        self._attached = False
        with entered(port.radio_netns):
            self._radio = Netlink()
            self._port = socket.if_nametoindex(port.port)
            indexes = {poa: socket.if_nametoindex(name) for poa, name in port.bridges.items()}
            self._air = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.htons(_ETH_P_EXPERIMENTAL)
            )
        self._air.setblocking(False)
        self._node = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        self._node.setblocking(False)
        self._leave = m.set_link(self._port, up=False, master=0)
        self._enter = {
            poa: [m.set_link(self._port, master=bridge), m.set_link(self._port, up=True)]
            for poa, bridge in indexes.items()
        }
        self._radio.execute([self._leave])

    async def move(self, poa: str, on_out: Callable[[int], None]) -> Moved:
        """Leave where it is, stay out for the L2 gap or longer, enter `poa`, return when frames pass.

        Raises LinkError for a PoA without a bridge, OSError when no frame passes within 5 s.
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
        self._radio.execute(self._enter[poa])
        in_ns = monotonic_ns()
        self._attached = True
        await self._until_frames_pass(bridge)
        return Moved(out_ns, in_ns, monotonic_ns())

    async def detach(self) -> int:
        """Out of every bridge, without carrier: port_out_ns."""
        self._radio.execute([self._leave])
        self._attached = False
        self._out_ns = monotonic_ns()
        return self._out_ns

    async def close(self) -> None:
        """Detach and close the sockets."""
        try:
            await self.detach()
        finally:
            self._radio.close()
            self._air.close()
            self._node.close()

    async def _until_frames_pass(self, bridge: str) -> None:
        token = os.urandom(_TOKEN_OCTETS)
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def on_frame() -> None:
            while True:
                try:
                    data, address = self._air.recvfrom(64)
                except BlockingIOError:
                    return
                if data[:_TOKEN_OCTETS] == token and address[0] == bridge:
                    arrived.set()

        loop.add_reader(self._air.fileno(), on_frame)
        try:
            for _ in range(int(_PROBE_LIMIT_S / _PROBE_EVERY_S)):
                self._probe(token)
                on_frame()
                if arrived.is_set():
                    return
                try:
                    await asyncio.wait_for(arrived.wait(), _PROBE_EVERY_S)
                except TimeoutError:
                    continue
                return
        finally:
            loop.remove_reader(self._air.fileno())
        raise OSError(f"no frame passed from {self._config.interface} within {_PROBE_LIMIT_S:g} s")

    def _probe(self, token: bytes) -> None:
        target = (self._config.interface, _ETH_P_EXPERIMENTAL, 0, 0, _BROADCAST)
        try:
            self._node.sendto(struct.pack("!8s38x", token), target)
        except OSError:  # ENETDOWN, ENOBUFS: no carrier yet; the next probe is 1 ms away
            return
