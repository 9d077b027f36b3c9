"""What stands for the kernel's nl80211 in tests: the far ends of the driver's sockets, on the same loop."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable

from wifi_kit import INDEX, NAME, bss_body, interface_body, station_body, survey_body

from lies_nl80211 import uapi
from lies_nl80211.attributes import Frame, attribute, frames, generic, generic_body, message, u32
from lies_nl80211.uapi import Attr, Cmd

FAMILY = 0x1C
_GROUPS = {name: number for number, name in enumerate((*uapi.GROUPS, "vendor"), 0x20)}
_DUMPS = {Cmd.GET_INTERFACE, Cmd.GET_STATION, Cmd.GET_SCAN, Cmd.GET_SURVEY}


class OverrunSocket(socket.socket):
    """A socket whose next read says that messages were lost, when `overrun` is set."""

    overrun = False

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read, or say that the buffer was full."""
        if self.overrun:
            self.overrun = False
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return super().recv(size, flags)


class SimKernel:
    """A Door of the driver's. What dumps tell is in the lists; `requests` has every command in order.

    refuse: command -> errno; silent: commands that are never answered.
    """

    def __init__(self) -> None:
        self.interfaces = [interface_body()]
        self.stations: list[bytes] = []
        self.scan: list[bytes] = []
        self.survey = [survey_body(-92)]
        self.links = [link_body()]
        self.requests: list[int] = []
        self.bodies: list[tuple[int, dict[int, bytes]]] = []
        self.refuse: dict[int, int] = {}
        self.silent: set[int] = set()
        self.refuse_links: list[int] = []  # errnos of the next questions for the interfaces of route netlink
        self.missing = 0  # errno of the question for the family
        self.joined: set[int] = set()
        self.opened = 0
        self._ends: list[socket.socket] = []
        self._near: list[OverrunSocket] = []
        self._events: socket.socket | None = None
        self._events_near: OverrunSocket | None = None
        self._route: socket.socket | None = None
        self._route_near: OverrunSocket | None = None
        self._pipe: tuple[int, int] | None = None

    # ---- lies_nl80211.door.Door

    def generic(self) -> socket.socket:
        """A generic netlink socket."""
        near, far = self._pair()
        self._events, self._events_near = far, near  # the last that is opened listens
        return near

    def route(self) -> socket.socket:
        """A route netlink socket."""
        near, self._route = self._pair()
        self._route_near = near
        return near

    def join(self, events: socket.socket, group: int) -> None:
        """Note a membership."""
        assert events is self._events_near
        self.joined.add(group)

    def switches(self) -> int | None:
        """A pipe for radio switches."""
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return self._pipe[0]

    def wiphy_of(self, switch: int) -> int | None:
        """Switch n is of radio n."""
        return switch

    # ---- for tests

    def tell(self, *bodies: bytes) -> None:
        """Events."""
        assert self._events is not None
        for body in bodies:
            self._events.send(message(FAMILY, 0, body))

    def tell_octets(self, data: bytes) -> None:
        """A datagram of any octets where events are expected."""
        assert self._events is not None
        self._events.send(data)

    def tell_link(self, body: bytes, kind: int = uapi.RTM_NEWLINK) -> None:
        """A message of route netlink."""
        assert self._route is not None
        self._route.send(message(kind, 0, body))

    def tell_switch(self, data: bytes) -> None:
        """An event of a radio switch."""
        assert self._pipe is not None
        os.write(self._pipe[1], data)

    def overrun(self) -> None:
        """Have the listener told that messages were lost."""
        assert self._events_near is not None
        self._events_near.overrun = True
        self.tell(generic_body(0))

    def overrun_route(self) -> None:
        """The same for route netlink."""
        assert self._route_near is not None
        self._route_near.overrun = True
        self.tell_link(b"")

    def close(self) -> None:
        """Close the far ends."""
        loop = asyncio.get_running_loop()
        for end in self._ends:
            loop.remove_reader(end.fileno())
            end.close()
        if self._pipe is not None:
            os.close(self._pipe[1])

    @property
    def all_closed(self) -> bool:
        """Whether the driver has closed all that it opened."""
        return all(near.fileno() == -1 for near in self._near)

    # ---- inside

    def _pair(self) -> tuple[OverrunSocket, socket.socket]:
        here, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near = OverrunSocket(fileno=here.detach())
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        asyncio.get_running_loop().add_reader(far.fileno(), self._asked, far)
        self._ends.append(far)
        self._near.append(near)
        return near, far

    def _asked(self, far: socket.socket) -> None:
        try:
            data = far.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(far.fileno())
            return
        for frame in frames(data):
            self._answer(far, frame)

    def _answer(self, far: socket.socket, frame: Frame) -> None:
        if frame.kind == uapi.RTM_GETLINK:
            if self.refuse_links:
                self._end(far, frame, self.refuse_links.pop(0))
            else:
                self._give(far, frame, uapi.RTM_NEWLINK, self.links)
            return
        parsed = generic(frame.body)
        assert parsed is not None
        command, found = parsed
        if frame.kind == uapi.GENL_ID_CTRL:
            if self.missing:
                self._end(far, frame, self.missing)
                return
            far.send(message(uapi.GENL_ID_CTRL, 0, _family(), sequence=frame.sequence))
            self._end(far, frame, 0)
            return
        self.requests.append(command)
        self.bodies.append((command, found))
        if command in self.silent:
            return
        if command in self.refuse or command not in _DUMPS:
            self._end(far, frame, self.refuse.get(command, 0))
            return
        dumps: dict[int, Callable[[], list[bytes]]] = {
            Cmd.GET_INTERFACE: lambda: self.interfaces,
            Cmd.GET_STATION: lambda: self.stations,
            Cmd.GET_SCAN: lambda: self.scan,
            Cmd.GET_SURVEY: lambda: self.survey,
        }
        self._give(far, frame, FAMILY, dumps[command]())

    def _give(self, far: socket.socket, frame: Frame, kind: int, bodies: list[bytes]) -> None:
        """A dump: as many messages in a datagram as fit in 16 KiB, then its end."""
        batch = b""
        for body in bodies:
            batch += message(kind, 2, body + bytes(-len(body) % 4), sequence=frame.sequence)
            if len(batch) > 1 << 14:
                far.send(batch)
                batch = b""
        far.send(batch + message(uapi.NLMSG_DONE, 2, bytes(4), sequence=frame.sequence))

    def _end(self, far: socket.socket, frame: Frame, number: int) -> None:
        body = struct.pack("=i", -number) + struct.pack("=IHHII", 16, frame.kind, 0, frame.sequence, 0)
        far.send(message(uapi.NLMSG_ERROR, 0, body, sequence=frame.sequence))


