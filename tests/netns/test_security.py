"""Drives with handover keys, and under forged Fast Binding Updates from a neighbour on the same link."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from capture import tshark_fields
from drives import Capture, Onlooker, drive, inside, state_of
from tools import need

from lies.events import HandoverDone
from lies.runtime import now_s
from lies.shared_keys import new_shared_key
from lies.testbed import topology as t
from lies.testbed.drive import Drive
from lies.testbed.node import spawn, stop_all
from lies_fmipv6 import messages as fm
from lies_fmipv6.codec import encode
from lies_fmipv6.parameters import eui64, form_address

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_ONE, _TWO = t.Router(1), t.Router(2)
_THIEF_MAC = bytes.fromhex("02000000660a")
_PCOA, _NCOA = (form_address(r.prefix, eui64(t.MOBILE_MAC)) for r in (_ONE, _TWO))
_THIEF = form_address(_TWO.prefix, eui64(_THIEF_MAC))
_ETHERTYPE = b"\x86\xdd"
_DRIVE: dict[str, Any] = {"routers": 2, "speed_kmh": 40.0, "grace_s": 0.5}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A directory with the mobile node's key and the thief's own."""
    for name in ("car", "thief"):
        new_shared_key(tmp_path, name)
    return tmp_path


def _at_node(keys: Path) -> dict[str, Any]:
    """The mobile node's options: its key for either router."""
    named = [{"key": "car", "router": str(r.address)} for r in (_ONE, _TWO)]
    return {"keys": named, "keys_dir": str(keys)}


def _at_routers(keys: Path) -> dict[str, Any]:
    """The access routers' options: the keys of the node and of the thief, who is a node as well."""
    nodes = {"car": t.MOBILE_MAC, "thief": _THIEF_MAC}
    named = [{"key": name, "node": t.mac_text(mac)} for name, mac in nodes.items()]
    return {"keys": named, "keys_dir": str(keys)}


def _forged(secrets: list[bytes | None]) -> Iterator[bytes]:
    """FBUs that would have the mobile node's packets sent to the thief, each with a greater number."""
    for number, secret in zip(itertools.count(1), itertools.cycle(secrets)):
        fbu = fm.FastBindingUpdate(number * 100 & 0xFFFF, 20, _PCOA, _THIEF, _THIEF_MAC)
        yield encode(fbu, _PCOA, _ONE.address, key=secret)


class _Thief(Onlooker):
    """Sends forged FBUs on the first router's link from the moment when the traffic begins."""

    def __init__(self, secrets: list[bytes | None]) -> None:
        super().__init__()
        self.drives: list[Drive] = []
        self._secrets = secrets
        self._nodes: list[Any] = []

    def on_stage(self, text: str) -> None:
        """Begin."""
        super().on_stage(text)
        if text == "driving":
            self._nodes.append(spawn("thief", self.drives[0].descriptor("radio"), self._steal))

    def _steal(self, ready: Callable[[], None]) -> int:
        never = threading.Event()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("ar1", 0))
            ready()
            for packet in _forged(self._secrets):
                wire.send(_ONE.access_mac + _THIEF_MAC + _ETHERTYPE + packet)
                never.wait(0.02)
        return 0

    def stop(self) -> None:
        """End."""
        stop_all(self._nodes)


@contextmanager
def _thief(secrets: list[bytes | None]) -> Iterator[_Thief]:
    thief = _Thief(secrets)
    try:
        yield thief
    finally:
        thief.stop()


def _written(drive_: Drive) -> list[str]:
    """What the daemons logged, and the command lines and environments of those that have keys."""
    seen = [p.read_text("utf-8", "replace") for p in drive_.bus_directory.parent.glob("*.log")]
    pids = [drive_.pid(name) for name in ("mn", "ar1", "ar2")]
    children = Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text("ascii").split()
    for pid, file in itertools.product((*pids, *map(int, children)), ("cmdline", "environ")):
        seen.append(Path(f"/proc/{pid}/{file}").read_bytes().decode("utf-8", "replace"))
    return seen


def _modes(onlooker: Onlooker) -> list[str]:
    """Modes of all handovers, also of one before the traffic, which a busy machine may begin late."""
    return [e.mode for e in onlooker.events if isinstance(e, HandoverDone) and e.from_poa is not None]


