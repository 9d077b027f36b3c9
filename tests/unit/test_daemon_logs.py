"""The log of a whole daemon with its children, and where its form comes from."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import LIES, daemon, text_of
from fake_plugins import install
from polling import wait_until

from lies.config import Config, DaemonConfig, LogFormat, LogLevel, overridden
from lies.errors import ConfigError
from lies.keys import new_key


def logged(text: str) -> list[dict[str, Any]]:
    """The lines, each an object."""
    return [json.loads(line) for line in text.splitlines()]


def test_all_of_a_daemon_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With log_format json every line is an object, of the daemon, its children and signals."""
    install(tmp_path / "site", monkeypatch)
    broken = tmp_path / "broken"
    broken.touch()
    config = (
        '[daemon]\nlog_format = "json"\nlog_level = "debug"\nrestart_min_s = 0.05\nrestart_max_s = 0.1\n'
        '[drivers.fake]\nlink = "fake0"\nisolate = true\n'
        f'[drivers.bad]\ndriver = "fake"\nlink = "fake1"\nisolate = true\nfail_while = "{broken}"\n'
    )
    with daemon(tmp_path, config) as one:
        one.wait_up()
        wait_until(lambda: text_of(one.log).count("failed; it is started again") >= 2, 20)
        assert one.stop() == 0
    lines = logged(one.log.read_text())
    assert all(line["type"] == "log" and line["level"] and line["event"] for line in lines)
    failed = [line for line in lines if line["event"] == "failed; it is started again"]
    assert {(line["plugin"], line["reason"]) for line in failed} == {
        ("bad", "did not start: OSError: the radio is switched off")
    }
    (tracebacks,) = {
        line["traceback"].rpartition("\\n")[2]
        for line in lines
        if line.get("logger") == "lies.worker" and line["plugin"] == "bad"
        if "traceback" in line
    }
    assert tracebacks == "OSError: the radio is switched off"
    assert {line["plugin"] for line in lines if line["event"] == "running"} == {"fake"}
    assert [line["event"] for line in lines].count("stopping on SIGTERM") == 1


@pytest.mark.parametrize("option", [True, False])
def test_command_line_and_environment_outweigh_the_file(
    option: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--log-format and --log-level win over the variables, these over the file, also after a reload."""
    install(tmp_path / "site", monkeypatch)
    file, log, run_dir = tmp_path / "lies.toml", tmp_path / "log", tmp_path / "run"
    file.write_text(f'[daemon]\nruntime_dir = "{run_dir}"\nlog_level = "error"\n[drivers.fake]\n')
    words = ["--log-format", "json", "--log-level", "info"] if option else []
    monkeypatch.setenv("LIES_LOG_FORMAT", "console" if option else "json")
    monkeypatch.setenv("LIES_LOG_LEVEL", "warning" if option else "info")
    with log.open("wb") as stderr:
        process = subprocess.Popen([*LIES, "run", "-c", str(file), *words], stderr=stderr)
    try:
        wait_until(lambda: '"running"' in text_of(log), 20)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"the new configuration is used"' in text_of(log), 20)
    finally:
        process.terminate()
        process.wait(20)
    assert {line["level"] for line in logged(log.read_text())} <= {"info", "warning"}


def test_words_that_are_none() -> None:
    """A level or format that is none is a usage error that names the variable."""
    assert overridden(Config(), {}) == Config()
    good = overridden(
        Config(), {"LIES_LOG_LEVEL": "debug", "LIES_LOG_FORMAT": "json", "LIES_RUNTIME_DIR": "/x"}
    )
    assert good.daemon == DaemonConfig(Path("/x"), LogLevel.DEBUG, LogFormat.JSON)
    with pytest.raises(ConfigError, match="--log-format or LIES_LOG_FORMAT: 'xml' is none of console, json"):
        overridden(Config(), {"LIES_LOG_FORMAT": "xml"})
    with pytest.raises(
        ConfigError, match="--log-level or LIES_LOG_LEVEL: 'INFO' is none of debug, info, warning, error"
    ):
        overridden(Config(), {"LIES_LOG_LEVEL": "INFO"})


def test_usage_error_of_the_command(tmp_path: Path) -> None:
    """`lies run --log-format xml` ends with one sentence and 2."""
    file = tmp_path / "lies.toml"
    file.touch()
    done = subprocess.run(
        [*LIES, "run", "-c", str(file), "--log-format", "xml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "lies: --log-format or LIES_LOG_FORMAT: 'xml' is none of console, json\n",
    )


def test_secrets_are_in_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything logged, also a configuration that is refused, no secret key is in it."""
    install(tmp_path / "site", monkeypatch)
    pair, other = new_key(tmp_path / "keys", "server"), new_key(tmp_path / "keys", "car")
    tcp = (
        '[daemon.tcp]\nbus = "tcp://127.0.0.1:0"\nkey = "server"\nkeys_dir = "keys"\n[daemon.tcp.keys.car]\n'
    )
    good = f'[daemon]\nlog_level = "debug"\n[drivers.fake]\nisolate = true\n{tcp}public = "{other.public}"\n'
    with daemon(tmp_path, good) as one:
        one.wait_up()
        one.file.write_text(good.replace(other.public, other.secret + "x"))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "is no public key" in text_of(one.log), 20)
        one.file.write_text(good.replace(other.public, pair.public))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is used" in text_of(one.log), 20)
        assert one.stop() == 0
    for secret in (pair.secret, other.secret):
        assert secret not in one.log.read_text()