def link_body(
    name: str = NAME, *, index: int = INDEX, up: bool = True, operstate: int = 6, linkmode: int = 0
) -> bytes:
    """RTM_NEWLINK."""
    return (
        struct.pack("=BxHiII", 0, 1, index, int(up), 0)
        + attribute(uapi.IFLA_IFNAME, name.encode() + b"\0")
        + attribute(uapi.IFLA_OPERSTATE, bytes((operstate,)))
        + attribute(uapi.IFLA_LINKMODE, bytes((linkmode,)))
    )


def _family() -> bytes:
    groups = b"".join(
        attribute(n, attribute(1, name.encode() + b"\0") + u32(2, number))
        for n, (name, number) in enumerate(_GROUPS.items(), 1)
    )
    return generic_body(
        1,
        attribute(uapi.CTRL_ATTR_FAMILY_NAME, b"nl80211\0"),
        attribute(uapi.CTRL_ATTR_FAMILY_ID, struct.pack("=H", FAMILY)),
        attribute(uapi.CTRL_ATTR_MCAST_GROUPS, groups),
    )


def a_good_link(kernel: SimKernel, bssid: str, *, others: int = 0) -> None:
    """A station that is associated, and access points beside it."""
    kernel.stations = [station_body(bssid)]
    kernel.scan = [bss_body(bssid, associated=True)] + [
        bss_body(f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}", rssi_dbm=-65.0) for n in range(others)
    ]


__all__ = ["FAMILY", "Attr", "SimKernel", "a_good_link", "link_body"]