@pytest.mark.tshark
def test_forged_fbus_steal_nothing_from_a_node_with_a_key(keys: Path, tmp_path: Path) -> None:
    """Forged without BADF, with the thief's own key, with a guess: predictive with BADF, no packet lost."""
    capture = Capture("mn", t.MOBILE_LINK, tmp_path / "radio.pcap")

    written: list[str] = []

    def built(drive_: Drive) -> None:
        thief.drives.append(drive_)
        capture.start(drive_)

    def settled(drive_: Drive) -> None:
        capture.stop()
        written.extend(_written(drive_))

    own = bytes.fromhex((keys / "thief.handover").read_text().split('"')[1])
    with _thief([None, own, b"a guess, 16 and more"]) as thief:
        try:
            result = drive(
                **_DRIVE,
                fmipv6=_at_node(keys),
                access=_at_routers(keys),
                onlooker=thief,
                on_built=built,
                on_settled=settled,
            )
        finally:
            capture.stop()
    assert _modes(thief) == ["predictive"]
    assert result.packets_sent > 1000
    assert result.packets_lost == 0
    assert sum(direction.duplicated for direction in result.directions) == 0
    rows = tshark_fields(need("tshark"), capture.path, ["mip6.mhtype", "mip6.badff.spi"])
    bound = [row for row in rows if set(row.get("mip6.mhtype", [])) & {"8", "9"}]
    assert {kind for row in bound for kind in row["mip6.mhtype"]} >= {"8", "9"}
    assert all(row.get("mip6.badff.spi") for row in bound), "every FBU and FBack on the air has a BADF option"
    secret = (keys / "car.handover").read_text().split('"')[1]
    assert len(written) > 8
    assert not [text for text in written if secret[:16] in text]


def test_forged_fbus_do_steal_where_nobody_has_a_key() -> None:
    """The same without keys, with `insecure = true`: the thief gets the packets, which shows the rule."""
    standing = {**_DRIVE, "speed_kmh": 1.0, "duration_s": 4.0}
    with _thief([None]) as thief:
        result = drive(**standing, onlooker=thief, on_built=thief.drives.append)
    assert _modes(thief) == []
    assert result.packets_lost > 100


def test_an_fbu_without_badf_is_refused_where_keys_are(keys: Path) -> None:
    """Routers with keys, a node without: no tunnel, no fast handover, `insecure` or not; connected."""
    found: list[dict[str, list[str]]] = []

    def settled(drive_: Drive) -> None:
        found.extend(state_of(drive_, name) for name in ("ar1", "ar2"))

    far_apart = {**_DRIVE, "speed_kmh": 60.0, "spacing_m": 120.0}  # so that the link breaks on the way
    onlooker = Onlooker()
    result = drive(**far_apart, access=_at_routers(keys), on_settled=settled, onlooker=onlooker)
    assert _modes(onlooker) == ["none"]
    assert [state["tunnels"] for state in found] == [[], []]
    for direction in result.directions:
        assert len(direction.sent_ns) - 1 in {number for number, _, _ in direction.received}


def _impostor(drive_: Drive) -> None:
    """Somebody with the mobile node's address-to-be makes itself known on the second router's link."""
    una = encode(fm.UnsolicitedNeighbourAdvertisement(_NCOA, _THIEF_MAC), _NCOA, IPv6Address("ff02::1"))

    def main(ready: Callable[[], None]) -> int:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("ar2", 0))
            wire.send(b"\x33\x33\0\0\0\1" + _THIEF_MAC + _ETHERTYPE + una)
        ready()
        return 0

    node = spawn("impostor", drive_.descriptor("radio"), main)
    try:
        node.wait_ready(now_s() + 20)
        node.finish(now_s() + 20)
    finally:
        stop_all([node])


@pytest.mark.parametrize("duplicates", ["assign", "host-route"])
def test_a_taken_address_in_the_kernel(keys: Path, duplicates: str) -> None:
    """NCoA is another's: with an assigned address, or PCoA and a host route, predictive and nothing lost."""
    addresses: list[str] = []
    found: list[dict[str, list[str]]] = []
    onlooker = Onlooker()

    def settled(drive_: Drive) -> None:
        addresses.append(inside(drive_, "mn", "ip", "-6", "-o", "addr", "show", "dev", t.MOBILE_LINK))
        found.append(state_of(drive_, "ar2"))

    result = drive(
        **_DRIVE,
        fmipv6=_at_node(keys),
        access={**_at_routers(keys), "duplicates": duplicates},
        on_built=_impostor,
        on_settled=settled,
        onlooker=onlooker,
    )
    assert _modes(onlooker) == ["predictive"]
    assert result.packets_lost == 0
    assert f" {_NCOA}/" not in addresses[0]
    kept = duplicates == "host-route"
    assert (f" {_PCOA}/" in addresses[0]) is kept
    assert any(str(_ONE.address) in line for line in found[0]["tunnels"]) is kept
