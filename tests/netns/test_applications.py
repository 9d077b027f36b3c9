"""Applications of other people over real drives: what they saw, and that nothing of them is left."""

import json
import os
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_kit import Demo, marked
from drives import Onlooker, drive, until
from tools import need

from lies.testbed.application import ApplicationFailed
from lies.testbed.drive import Drive
from lies.testbed.plan import THIN_DATAGRAM, THIN_MBPS
from lies.testbed.rates import Stream
from lies.testbed.result import DriveResult

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_SHORT = ("--aps", "2", "--speed-kmh", "100")


def along(app: str, *, routers: int, mode: str) -> DriveResult:
    """A drive with an application; where nothing moves the node, two routers end before the gap."""
    result = drive(
        routers=routers,
        mode=mode,
        app=app,
        app_mbps=8.0,
        rate_mbps=THIN_MBPS,
        payload=THIN_DATAGRAM,
    )
    assert result.verdicts
    return result


def by_name(result: DriveResult) -> dict[str, Stream]:
    """The streams of a drive by protocol and direction."""
    return {stream.name: stream for stream in result.streams}


def test_iperf3_loses_nothing_over_a_predictive_drive() -> None:
    """UDP: no datagram is lost on the way in either direction; TCP gets through in both, to its end."""
    need("iperf3")
    result = along("iperf3", routers=2, mode="predictive")
    assert [r.mode for r in result.reports if r is not None] == ["predictive"]
    streams = by_name(result)
    assert set(streams) == {"udp downlink", "udp uplink", "tcp uplink", "tcp downlink"}
    for name, stream in streams.items():
        assert stream.error is None, name
        assert stream.octets > 100_000, name
        if stream.protocol == "udp":
            assert stream.lost is not None
            assert stream.dropped is not None
            assert stream.lost - stream.dropped <= 0, name  # dropped ones came, and iperf3 was too slow
        else:
            assert stream.retransmits is not None


def test_without_fast_handovers_iperf3_shows_the_gap() -> None:
    """Mode none: datagrams of both directions are lost, TCP sends again and is not cut off."""
    need("iperf3")
    result = along("iperf3", routers=3, mode="none")
    streams = by_name(result)
    for name in ("udp downlink", "udp uplink"):
        assert (streams[name].lost or 0) > 0, name
        assert streams[name].longest_stall_ms > 0, name
    for name in ("tcp downlink", "tcp uplink"):
        assert (streams[name].retransmits or 0) > 0, name
        assert streams[name].error is None, name


def test_a_download_survives_a_drive_without_fast_handovers() -> None:
    """One TCP connection over all access routers: late, segments sent again, and octet for octet right."""
    (stream,) = along("http", routers=3, mode="none").streams
    assert (stream.intact, stream.error) == (True, None)
    assert (stream.retransmits or 0) > 0
    assert stream.longest_stall_ms > 0


class _Killer(Onlooker):
    """Kills an application's client at the first chance."""

    def __init__(self) -> None:
        super().__init__()
        self.drive: Drive | None = None
        self.killed = False

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:  # noqa: ARG002 - all the same
        """Kill it once it is there; called while the car drives."""
        if self.killed or self.drive is None:
            return
        for _, _, node in self.drive._applications._clients:
            os.kill(node.pid, signal.SIGKILL)
            self.killed = True


def test_an_application_that_is_killed_ends_the_drive() -> None:
    """iperf3 dies in mid-drive: one sentence that names it and its end, and no process is left."""
    need("iperf3")
    killer = _Killer()
    nodes: list[int] = []

    def built(drive_: Drive) -> None:
        killer.drive = drive_
        nodes.extend(node.pid for node in [*drive_._nodes, *drive_._applications.servers])

    with pytest.raises(
        ApplicationFailed, match=r"the iperf3 client at mn \(which ended with -9\) printed nothing"
    ):
        drive(routers=2, app="iperf3-udp", app_mbps=1.0, onlooker=killer, on_built=built)
    assert killer.killed
    assert nodes
    assert [pid for pid in nodes if Path(f"/proc/{pid}").exists()] == []


# ---- as a user runs it


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo whose processes are ended after the test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    with marked(folder) as demo:
        yield demo


def test_a_download_in_json_and_as_a_picture(demo: Demo, tmp_path: Path) -> None:
    """Its lines keep the contract, its content is as sent, and the picture shows the handover."""
    graph = tmp_path / "rates.svg"
    process = demo.start("-j", "--app", "http", *_SHORT, "--graph", str(graph))
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["type"] for line in lines] == ["handover", "application_handover", "application", "summary"]
    _, handover, application, summary = lines
    assert summary["app"] == "http"
    assert (handover["handover_mode"], handover["number"], handover["app"]) == ("predictive", 1, "http")
    assert handover["rate_before_mbps"] > 0
    assert (application["intact"], application["error"]) == (True, None)
    assert len(application["handovers_s"]) == 1
    paths = [e.get("class") for e in ET.parse(graph).iter() if e.tag.endswith("path")]
    assert (paths.count("downlink"), paths.count("h")) == (1, 1)
    demo.is_gone()


def test_ctrl_c_ends_iperf3_as_well(demo: Demo) -> None:
    """SIGINT in mid-drive: exit 130, no process and no file left."""
    need("iperf3")
    process = demo.start("--app", "iperf3", "--aps", "3")
    until(lambda: _clients(demo) == 3, within_s=60, what="every client of iperf3 runs")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    demo.is_gone()


def _clients(demo: Demo) -> int:
    found = 0
    for pid in demo.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found += words[0].endswith(b"iperf3") and b"-c" in words
    return found


def test_without_iperf3_it_says_what_to_do(demo: Demo) -> None:
    """Exit 1 at once, with the package to install."""
    demo.path = ""
    status, said = demo.failed("--app", "iperf3")
    assert status == 1
    assert "apt-get install iperf3" in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no such option", "printed no report"),
        ("kill -9 $$", "printed nothing"),
        ("exit 3", "printed nothing"),
    ],
)
def test_an_iperf3_that_is_none(demo: Demo, tmp_path: Path, script: str, said: str) -> None:
    """A program of that name that prints something else, or dies: exit 1, one sentence, nothing left."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "iperf3"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    program.chmod(0o755)
    demo.path = f"{program.parent}:{demo.path}"
    status, sentence = demo.failed("--app", "iperf3", *_SHORT)
    assert status == 1
    assert "the iperf3 server at cn" in sentence
    assert said in sentence


@pytest.mark.parametrize("options", [("--graph", "x.svg"), ("--app", "http", "--graph", "/nowhere/x.svg")])
def test_a_graph_that_cannot_be(demo: Demo, options: tuple[str, ...]) -> None:
    """Without an application, or where there is no such folder: usage, before anything is built."""
    process = demo.start(*options)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--graph" in errors
