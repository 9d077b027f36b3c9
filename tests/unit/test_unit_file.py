"""The systemd unit: systemd finds no fault with it, and how exposed it leaves the daemon."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools import need

from lies.capabilities import Capability

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "lies.service"
MOST_EXPOSED = 3.0  # of 10; what is left is the network, which is the daemon's work


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    copy = tmp_path / "lies.service"
    copy.write_text(UNIT.read_text().replace("/usr/bin/lies", sys.executable))
    return copy


def analyze(*words: object) -> "subprocess.CompletedProcess[str]":
    """What systemd-analyze says."""
    tool = need("systemd-analyze")
    return subprocess.run([tool, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def test_unit_is_valid(unit: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_unit_is_hardened(unit: Path) -> None:
    """`systemd-analyze security` finds it little exposed."""
    done = analyze("security", "--offline=yes", "--no-pager", unit)
    found = re.search(r"Overall exposure level for lies.service: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_unit_grants_what_plugins_may_declare() -> None:
    """Its capabilities are those that a plugin may declare; it can be reloaded and is watched."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert set(service[key].split()) == {c.value for c in Capability}
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["WatchdogSec"]) >= 10
