"""Route netlink messages made by pyroute2, and a driver that follows a namespace."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from radio_host import RecordingHost, RecordingPort

from lies.events import Indication, Link, LinkDown, LinkUp
from lies_rtnetlink import Rtnetlink
from lies_rtnetlink.config import RtnetlinkConfig

UP, RUNNING, LOWER_UP, DORMANT = 0x1, 0x40, 0x10000, 0x20000
NEWLINK, DELLINK, DONE, ERROR = 16, 17, 3, 2
AF_BRIDGE = 7
PATIENCE_S = 30.0
_HEADER = struct.Struct("=IHHII")
BRIDGE = bytes.fromhex("8000020000000001")
BRIDGE_POA = "8000.02:00:00:00:00:01"

Story = list[tuple[str, ...]]


def octets(message: Any, kind: int, *, flags: int = 0, sequence: int = 0) -> bytes:
    """A finished message."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message.encode()
    return bytes(message.data)


def newlink(
    index: int = 7,
    name: str = "eth0",
    *,
    up: bool = True,
    carrier: bool = True,
    oper: str | None = "UP",
    kind: int = 1,
    counts: tuple[int, int] | None = None,
    port: int | None = None,
    master: int = 0,
    loopback: bool = False,
) -> bytes:
    """RTM_NEWLINK as the kernel sends it; counts: carriers that came and went; port: state in a bridge."""
    running = up and carrier and oper in {"UP", "UNKNOWN", None}
    m = ifinfmsg()
    m["index"], m["ifi_type"] = index, kind
    m["flags"] = UP * up | LOWER_UP * carrier | RUNNING * running | 0x8 * loopback
    attrs: list[tuple[str, Any]] = [("IFLA_IFNAME", name), ("IFLA_MTU", 1500), ("IFLA_TXQLEN", 1000)]
    if oper is not None:
        attrs.append(("IFLA_OPERSTATE", oper))
    if master:
        attrs.append(("IFLA_MASTER", master))
    if port is not None:
        bridge = {"addr": "02:00:00:00:00:01", "prio": socket.htons(0x8000)}  # pyroute2 keeps the octets
        data = {"attrs": [("IFLA_BRPORT_STATE", port), ("IFLA_BRPORT_BRIDGE_ID", bridge)]}
        info = [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", data)]
        attrs.append(("IFLA_LINKINFO", {"attrs": info}))
    if counts is not None:
        attrs += [("IFLA_CARRIER_UP_COUNT", counts[0]), ("IFLA_CARRIER_DOWN_COUNT", counts[1])]
    m["attrs"] = attrs
    return octets(m, NEWLINK)


def dellink(index: int = 7, name: str = "eth0", *, family: int = 0) -> bytes:
    """RTM_DELLINK; family 7: the interface has only left its bridge."""
    m = ifinfmsg()
    m["family"], m["index"] = family, index
    m["attrs"] = [("IFLA_IFNAME", name)]
    return octets(m, DELLINK)


def attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes, *, flags: int = 0, sequence: int = 0) -> bytes:
    """A netlink message."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def bridges_word(state: int, *, flags: int = UP | LOWER_UP | RUNNING) -> bytes:
    """AF_BRIDGE RTM_NEWLINK: what a bridge says of its port eth0."""
    body = struct.pack("=BxHiII", AF_BRIDGE, 1, 7, flags, 0)
    port = attribute(1, bytes([state])) + attribute(14, BRIDGE)
    body += attribute(3, b"eth0\0") + attribute(16, b"\6") + attribute(10, struct.pack("=I", 9))
    return message(16, body + attribute(12 | 0x8000, port))


class LinksHost(RecordingHost):
    """A driver host on which links come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Link] = []

    def add_link(self, link: Link, *, controllable: bool) -> RecordingPort:
        """Make a port; the name may have been another interface's."""
        if link.name in self.ports and self.ports[link.name].removed:
            del self.ports[link.name]
        self.added.append(link)
        return super().add_link(link, controllable=controllable)

    @property
    def served(self) -> set[str]:
        """The links there are."""
        return {name for name, port in self.ports.items() if not port.removed}

    def story(self, link: str | None = None) -> Story:
        """What was indicated of one link, or of all with their names."""
        return [_line(i, link) for i in self.indications if _tells(i, link)]

    async def wait(self, holds: Callable[[], bool]) -> None:
        """Return as soon as it holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - the kernel sets no Event
                await asyncio.sleep(0.005)


def _tells(indication: Indication, link: str | None) -> bool:
    return isinstance(indication, LinkUp | LinkDown) and link in {None, indication.header.link.name}


def _line(indication: Indication, link: str | None) -> tuple[str, ...]:
    assert isinstance(indication, LinkUp | LinkDown)
    name = () if link is not None else (indication.header.link.name,)
    if isinstance(indication, LinkUp):
        return (*name, "up", indication.poa)
    return (*name, "down", indication.poa, indication.reason.value)


@asynccontextmanager
async def following(**options: Any) -> AsyncIterator[tuple[LinksHost, Rtnetlink]]:
    """A driver in the namespace that the thread is in, started."""
    host = LinksHost()
    driver = Rtnetlink("eth", RtnetlinkConfig(**options), host)
    await driver.start()
    try:
        yield host, driver
        assert host.error is None
    finally:
        await driver.stop()
