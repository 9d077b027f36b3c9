"""Drives under attack: forged and broken packets, killed processes, a radio that others steer."""

import asyncio
import logging
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from drives import Onlooker, drive, inside, state_of, until
from netns_kit import frames, ip, kernel_state, left, namespace, netlink, waiting, wire

from lies.bus.client import Client
from lies.errors import ProtocolViolation
from lies.runtime import now_s
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.node import spawn, stop_all
from lies.testbed.result import DriveResult
from lies_fmipv6 import messages as fm
from lies_fmipv6.codec import encode
from lies_fmipv6.mobile_plane import MobilePlane
from lies_mipv6 import messages as mm
from lies_mipv6.codec import encode as encode_mipv6

pytestmark = pytest.mark.netns

_ALL_NODES, _ALL_ROUTERS = IPv6Address("ff02::1"), IPv6Address("ff02::2")
_ONE, _TWO = t.Router(1), t.Router(2)
_STRANGER = IPv6Address("fe80::bad")
_STRANGER_MAC = bytes.fromhex("02000000bad0")
_ROGUE = IPv6Network("2001:db8:bad::/64")
_MOBILE = 0xFF_FE00_9900  # interface identifier of the mobile node
_ICMPV6, _MOBILITY = 58, 135
_ETHERTYPE = b"\x86\xdd"


def _sound() -> list[bytes]:
    """One packet of each message, as its rightful sender would make it."""
    pcoa, ncoa = (IPv6Address(int(r.prefix[0]) | _MOBILE) for r in (_ONE, _TWO))
    par, nar, lla = _ONE.address, _TWO.address, t.MOBILE_MAC
    known = fm.AccessPointInfo(
        b"\2\0\0\0\1\2", fm.OptionCode.TUPLE_FOLLOWS, _TWO.access_mac, nar, _TWO.prefix
    )
    prefix = fm.PrefixInformation(_ONE.prefix, 60, 60, router=par)
    return [
        encode(fm.RtSolPr(1, lla, (b"\2\0\0\0\1\2",)), _STRANGER, _ALL_ROUTERS),
        encode(fm.PrRtAdv(0, 1, _ONE.access_mac, (known,)), _STRANGER, _ALL_NODES),
        encode(fm.RouterSolicitation(lla), _STRANGER, _ALL_ROUTERS),
        encode(fm.RouterAdvertisement(source_lla=lla, prefixes=(prefix,)), _STRANGER, _ALL_NODES),
        encode(fm.UnsolicitedNeighbourAdvertisement(ncoa, lla), ncoa, _ALL_NODES),
        encode(fm.FastBindingUpdate(1, 10, pcoa, ncoa, lla), pcoa, par),
        encode(fm.FastBindingAck(0, 1, 10), par, pcoa),
        encode(fm.HandoverInitiate(1, 0, False, True, lla, pcoa, ncoa), par, nar),
        encode(fm.HandoverAcknowledge(1, 0), nar, par),
        encode_mipv6(mm.BindingUpdate(1, 60, t.HOME_ADDRESS, pcoa), pcoa, t.HOME_AGENT),
        encode_mipv6(mm.BindingAcknowledgement(0, 1, 60, t.HOME_ADDRESS), t.HOME_AGENT, pcoa),
    ]


def _broken(packet: bytes, dice: random.Random) -> bytes:
    """The packet with a fault that its checksum, its lengths or its hop limit give away."""
    octets = bytearray(packet)
    begin = 40 if octets[6] in (_ICMPV6, _MOBILITY) else 64  # behind a Home Address option, a routing header
    match dice.randrange(5):
        case 0:
            octets[dice.randrange(begin, len(octets))] ^= 1 << dice.randrange(8)
        case 1:
            del octets[dice.randrange(1, len(octets)) :]
        case 2:
            octets[40:] = dice.randbytes(len(octets) - 40)
        case 3:
            octets[begin + 1] ^= 0xFF  # a code; the length of a Mobility Header
            octets += dice.randbytes(dice.randrange(1, 1200))
            octets[4:6] = struct.pack("!H", len(octets) - 40)
        case _ if octets[6] == _ICMPV6:
            octets[7] = dice.choice((0, 1, 254))
        case _:
            octets[6] = dice.choice([header for header in (0, 43, 60) if header != octets[6]])
    return bytes(octets)


