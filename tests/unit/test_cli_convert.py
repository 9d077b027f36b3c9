"""`lies convert`, and replaying what it wrote."""

import json
import subprocess
from pathlib import Path

import pytest
from daemon_kit import LIES, walk
from recording_kit import drive, write
from tools import need
from typer.testing import CliRunner, Result

from lies.cli._app import app


def lies(*words: object) -> Result:
    """A command's result."""
    return CliRunner().invoke(app, [str(word) for word in words])


def told(file: Path) -> list[dict[str, object]]:
    """What a replay of a file without a daemon prints, its times counted from the first event."""
    done = lies("replay", file, "--standalone", "--asap", "-j", "--link", "wlan0")
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    begin_ns = events[0]["mono_ns"]
    return [{**e, "mono_ns": e["mono_ns"] - begin_ns, "wall_ns": 0, "epoch": 0} for e in events]


def test_every_form_replays_and_predicts_the_same(tmp_path: Path) -> None:
    """A trace and the recordings converted of it give the same indications and the same predictions."""
    trace = walk(tmp_path / "walk.csv", 40)
    assert lies("convert", trace, tmp_path / "a.lies").exit_code == 0
    for source, target in (("a.lies", "b.pcapng"), ("b.pcapng", "c.ndjson"), ("c.ndjson", "d.parquet")):
        done = lies("convert", tmp_path / source, tmp_path / target)
        assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
        assert "406 of 406 records" in done.stderr
    assert lies("convert", tmp_path / "d.parquet", tmp_path / "e.lies").exit_code == 0
    assert lies("convert", tmp_path / "e.lies", tmp_path / "f.csv").exit_code == 0
    names = ["a.lies", "c.ndjson", "e.lies", "f.csv"]
    first = told(trace)
    assert len(first) > 10
    predicted = lies("predict", trace, "-o", "-").stdout
    assert predicted.count("\n") > 1
    for name in names:
        assert told(tmp_path / name) == first
        assert lies("predict", tmp_path / name, "-o", "-").stdout == predicted


def test_info_of_every_form(tmp_path: Path) -> None:
    """`lies info` reads every form; and of a packed recording whether it was closed."""
    source = write(tmp_path / "a.lies", [drive(100)])
    for name in ("a.ndjson", "a.pcapng", "a.parquet", "a.csv"):
        assert lies("convert", source, tmp_path / name).exit_code == 0
    names = ("a.lies", "a.ndjson", "a.pcapng", "a.parquet")
    counts = [json.loads(lies("info", "-j", tmp_path / name).stdout) for name in names]
    assert {json.dumps(found["counts"]) for found in counts} == {json.dumps(counts[0]["counts"])}
    assert [found["indexed"] for found in counts] == [True, False, False, False]
    assert sum(json.loads(lies("info", "-j", tmp_path / "a.csv").stdout)["counts"].values()) == 100
    source.write_bytes(source.read_bytes()[:-7])
    found = json.loads(lies("info", "-j", source).stdout)
    assert (found["torn"], found["indexed"], found["damaged_octets"]) == (True, False, 0)
    assert "torn:" in lies("info", source).stdout


def test_what_is_broken_is_said(tmp_path: Path) -> None:
    """A torn recording is converted with 0 and a line that says so; a file that is none ends with 3."""
    source = write(tmp_path / "a.lies", [drive(10)])
    source.write_bytes(source.read_bytes()[:-7])
    done = lies("convert", source, tmp_path / "b.ndjson")
    assert done.exit_code == 0
    assert "torn: its last" in done.stderr
    (tmp_path / "c.lies").write_bytes(b"hello")
    done = lies("convert", tmp_path / "c.lies", tmp_path / "d.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (3, 1)
    done = lies("convert", source, tmp_path / "d.txt")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.tshark
def test_events_in_a_capture_of_this_machine(tmp_path: Path) -> None:
    """Events go into a capture that Wireshark's own tool wrote, and every packet stays."""
    text = tmp_path / "packets.txt"
    text.write_text("".join(f"10:00:0{n}.5\n0000 {'00 ' * 14}{n:02x}\n" for n in range(5)))
    need("text2pcap")
    subprocess.run(
        ["text2pcap", "-q", "-n", "-t", "%H:%M:%S.%f", str(text), str(tmp_path / "in.pcapng")],
        check=True,
        capture_output=True,
    )
    source = write(tmp_path / "a.lies", [drive(5)])
    done = lies("convert", source, tmp_path / "out.pcapng", "--packets", tmp_path / "in.pcapng")
    assert done.exit_code == 0, done.stderr
    info = subprocess.run(
        [need("capinfos"), "-M", "-c", "-d", str(tmp_path / "out.pcapng")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Number of packets:   14\n" in info
    assert "Data size:           75 bytes" in info


def test_start_up_loads_no_pyarrow() -> None:
    """Converting between recordings loads no pyarrow: only Parquet does."""
    code = "import sys, lies.trace, lies.cli.convert; assert 'pyarrow' not in sys.modules"
    subprocess.run([LIES[0], "-c", code], check=True)
