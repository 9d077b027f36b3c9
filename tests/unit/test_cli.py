"""The command line: exit codes, one sentence for each error, and what loads when."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from attrs import evolve
from typer.testing import CliRunner, Result

from lies.cli._app import COMMANDS, app
from lies.cli._output import clean
from lies.events import (
    Attached,
    Detached,
    Header,
    Link,
    RawAttached,
    RawDetached,
    RawSample,
    Sample,
    Technology,
)
from lies.trace import open_trace
from lies.trace.recording import RecordingWriter

TRACE = """t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm
"""


def lies(*words: str) -> Result:
    """Run `lies` in this process."""
    return CliRunner().invoke(app, words)


def process(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run `lies` as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lies", *words], capture_output=True, text=True, timeout=60, check=False
    )


def falling_trace(path: Path, seconds: int = 40) -> Path:
    """A CSV trace whose only signal falls by 2 dB a second until it is lost."""
    rows = [f"{t},wifi,,ap1,{-50 - (0 if t < 10 else 2 * (t - 10))},,,,,," for t in range(seconds - 10)]
    rows += [f"{t},wifi,,,,,,,,no_rx," for t in range(seconds - 10, seconds)]
    path.write_text(TRACE + "\n".join(rows) + "\n")
    return path


def test_version_and_help() -> None:
    """--version and --help end with 0; help names every command of this release."""
    assert process("--version").stdout == f"lies {version('lies')}\n"
    shown = process("--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in shown.stdout


def test_help_loads_little() -> None:
    """`lies --help` imports neither ZeroMQ, pyroute2, scapy nor rich."""
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lies", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in shown.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"zmq", "pyroute2", "scapy", "rich", "asyncio"}
    assert not loaded & {"dbus_next", "structlog", "prometheus_client"}


def test_trace_loads_little() -> None:
    """`lies trace` starts without an event loop, and without what only daemon, drivers and consumers need."""
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lies", "trace", "--runtime-dir", "/nonexistent"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 4
    loaded = {line.rsplit("|", 1)[-1].strip() for line in shown.stderr.splitlines()}
    assert "lies.bus.blocking" in loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {
        "asyncio",
        "pyroute2",
        "scapy",
        "dbus_next",
        "structlog",
        "prometheus_client",
        "rich",
    }
    assert not loaded & {"lies.bus.server", "lies.bus.core", "lies.abstract", "lies.config"}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("trac",),
        ("trace", "--no-such-option"),
        ("trace", "link_upp"),
        ("trace", "-t", "never"),
        ("trace", "-n", "0"),
        ("config", "check"),
        ("predict", "a.csv"),
        ("predict", "a.csv", "b.csv", "-o", "x"),
        ("predict", "d1/a.csv", "d2/a.csv", "--out-dir", "x"),
        ("record",),
        ("record", "-o", "x.wav"),
        ("connect", "wlan0"),
    ],
)
def test_usage_errors(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cannot be meant ends with 2 and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    done = lies(*words)
    assert done.exit_code == 2, done.stderr
    assert done.stderr
    assert list(tmp_path.iterdir()) == []


def test_usage_errors_of_a_process() -> None:
    """The process ends with the same exit code and without a traceback."""
    done = process("trace", "link_upp")
    assert done.returncode == 2
    assert "did you mean 'link_up'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_near_command_is_suggested() -> None:
    """A mistyped command is answered with the nearest."""
    assert "'trace'" in lies("trac").stderr


@pytest.mark.parametrize(
    "words",
    [
        ("trace",),
        ("links",),
        ("poas", "wlan0"),
        ("connect", "wlan0", "ap1"),
        ("disconnect", "wlan0"),
        ("exec", "--on", "link_up", "--", "true"),
        ("record", "-o", "{}/x.ndjson"),
        ("replay", "{}/x.csv"),
    ],
)
def test_no_daemon(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a daemon everything that needs one ends with 4 and says how to start one."""
    monkeypatch.setenv("LIES_RUNTIME_DIR", "set back afterwards: --runtime-dir sets it")
    falling_trace(tmp_path / "x.csv")
    (tmp_path / "run").mkdir()
    done = lies(*(w.format(tmp_path) for w in words), "--runtime-dir", str(tmp_path / "run"))
    assert done.exit_code == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "lies run" in done.stderr
    assert not (tmp_path / "x.ndjson").exists()