def _foreign_addresses(dice: random.Random) -> list[bytes]:
    """Well-formed messages whose link-layer addresses are none of Ethernet's, or of groups."""
    made = []
    for lla in (b"\2" * 5, b"\2" * 8, b"\2" * 14, b"\xff" * 6, b"\1\2\3\4\5\6", dice.randbytes(20)):
        asks = fm.RtSolPr(dice.randrange(1, 9), lla, wildcard=True)
        source = IPv6Address(int(_ONE.prefix[0]) | dice.getrandbits(62))
        una = fm.UnsolicitedNeighbourAdvertisement(source, lla)
        fbu = fm.FastBindingUpdate(1, 10, source, IPv6Address(int(_TWO.prefix[0]) | 77), lla)
        for message, destination in ((asks, _ALL_ROUTERS), (una, _ALL_NODES), (fbu, _ONE.address)):
            try:
                made.append(encode(message, source, destination))
            except ProtocolViolation:  # such an address does not even fit into this one
                continue
    return made


def _rogue_advertisements() -> list[bytes]:
    prefix = fm.PrefixInformation(_ROGUE, 600, 600, router=_ROGUE[1])
    return [
        encode(
            fm.RouterAdvertisement(lifetime_s=life_s, source_lla=_STRANGER_MAC, prefixes=(prefix,)),
            _STRANGER,
            _ALL_NODES,
        )
        for life_s in (0, 1800)
    ]


def _send_for_ever(ports: dict[str, bytes], packets: Callable[[], Iterator[bytes]], every_s: float) -> None:
    """Send packets out of ports, each to the MAC address behind it, until killed."""
    sockets = []
    for port, mac in ports.items():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind((port, 0))
        sockets.append((sock, mac + _STRANGER_MAC + _ETHERTYPE))
    never = threading.Event()
    for packet in packets():
        for sock, head in sockets:
            try:
                sock.send(head + packet)
            except OSError:  # no carrier just now
                continue
        never.wait(every_s)


def _attack() -> Iterator[bytes]:
    dice = random.Random(5568)
    sound, fixed = _sound(), [*_foreign_addresses(dice), *_rogue_advertisements()]
    while True:
        yield from (_broken(dice.choice(sound), dice) for _ in range(3))
        yield dice.choice(fixed)


@contextmanager
def _attackers() -> Iterator[Callable[[Drive], None]]:
    """To be called when the node has a router: attackers in the radio and in the backbone."""
    nodes = []

    def start(drive_: Drive) -> None:
        places = {
            "radio": {"mn": t.MOBILE_MAC, "ar1": _ONE.access_mac, "ar2": _TWO.access_mac},
            "core": {"ha": t.HOME_BACKBONE_MAC, "ar1": _ONE.backbone_mac, "ar2": _TWO.backbone_mac},
        }
        for name, ports in places.items():

            def main(ready: Callable[[], None], ports: dict[str, bytes] = ports) -> int:
                ready()
                _send_for_ever(ports, _attack, 0.005)
                return 0

            nodes.append(spawn(name, drive_.descriptor(name), main))

    try:
        yield start
    finally:
        stop_all(nodes)


@pytest.fixture
def logs() -> dict[str, str]:
    """What the processes of a drive wrote, by namespace."""
    return {}


@contextmanager
def _logging_as_in_a_demo() -> Iterator[None]:
    """Without the handlers by which pytest collects logs: the forked daemons would inherit them."""
    handlers, logging.root.handlers = logging.root.handlers, []
    try:
        yield
    finally:
        logging.root.handlers = handlers


def _logs(drive_: Drive) -> dict[str, str]:
    folder = drive_.bus_directory.parent
    return {p.stem: p.read_text("utf-8", "replace") for p in folder.glob("*.log")}


def _crashes(logs: dict[str, str]) -> dict[str, str]:
    return {name: log for name, log in logs.items() if "Traceback" in log}


def _workers(drive_: Drive) -> set[int]:
    """The consumers of the mobile node, which are children of its daemon."""
    pid = drive_.pid("mn")
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()}


