"""What a log looks like: console or JSON, one line an event, keys and values."""

import json
import subprocess
import sys
from typing import Any

import pytest

BEGIN = "import logging\nfrom lies.config import LogFormat\nfrom lies.logs import bare_line, set_up_logs\n"
LOG = 'log = logging.getLogger("lies.daemon")\n'


def lines(code: str, log_format: str, level: str = "info", plugin: str = "") -> list[str]:
    """What is on stderr after some code, in a process with this kind of log."""
    set_up = f"set_up_logs({level!r}, LogFormat({log_format!r}), plugin={plugin!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + set_up + LOG + code], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def objects(code: str, level: str = "info", plugin: str = "") -> list[dict[str, Any]]:
    """The same as JSON, each line an object."""
    return [json.loads(line) for line in lines(code, "json", level, plugin)]


def test_json_has_keys_in_order() -> None:
    """A JSON line has type, time, level, logger and event, then what the event carries."""
    (line,) = objects('log.warning("it %s", "broke", extra={"link": "wlan0", "starts": 2})')
    assert list(line) == ["type", "time", "level", "logger", "event", "link", "starts"]
    assert line["time"].endswith("Z")
    assert {**line, "time": ""} == {
        "type": "log",
        "time": "",
        "level": "warning",
        "logger": "lies.daemon",
        "event": "it broke",
        "link": "wlan0",
        "starts": 2,
    }


def test_console_has_a_sentence_and_keys() -> None:
    """A console line has time, level, sentence, logger and key=value, without colours on a pipe."""
    (line,) = lines('log.info("it works", extra={"link": "wlan0", "reason": "a b"})', "console")
    assert line.partition(" ")[2] == "[info] it works [lies.daemon] link=wlan0 reason='a b'"


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_one_line_whatever_is_in_it(log_format: str) -> None:
    """Newlines, control characters, lone surrogates and tracebacks are escaped: one line an event."""
    code = (
        'bad = {"poa": "x\\r\\ny\\udc80\\u2028z", "data": b"\\xff", "o": object()}\n'
        'log.error("a\\nb\\x1b[2J", extra=bad)\n'
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('no')\n"
    )
    first, second = lines(code, log_format)
    assert "\x1b" not in first
    assert "ZeroDivisionError" in second
    assert "Traceback" in second


def test_level_and_second_call() -> None:
    """What is below the level is left out; a second call changes level and format, and doubles nothing."""
    code = (
        'log.debug("no")\nlog.info("one")\nset_up_logs("debug", LogFormat.CONSOLE)\n'
        'log.debug("two")\nset_up_logs("error", LogFormat.JSON)\nlog.warning("no")\nlog.error("three")\n'
    )
    one, two, three = lines(code, "json")
    assert json.loads(one)["event"] == "one"
    assert " [debug] two " in two
    assert json.loads(three)["event"] == "three"


def test_a_child_names_its_plugin() -> None:
    """Each line of a plugin's own process says which plugin it is, also one that cannot be logged."""
    code = 'log.info("one")\nimport sys\nsys.stderr.write(bare_line("two"))\n'
    one, two = objects(code, plugin="car")
    assert (one["plugin"], one["event"]) == ("car", "one")
    assert (two["type"], two["plugin"], two["event"]) == ("log", "car", "two")
    assert lines(code, "console", plugin="car")[1] == "two"


def test_plugins_may_use_structlog() -> None:
    """What a plugin logs with structlog itself comes out the same way, with what it has bound."""
    code = (
        "import structlog\n"
        'structlog.get_logger("mine").bind(link="wlan0").warning("moved", poa="ap2")\n'
        'structlog.get_logger("mine").debug("no")\n'
    )
    (line,) = objects(code)
    assert (line["logger"], line["event"], line["link"], line["poa"]) == ("mine", "moved", "wlan0", "ap2")