def test_config_check(tmp_path: Path) -> None:
    """A good file is 0; broken TOML, an unknown driver and a wrong option are 2, each with its sentence."""
    good = tmp_path / "good.toml"
    good.write_text("[daemon]\nheartbeat_s = 0.25\n")
    assert lies("config", "check", str(good)).exit_code == 0
    for text, said in (
        ("[daemon\n", "line 1, column 8: expected ']'"),
        ("[drivers.wlan0]\ndriver = 'nl80212'\n", "unknown driver 'nl80212'"),
        ("[drivers.simwifi]\nscenaroi = 'x'\n", "did you mean 'scenario'?"),
        ("[drivers.simwifi.abstract]\ndampin_s = 1.0\n", "did you mean 'damping_s'?"),
        ("[daemon]\ngroup = 'no such group'\n", "no group 'no such group'"),
        ("[daemon.users]\n'no such user' = ['act']\n", "no user 'no such user'"),
    ):
        bad = tmp_path / "bad.toml"
        bad.write_text(text)
        done = lies("config", "check", str(bad))
        assert done.exit_code == 2, text
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello\n", "neither a recording nor a trace"),
        (b"t_s,link_type,poa\n1,wifi,ap1\n", "no signal column"),
        (TRACE.encode(), "no row"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc", "is truncated"),
        (b'{"type": "link_up"}\n', "not a recording"),
    ],
)
def test_bad_input_files(content: bytes, said: str, tmp_path: Path) -> None:
    """A file that is no trace ends with 3 and one sentence, and no output file is left."""
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    for words in (("info", str(file)), ("predict", str(file), "-o", str(tmp_path / "out"))):
        done = lies(*words)
        assert done.exit_code == 3, done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_missing_file_is_bad_input(tmp_path: Path) -> None:
    """A file that is not there is named."""
    done = lies("info", str(tmp_path / "none.csv"))
    assert done.exit_code == 3
    assert "none.csv: cannot be read: No such file" in done.stderr


def test_info_of_a_trace(tmp_path: Path) -> None:
    """`lies info -j` is one object with type info."""
    done = lies("info", "-j", str(falling_trace(tmp_path / "x.csv")))
    found = json.loads(done.stdout)
    assert found["type"] == "info"
    assert (found["counts"], found["duration_s"], found["poas"]) == ({"wifi": 40}, 39.0, ["ap1"])
    assert (found["start_s"], found["signal"], found["attachments"]) == (0.0, "rssi_dbm", 1)


def test_predict_warns_before_the_loss(tmp_path: Path) -> None:
    """The lines of a falling signal come before its loss, each with t_s, time_to_down_ms and confidence."""
    trace = falling_trace(tmp_path / "x.csv")
    assert lies("predict", str(trace), "-o", str(tmp_path / "alarms.ndjson")).exit_code == 0
    alarms = [json.loads(line) for line in (tmp_path / "alarms.ndjson").read_text().splitlines()]
    assert alarms
    for alarm in alarms:
        assert alarm["type"] == "link_going_down"
        assert 10.0 <= alarm["t_s"] <= 30.0
        assert alarm["time_to_down_ms"] >= 0
        assert 0.0 <= alarm["confidence"] <= 1.0