def _ends_connected(result: DriveResult) -> bool:
    """Whether the last packet of each direction arrived."""
    return all(len(d.sent_ns) - 1 in {number for number, _, _ in d.received} for d in result.directions)


def _left_on_routers(drive_: Drive) -> list[str]:
    """Tunnels, proxies and rules of handovers on the access routers."""
    found = []
    for router in (_ONE, _TWO):
        state = state_of(drive_, router.name)
        rules = [r for r in state["rules"] if "lookup 51840" in r or (" iif " in r and "goto" in r)]
        found += [*state["tunnels"], *state["proxies"], *rules]
    return found


@pytest.mark.slow
def test_broken_packets_and_rogue_routers_harm_no_drive(logs: dict[str, str]) -> None:
    """Broken messages of every kind, foreign link-layer addresses, a rogue router: no crash, no loss."""
    drives: list[Drive] = []
    addresses: list[str] = []

    class Starting(Onlooker):
        """Lets the attackers in when the traffic begins."""

        def on_stage(self, text: str) -> None:
            """Start them as the drive begins: a node without a router believes the first one it hears."""
            super().on_stage(text)
            if text == "driving":
                start(drives[0])

    def settled(drive_: Drive) -> None:
        logs.update(_logs(drive_))
        addresses.append(inside(drive_, "mn", "ip", "-6", "-o", "addr", "show", "dev", t.MOBILE_LINK))

    with _attackers() as start, _logging_as_in_a_demo():
        result = drive(
            routers=2, speed_kmh=60.0, on_built=drives.append, on_settled=settled, onlooker=Starting()
        )
    assert _crashes(logs) == {}
    assert "not that of a node on this kind of link" in logs["ar1"]
    assert str(_ROGUE[0]).removesuffix("::") not in addresses[0]
    assert [report.mode for report in result.reports if report is not None] == ["predictive"]
    assert result.packets_lost == 0
    assert _ends_connected(result)


@pytest.mark.slow
def test_killed_consumers_of_the_mobile_node_come_back(logs: dict[str, str]) -> None:
    """SIGKILL to both consumers in mid-drive: new ones run, and packets flow again in both directions."""
    drives: list[Drive] = []
    killed: set[int] = set()
    running: set[int] = set()

    class Killer(Onlooker):
        """Kills when the traffic begins."""

        def on_stage(self, text: str) -> None:
            """Kill the consumers as the drive begins."""
            super().on_stage(text)
            if text == "driving":
                killed.update(_workers(drives[0]))
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

    def settled(drive_: Drive) -> None:
        running.update(_workers(drive_))
        logs.update(_logs(drive_))

    with _logging_as_in_a_demo():
        hooks: dict[str, Any] = {"on_built": drives.append, "on_settled": settled, "onlooker": Killer()}
        result = drive(routers=2, speed_kmh=60.0, isolate_fmipv6=True, **hooks)
    assert len(killed) == 2
    assert len(running) == 2
    assert not running & killed
    assert _crashes(logs) == {}
    assert _ends_connected(result)


async def _steer(directory: Path, for_s: float) -> None:
    """Connect to one PoA and the other by turns, faster than a handover takes, and end at the second."""
    async with await Client.connect(directory, name="intruder", timeout_s=10.0) as client:
        end_s = now_s() + for_s
        while now_s() < end_s:
            for router in (_ONE, _TWO):
                await client.link_connect(t.MOBILE_LINK, router.bssid)
                await asyncio.sleep(0.05)


