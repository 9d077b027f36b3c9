"""A daemon with the cellular driver: what users see of a modem beside what mmcli shows, and a recording."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import Daemon, daemon, text_of
from polling import wait_until

from lies.errors import TraceFormatError
from lies.trace import read_recording
from modem.processes import Process
from modem.rig import PluggedRig
from modem.scene import HERE

pytestmark = pytest.mark.modem

THERE = "24001-1A2B-C0FFEF"
PATIENCE_S = 60.0
KEYS = ("type", "link", "poa", "reason", "detail", "condition", "previous", "time_to_down_ms", "poas")
STATE = re.compile(r"State changed, '(\w+)' --> '(\w+)'")
PLUG = re.compile(r"^\s*\(([+-])\)", re.MULTILINE)


def config(rig: PluggedRig) -> str:
    """The driver on the rig's bus."""
    return f'[drivers.modem]\ndriver = "cellular"\nbus = "{rig.address}"\napn = "internet"\n'


def short(lines: str) -> list[dict[str, Any]]:
    """What was said of the link, without times and numbers, the driver's end left out."""
    found = [json.loads(line) for line in lines.splitlines()]
    kept = [o for o in found if not o["type"].startswith("raw_") and o.get("reason") != "driver_lost"]
    return [{key: o[key] for key in KEYS if key in o} for o in kept]


def types_so_far(file: Path) -> list[str]:
    """The types of the records that can be read by now."""
    try:
        return [r.type for r in read_recording(file)]
    except TraceFormatError:
        return []


def connections(said: str) -> list[str]:
    """How connections came and went in the states that mmcli saw."""
    moves = STATE.findall(said)
    return [
        "link_up" if now == "connected" else "link_down" for was, now in moves if "connected" in {was, now}
    ]


@contextmanager
def watching(rig: PluggedRig, name: str, *words: str) -> Iterator[Path]:
    """Mmcli as it watches; what it printed is in the file after the block."""
    file = rig.directory / name
    file.unlink(missing_ok=True)
    process = Process(["mmcli", *words], file, rig.env)
    try:
        yield file
    finally:
        process.end()


def play(one: Daemon, rig: PluggedRig) -> None:
    """Connected, dropped by the network; connected by LIES, moved, disconnected; connected, unplugged."""

    def wait(up: bool) -> None:
        wait_until(lambda: [s["up"] for s in one.links()] == [up], PATIENCE_S)

    rig.connect()
    wait(True)
    rig.modem.drop()
    wait(False)
    assert one.lies("connect", "wwan0", HERE).exit_code == 0
    wait(True)
    rig.modem.cell("00C0FFEF")
    wait_until(lambda: [s["poa"] for s in one.links()] == [THERE], PATIENCE_S)
    assert one.lies("disconnect", "wwan0").exit_code == 0
    wait(False)
    rig.connect()
    wait(True)
    rig.unplug()
    wait_until(lambda: one.links() == [], PATIENCE_S)


def test_trace_beside_mmcli_and_recording(plugged: PluggedRig, tmp_path: Path) -> None:
    """`lies trace` and mmcli tell the same story of one run; its recording replays to the same primitives."""
    file = tmp_path / "modem.lies"
    plugged.enable()
    plugged.setup_signal(1)
    with daemon(tmp_path, config(plugged)) as one:
        wait_until(lambda: bool(one.links()), PATIENCE_S)
        (link,) = one.links()
        assert (link["link"], link["technology"], link["up"]) == ("wwan0", "lte", False)
        recording = one.begin("record", "-o", str(file))
        with (
            watching(plugged, "states", "-m", "any", "-w") as states,
            watching(plugged, "modems", "-M") as modems,
            one.begin("trace", "-j") as trace,
        ):
            assert trace.stdout is not None
            wait_until(lambda: "raw_state" in types_so_far(file), PATIENCE_S)
            wait_until(lambda: "Initial state" in text_of(states), PATIENCE_S)
            wait_until(lambda: "FM-1" in text_of(modems), PATIENCE_S)
            play(one, plugged)
            lines: list[str] = []
            while not (lines and '"removed"' in lines[-1]):
                lines.append(trace.stdout.readline())
            trace.kill()
        wait_until(lambda: types_so_far(file).count("link_down") == 4, PATIENCE_S)
        recording.send_signal(signal.SIGINT)
        recording.communicate(timeout=PATIENCE_S)
        assert one.stop() == 0
    seen = short("".join(lines))
    ups = [(o["type"], o["poa"], o.get("reason")) for o in seen if o["type"] in {"link_up", "link_down"}]
    assert ups == [
        ("link_up", HERE, None),
        ("link_down", HERE, "peer"),
        ("link_up", HERE, None),
        ("link_down", HERE, "moved"),
        ("link_up", THERE, None),
        ("link_down", THERE, "requested"),
        ("link_up", THERE, None),
        ("link_down", THERE, "removed"),
    ]
    assert PLUG.findall(text_of(modems)) == ["-"]
    # in mmcli's story there are no cells, and the modem that is unplugged just goes
    assert [*connections(text_of(states)), "link_down"] == [kind for kind, _, _ in (*ups[:3], *ups[5:])]
    replayed = one.lies("replay", str(file), "--standalone", "--asap", "-j")
    assert replayed.exit_code == 0, replayed.stderr
    assert short(replayed.stdout) == seen