def test_predict_writes_an_empty_file(tmp_path: Path) -> None:
    """A link that never fades gives a file without lines, named after the trace."""
    trace = tmp_path / "steady.csv"
    trace.write_text(TRACE + "".join(f"{t},wifi,,ap1,-50,,,,,,\n" for t in range(30)))
    assert lies("predict", str(trace), "--out-dir", str(tmp_path / "out" / "deep")).exit_code == 0
    assert (tmp_path / "out" / "deep" / "steady.ndjson").read_text() == ""


def test_predict_reads_recordings(tmp_path: Path) -> None:
    """A recording of the same samples gives the same lines, on the recording's own clock."""
    trace = falling_trace(tmp_path / "x.csv")
    link = Link("wlan0", Technology.WIFI)
    with RecordingWriter(tmp_path / "x.ndjson") as writer:
        for number, (t_ns, item) in enumerate(open_trace(trace).items(), 1):
            header = Header("d", 1, number, t_ns + 10**12, t_ns + 10**12, link)
            match item:
                case Sample():
                    writer.write(RawSample(header, evolve(item, t_ns=header.mono_ns)))
                case Attached():
                    writer.write(RawAttached(header, evolve(item, t_ns=header.mono_ns)))
                case Detached():
                    writer.write(RawDetached(header, evolve(item, t_ns=header.mono_ns)))
    outputs = [lies("predict", str(file), "-o", "-").stdout for file in (trace, tmp_path / "x.ndjson")]
    assert outputs[0]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("ending", [".lies", ".ndjson"])
def test_predict_says_what_it_could_not_read(tmp_path: Path, ending: str) -> None:
    """A torn recording is read as far as it goes, and one sentence says that it is torn."""
    whole, torn = tmp_path / f"x{ending}", tmp_path / f"torn{ending}"
    assert lies("convert", str(falling_trace(tmp_path / "x.csv")), str(whole)).exit_code == 0
    octets = whole.read_bytes()
    torn.write_bytes(octets + octets[-30:-10])
    wanted = lies("predict", str(whole), "-o", "-")
    assert (wanted.stderr, wanted.stdout != "") == ("", True)
    done = lies("predict", str(torn), "-o", "-")
    assert (done.exit_code, done.stdout) == (0, wanted.stdout)
    assert done.stderr.startswith(f"lies: {torn}: torn: 20 octets could not be read")
    assert done.stderr.count("\n") == 1


def test_names_from_the_air_do_not_steer_the_terminal() -> None:
    """Control characters in a PoA's name are shown, not sent."""
    assert clean("caf\u00e9 \x1b[2J\n") == "caf\u00e9 \\x1b[2J\\x0a"


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """An output that cannot be written ends with 1."""
    done = lies("predict", str(falling_trace(tmp_path / "x.csv")), "-o", "/dev/full")
    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [("info",), ("predict", "-o", "-"), ("--help",), ("info", "--help")])
def test_full_stdout_is_one_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    """A stdout that takes no more ends with 1."""
    trace = falling_trace(tmp_path / "x.csv")
    files = [] if "--help" in words else [str(trace)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lies", *words, *files],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == "lies: No space left on device\n"
    assert done.returncode == 1


def test_quiet_when_the_reader_leaves(tmp_path: Path) -> None:
    """A closed pipe ends the command without a word."""
    trace = falling_trace(tmp_path / "x.csv")
    command = subprocess.Popen(
        [sys.executable, "-m", "lies", "info", str(trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert command.stdout is not None
    command.stdout.close()
    _, err = command.communicate(timeout=60)
    assert err == b""
    assert command.returncode == 0


def test_interrupt_is_130(tmp_path: Path) -> None:
    """Ctrl-C while a command works ends it with 130 and without a traceback."""
    fifo = tmp_path / "trace.csv"
    os.mkfifo(fifo)
    command = subprocess.Popen(
        [sys.executable, "-m", "lies", "info", str(fifo)], stderr=subprocess.PIPE, text=True
    )
    with fifo.open("wb"):  # the command has come to reading it
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "Traceback" not in err