@pytest.mark.slow
def test_a_link_that_flaps_leaves_nothing_behind(logs: dict[str, str]) -> None:
    """Moves every 50 ms by another consumer: connected in the end, each router known, no tunnel left."""
    drives: list[Drive] = []
    helpers: list[threading.Thread] = []
    state: dict[str, str] = {}

    class Steering(Onlooker):
        """Begins to steer when the traffic begins."""

        def on_stage(self, text: str) -> None:
            """Start the other consumer."""
            super().on_stage(text)
            if text == "driving":
                work = _steer(drives[0].bus_directory, 2.0)
                helpers.append(threading.Thread(target=asyncio.run, args=(work,)))
                helpers[0].start()

    def settled(drive_: Drive) -> None:
        helpers[0].join()
        until(lambda: not _left_on_routers(drive_), within_s=10, what="the routers have forgotten")
        state["route"] = inside(drive_, "mn", "ip", "-6", "route", "show", "default")
        state["permanent"] = inside(drive_, "mn", "ip", "-6", "neigh", "show", "nud", "permanent")
        state["rules"] = inside(drive_, "mn", "ip", "-6", "rule")
        logs.update(_logs(drive_))

    with _logging_as_in_a_demo():
        result = drive(
            routers=2,
            spacing_m=40.0,
            grace_s=0.5,
            on_built=drives.append,
            on_settled=settled,
            onlooker=Steering(),
        )
    assert len(result.verdicts) > 10
    assert _crashes(logs) == {}
    assert _ends_connected(result)
    next_hop = state["route"].split()[2]
    assert any(line.split()[0] == next_hop for line in state["permanent"].splitlines())
    assert len([r for r in state["rules"].splitlines() if r.startswith("90:")]) == 1


_PAR, _NAR = _ONE.address, _TWO.address
_FIRST, _SECOND = (IPv6Address(int(r.prefix[0]) | _MOBILE) for r in (_ONE, _TWO))
_FAR = IPv6Address("2001:db8:ffff::1")


@contextmanager
def _plane() -> Iterator[MobilePlane]:
    """A mobile node's plane on the link wlan0, whose far end is air0, at its first router."""
    with namespace(), netlink() as kernel:
        wire(kernel, t.MOBILE_LINK, "air0")
        before = kernel_state()
        plane = MobilePlane(kernel, t.MOBILE_LINK)
        plane.use_router(_FIRST, _STRANGER, _ONE.access_mac)
        yield plane
        plane.close()
        assert left(before, kernel_state()) == {}


def _say(source: IPv6Address, words: bytes) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((str(source), 0))
        sock.sendto(words, (str(_FAR), 9))


def test_a_second_hold_keeps_what_the_first_one_holds() -> None:
    """A link lost again before the PAR answered: what waits for either address goes with its own release."""
    with _plane() as plane, frames("air0") as air:
        heard: list[bytes] = []

        def on_air(words: bytes) -> bool:
            heard.extend(waiting(air))
            return any(frame.endswith(words) for frame in heard)

        plane.prepare(_FIRST, _SECOND, _PAR, _NAR, _TWO.access_mac)
        plane.hold(_FIRST)
        _say(_FIRST, b"first")
        plane.complete(_FIRST, _SECOND, _PAR, _NAR, _TWO.access_mac, tunnel=False)
        plane.hold(_SECOND)
        _say(_SECOND, b"second")
        plane.release(_FIRST)
        until(lambda: on_air(b"first"), within_s=5, what="what the first address sent")
        assert not on_air(b"second")
        plane.release(_SECOND)
        until(lambda: on_air(b"second"), within_s=5, what="what the second address sent")


def test_an_abandoned_handover_leaves_no_open_end() -> None:
    """What was prepared and given up: nothing from the PAR is opened any more."""
    with _plane() as plane:
        before = kernel_state()
        plane.prepare(_FIRST, _SECOND, _PAR, _NAR, _TWO.access_mac)
        assert left(before, kernel_state()) != {}
        plane.abandon(_SECOND)
        gone = left(before, kernel_state())
        assert "rules" not in gone
        assert "addresses" not in gone
        assert str(_PAR) not in str(gone.get("labels"))


def test_a_router_come_back_to_is_known_by_the_address_in_use() -> None:
    """Back at a router that was known by its link-local address, and is named by its global one now."""
    with _plane() as plane:
        plane.prepare(_FIRST, _SECOND, _PAR, _NAR, _TWO.access_mac)
        plane.complete(_FIRST, _SECOND, _PAR, _NAR, _TWO.access_mac, tunnel=True)
        plane.prepare(_SECOND, _FIRST, _NAR, _PAR, _ONE.access_mac)
        plane.end_tunnel(_FIRST, _SECOND, _PAR, keep_address=True)
        plane.complete(_SECOND, _FIRST, _NAR, _PAR, _ONE.access_mac, tunnel=True)
        assert f"default via {_PAR} " in ip("-6", "route", "show", "default")[0]
        known = [line.split()[0] for line in ip("-6", "neigh", "show", "nud", "permanent")]
        assert str(_PAR) in known
