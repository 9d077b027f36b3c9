"""`lies demo` as a user runs it: its lines, its end, and what is left behind when it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture import tshark_fields
from demo_kit import MARK, Demo, marked
from drives import Capture, Onlooker, drive, inside, until
from tools import need

from lies.testbed.drive import Drive

pytestmark = pytest.mark.netns

_SHORT = ("--aps", "2", "--speed-kmh", "100")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo whose processes are ended after the test."""
    with marked(tmp_path) as demo:
        yield demo


def _read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"no {words!r} in {lines} {process.stderr.read() if process.stderr else ''}")


@pytest.mark.slow
def test_json_lines_keep_the_contract(demo: Demo) -> None:
    """Every line has a type; packets_sent is in the summary alone, which comes last and has its keys."""
    done = demo.start("-j", *_SHORT)
    output, errors = done.communicate(timeout=60)
    assert done.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    assert all("type" in line for line in lines)
    assert [line["type"] for line in lines if "packets_sent" in line] == ["summary"]
    summary = lines[-1]
    assert {
        "mode",
        "handovers",
        "predictive",
        "reactive",
        "packets_sent",
        "packets_lost",
        "duplicated",
        "reordered",
        "l2_gap_ms",
        "total_gap_ms",
        "l3_gap_ms",
        "fbu_fback_ms",
    } <= summary.keys()
    assert summary["handovers"] == len(summary["l2_gap_ms"]) == 1
    handovers = [line for line in lines if line["type"] == "handover"]
    assert [line["handover_mode"] for line in handovers] == ["predictive"]
    until(lambda: not demo.processes(), within_s=5, what="every process ended")
    assert list(demo.folder.iterdir()) == []


def test_ctrl_c_tears_everything_down(demo: Demo) -> None:
    """SIGINT in mid-drive: exit 130, no process and no file left."""
    process = demo.start("--aps", "3")
    _read_until(process, "... driving")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    until(lambda: not demo.processes(), within_s=5, what="every process ended")
    assert list(demo.folder.iterdir()) == []


def test_nothing_outlives_a_killed_demo(demo: Demo) -> None:
    """SIGKILL in mid-drive: daemons and namespaces go with it, and the next run removes its files."""
    process = demo.start("--aps", "2")
    _read_until(process, "... driving")
    process.kill()
    process.communicate(timeout=30)
    until(lambda: not demo.processes(), within_s=15, what="every process ended")
    assert len(list(demo.folder.glob("lies-demo-*"))) == 1
    again = demo.start("-j", "--aps", "2", "--speed-kmh", "200")
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert list(demo.folder.iterdir()) == []


def test_without_privileges_and_user_namespaces_it_says_what_to_do(demo: Demo) -> None:
    """Where neither namespaces nor user namespaces may be made: one sentence with the way out, exit 5."""
    script = (
        "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-net_admin,-sys_admin "
        f"--inh-caps=-net_admin,-sys_admin {sys.executable} -m lies demo --aps 2"
    )
    need("setpriv")
    done = subprocess.run(
        [need("unshare"), "-Ur", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "user namespaces" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert demo.processes() == set()


def test_a_trace_of_one_access_point_is_no_drive(demo: Demo, tmp_path: Path) -> None:
    """One PoA in the trace: exit 3 and one sentence."""
    trace = tmp_path / "one.csv"
    rows = "".join(f"{t}.0,wifi,x,ap1,-60,,,,1.0,udp,\n" for t in range(60))
    head = "t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm\n"
    trace.write_text(head + rows, encoding="ascii")
    done = demo.start("--trace", str(trace))
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 3
    assert "only the point of attachment ap1" in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.traces
@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "start", "duration"),
    [("feupwifi_*_082.csv.gz", "360", "90"), ("ucc5g_car_ama_20191203_1042.csv.gz", "345", "40")],
)
def test_recorded_radio_drives_real_packets(demo: Demo, pattern: str, start: str, duration: str) -> None:
    """Recorded Wi-Fi and a recorded cellular drive make at least two handovers of real packets."""
    files = sorted(Path(os.environ["LIES_TRACES"], "dev").glob(pattern))
    options = [word for file in files for word in ("--trace", str(file))]
    done = demo.start("-j", *options, "--start", start, "--duration", duration)
    output, errors = done.communicate(timeout=240)
    assert done.returncode == 0, errors
    summary = json.loads(output.splitlines()[-1])
    assert summary["handovers"] >= 2
    assert summary["packets_sent"] > 10_000
    assert summary["packets_lost"] < summary["packets_sent"] / 10


@pytest.mark.slow
@pytest.mark.tshark
def test_stop_the_bus_and_handovers_stop(tmp_path: Path) -> None:
    """With the daemon stopped the radio still changes PoA, but no FBU and no UNA leaves: no timetable."""
    capture = Capture("mn", "wlan0", tmp_path / "radio.pcap")
    drives: list[Drive] = []
    bridges: list[str] = []

    def bridge() -> str:
        words = inside(drives[0], "radio", "ip", "-o", "link", "show", "mn").split()
        return words[words.index("master") + 1]

    class Stopper(Onlooker):
        """Stops the mobile node's daemon while the car drives."""

        def on_stage(self, text: str) -> None:
            """Stop it at the start of the drive, let it go on at its end."""
            if text == "driving":
                os.kill(drives[0].pid("mn"), signal.SIGSTOP)
                bridges.append(bridge())
            elif text == "counting":
                capture.stop()
                bridges.append(bridge())
                os.kill(drives[0].pid("mn"), signal.SIGCONT)

    def built(drive_: Drive) -> None:
        drives.append(drive_)
        capture.start(drive_)

    try:
        result = drive(isolate_radio=True, isolate_fmipv6=True, on_built=built, onlooker=Stopper())
    finally:
        capture.stop()
    assert bridges == ["air1", "air3"]
    wanted = "mip6.mhtype == 8 or (icmpv6.type == 136 and icmpv6.nd.na.flag.s == 0)"
    sent = tshark_fields(need("tshark"), capture.path, ["frame.number"], display_filter=wanted)
    assert sent == []
    assert result.packets_lost > 0


def test_the_demo_needs_no_tool_but_python(demo: Demo) -> None:
    """With an empty PATH a drive still runs: the program makes namespaces, routes and traffic itself."""
    environment = {**os.environ, "PATH": "", MARK: demo.mark, "TMPDIR": str(demo.folder)}
    python = shutil.which(sys.executable) or sys.executable
    done = subprocess.run(
        [python, "-m", "lies", "demo", "-j", "--aps", "2", "--speed-kmh", "200"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
