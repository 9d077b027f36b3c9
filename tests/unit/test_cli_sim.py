"""`lies sim` as its users run it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from polling import wait_until

SIM = [sys.executable, "-m", "lies", "sim"]
SMALL = ["--nodes", "4", "--routers", "4", "--hours", "0.02", "--spacing-m", "60"]


def lies_sim(*arguments: str, expect: int = 0) -> str:
    """What the command prints."""
    done = subprocess.run([*SIM, *arguments], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == expect, done.stderr
    assert done.stderr == "" or expect
    return done.stdout


def test_one_summary_a_mode() -> None:
    """-j prints one object a mode, with the keys of every command that hands over; the same each time."""
    first = lies_sim(*SMALL, "--mode", "all", "-j", "--loss", "0.05", "--restart-every", "20")
    lines = [json.loads(line) for line in first.splitlines()]
    assert [(line["type"], line["mode"]) for line in lines] == [
        ("summary", mode) for mode in ("predictive", "reactive", "none")
    ]
    for line in lines:
        assert line["handovers"] > 0
        assert line["packets_sent"] > line["packets_lost"] >= 0
        assert line["misdelivered"] == line["leftovers"] == line["unconnected"] == line["broken_rules"] == 0
    assert lies_sim(*SMALL, "--mode", "all", "-j", "--loss", "0.05", "--restart-every", "20") == first


def test_people_get_tables() -> None:
    """Without -j there are tables, and the promises that were kept."""
    shown = lies_sim(*SMALL, "--abrupt", "1")
    heads, values = (line.split() for line in shown.splitlines()[:2])
    assert heads[:4] == ["mode", "handovers", "predictive", "reactive"]
    assert values[0] == "predictive"
    assert "0 packets delivered wrongly, 0 leftovers, 0 of 4 nodes not connected at the end" in shown


def test_wrong_usage() -> None:
    """Options out of their range end with 2."""
    assert lies_sim("--loss", "2", expect=2) == ""
    assert lies_sim("--routers", "1", expect=2) == ""


def test_interrupted() -> None:
    """Ctrl-C ends a long simulation at once, with 130 and without a word."""
    process = subprocess.Popen(
        [*SIM, "--nodes", "200", "--hours", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        wait_until(lambda: _busy(process.pid), 300)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (130, "", "")


def _busy(pid: int) -> bool:
    """Whether a process has worked for longer than it takes to load."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK") > 1.5


def test_capacity() -> None:
    """--capacity prints handovers per second with each crowd, and octets of a node, as one object."""
    line = json.loads(lies_sim("--capacity", "--count", "20", "-j"))
    assert line["type"] == "capacity"
    assert list(line["handovers_per_s"]) == ["10", "100", "1000"]
    assert line["handovers_per_s_worst"] == min(line["handovers_per_s"].values()) > 0
    for where in ("routers", "home_agent", "mobile_node"):
        assert 0 < line[f"octets_at_{where}"] < 10_000
