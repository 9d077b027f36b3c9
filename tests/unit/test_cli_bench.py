"""`lies bench`: what it prints, and what it leaves behind when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from bench_kit import TINY
from polling import wait_until
from typer.testing import CliRunner

from lies.bench import run_bench
from lies.cli._app import app

ASKED_FOR = {
    "latency_median_ratio",
    "latency_p99_ratio",
    "throughput_ratio",
    "request_ratio",
    "rss_start_mb",
    "rss_growth_mb",
    "events_lost",
    "ae_samples_per_s",
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench that is over soon, in full or not."""
    monkeypatch.delenv("LIES_TRACES", raising=False)
    monkeypatch.setattr("lies.bench.Plan", lambda: TINY)
    monkeypatch.setattr("lies.bench.FULL", TINY)


@pytest.mark.usefixtures("tiny")
def test_one_object() -> None:
    """-j prints one line, an object of the type `bench` with every figure that was asked for as a number."""
    done = CliRunner().invoke(app, ["bench", "-j"])
    assert done.exit_code == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["type"] == "bench"
    assert {name for name in ASKED_FOR if not isinstance(found[name], int | float)} == set()
    for style in ("", "async_", "isolated_", "in_daemon_"):
        assert found[f"{style}latency_median_ratio"] > 0
        assert found[f"{style}throughput_ratio"] > 0
    assert (found["events_lost"], found["floor_lost"], found["rounds"]) == (0, 0, 1)
    assert (found["rss_growth_events"], found["style"]) == (100, "blocking")
    assert found["events"] == 100 + 5 + 5 + 2 + 2 + 5 * 50 + 50 * 61
    assert "packets_sent" not in found


@pytest.mark.usefixtures("tiny")
def test_full_has_a_line_per_figure() -> None:
    """With --full the same object comes last, after a line for each row of the table."""
    done = CliRunner().invoke(app, ["bench", "-j", "--full"])
    *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["type"] == "bench"
    assert {row["type"] for row in rows} == {"bench_figure"}
    by_name = {row["name"]: row for row in rows}
    row = by_name["latency_median"]
    assert row["ratios"] == [pytest.approx(row["ours"] / row["floor"])]
    assert row["met"] is (row["ratio"] <= row["goal"])
    assert by_name["throughput"]["at_least"] is True
    assert by_name["fanout_50"]["goal"] is None
    assert ASKED_FOR - {f"{name}_ratio" for name in by_name} - set(by_name) == {"request_ratio"}


@pytest.mark.usefixtures("tiny")
def test_table() -> None:
    """Without -j there is a table, with a line for each figure: ours, floor, ratio, goal, and whether met."""
    done = CliRunner().invoke(app, ["bench"])
    assert done.exit_code == 0, done.stderr
    heads, *rows = done.stdout.splitlines()
    assert heads.split() == ["figure", "unit", "ours", "floor", "ratio", "of", "rounds", "goal", "met"]
    (lost,) = [row for row in rows if row.startswith("events lost")]
    assert lost.split()[-4:] == ["-", "<=", "0", "yes"]
    assert any("asyncio client" in row and "1.5" in row for row in rows)
    assert rows[-1].startswith("rounds: 1, ")


def test_rounds_end_with_the_time() -> None:
    """When the time is over no other round is begun, but one is always measured."""
    said: list[str] = []
    result = run_bench(evolve(TINY, rounds=5, limit_s=0.01), say=said.append)
    assert result.figures["rounds"] == 1
    assert "round 1 of 5: latency" in said
    assert result.figures["latency_median_ratio"] is not None


def children(pid: int) -> set[int]:
    """The processes that a process has started and not yet buried."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {int(word) for word in text.split()}


def alive(pid: int) -> bool:
    """Whether a process runs: one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes started meanwhile heed Ctrl-C, also if a shell began us in the background, without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code", "left"),
    [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0), (signal.SIGKILL, -9, 1)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_interrupted(number: signal.Signals, code: int, left: int, tmp_path: Path) -> None:
    """Ctrl-C is 130 and SIGTERM 143, without a word, process or file left; no process survives SIGKILL."""
    bench = subprocess.Popen(
        [sys.executable, "-m", "lies", "bench", "-j"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        wait_until(lambda: bool(list(tmp_path.glob("lies-bench-*/run/bus"))), 60)
        wait_until(lambda: len(children(bench.pid)) >= 2, 60)
        started = children(bench.pid)
        bench.send_signal(number)
        out, err = bench.communicate(timeout=60)
    finally:
        bench.kill()
        bench.wait()
    assert (bench.returncode, out, err) == (code, "", "")
    wait_until(lambda: not any(alive(pid) for pid in started), 60)
    assert len(list(tmp_path.iterdir())) == left
