"""The configuration: what is decoded, and the sentence of every error."""

import contextlib
import ipaddress
import re
from pathlib import Path

import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from lies._decode import decode
from lies.config import Config, LogLevel, load, parse
from lies.errors import ConfigError

GOOD = """
[daemon]
runtime_dir = "run"
log_level = "debug"
heartbeat_s = 1

[drivers.wlan0]
driver = "simwifi"
isolate = true
scenario = "drive.toml"
[drivers.wlan0.abstract]
hysteresis_db = 2.0

[drivers.replay]
file = "x.csv"

[consumers.fmipv6]
role = "mobile_node"
"""


@frozen
class Inner:
    """A nested table."""

    level_db: float = 1.0


@frozen
class Options:
    """A plugin's options, with every kind of value that ours use."""

    count: int
    inner: Inner = field(factory=Inner)
    many: tuple[Inner, ...] = ()
    path: Path | None = None
    address: ipaddress.IPv6Address | None = None
    labels: dict[str, float] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count must not be negative")


def test_whole_file(tmp_path: Path) -> None:
    """Names, plugins, isolation, abstract parameters and own options come out apart from each other."""
    file = tmp_path / "lies.toml"
    file.write_text(GOOD)
    config = load(file)
    wlan, replay = config.drivers
    assert (wlan.name, wlan.driver, wlan.isolate) == ("wlan0", "simwifi", True)
    assert wlan.abstract == {"hysteresis_db": 2.0}
    assert wlan.options == {"scenario": "drive.toml"}
    assert (replay.name, replay.driver, replay.isolate) == ("replay", "replay", False)
    assert config.consumers[0].options == {"role": "mobile_node"}
    assert config.daemon.log_level is LogLevel.DEBUG
    assert config.daemon.heartbeat_s == 1.0
    assert config.daemon.runtime_dir == tmp_path / "run"


def test_empty_file_is_defaults() -> None:
    """An empty configuration is one without drivers and consumers."""
    assert parse("") == Config()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[daemon", "f.toml: line 1: expected ']'"),
        ("[daemon]\nlog_level = \n", "f.toml: line 2, column 13: invalid value"),
        ("[daemon]\na = 1\na = 1", "f.toml: line 3: cannot overwrite a value"),
        ("[deamon]\n", "f.toml: [deamon]: deamon: unknown key; did you mean 'daemon'?"),
        ("x = 1", "f.toml: x: unknown key; known are consumers, daemon, drivers"),
        ("daemon = 1", "f.toml: daemon: must be a table"),
        (
            "[daemon]\nlog_levle = 'info'",
            "f.toml: [daemon]: log_levle: unknown key; did you mean 'log_level'?",
        ),
        (
            "[daemon]\nlog_level = 'loud'",
            "f.toml: [daemon]: log_level: 'loud' is none of debug, info, warning, error",
        ),
        ("[daemon]\nheartbeat_s = 'a'", "f.toml: [daemon]: heartbeat_s: expected a number, got a string"),
        ("[daemon]\nheartbeat_s = nan", "f.toml: [daemon]: heartbeat_s: not a finite number"),
        ("[daemon]\nheartbeat_s = 7.0", "f.toml: [daemon]: heartbeat_s must lie between 0.01 and 1 s"),
        ("[daemon]\nruntime_dir = 3", "f.toml: [daemon]: runtime_dir: expected a string, got an integer"),
        ("[drivers]\nwlan0 = 1", "f.toml: [drivers]: wlan0: must be a table: write [drivers.wlan0]"),
        ("[drivers.'a b']", "f.toml: [drivers]: a b: a name is 1 to 64 letters"),
        (
            "[drivers.w]\ndriver = 1",
            "f.toml: [drivers.w]: driver: expected a string, got an integer",
        ),
        ("[drivers.w]\nisolate = 'no'", "f.toml: [drivers.w]: isolate: expected true or false, got a string"),
        ("[drivers.w]\nabstract = 1", "f.toml: [drivers.w]: abstract: must be a table"),
        ("[drivers.w]\n[consumers.w]", "f.toml: [consumers.w]: a driver has this name already"),
    ],
)
def test_errors_name_file_table_and_key(text: str, sentence: str) -> None:
    """Every fault is one sentence that says where it is."""
    with pytest.raises(ConfigError) as caught:
        parse(text, file="f.toml")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing file, a directory and bytes that are no text are configuration errors."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"[daemon]\n\xff\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        load(tmp_path / "b.toml")


def test_options_are_decoded_strictly(tmp_path: Path) -> None:
    """Nested tables, arrays of tables, paths and addresses become what the class says."""
    table = {
        "count": 1,
        "inner": {"level_db": 2},
        "many": [{"level_db": 3.0}],
        "path": "x",
        "address": "fe80::1",
        "labels": {"a": 1.0},
    }
    got = decode(Options, table, base=tmp_path)
    assert got == Options(
        1, Inner(2.0), (Inner(3.0),), tmp_path / "x", ipaddress.IPv6Address("fe80::1"), {"a": 1.0}
    )


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "[drivers.w]: count: a key that must be given"),
        ({"count": -1}, "[drivers.w]: count must not be negative"),
        (
            {"count": 1, "inner": {"levle_db": 1}},
            "[drivers.w.inner]: levle_db: unknown key; did you mean 'level_db'?",
        ),
        (
            {"count": 1, "inner": {"level_db": "x"}},
            "[drivers.w.inner]: level_db: expected a number, got a string",
        ),
        ({"count": 1, "inner": 1}, "[drivers.w]: inner: expected a table, got an integer"),
        ({"count": 1, "many": [{}, {"level_db": "x"}]}, "[drivers.w.many[1]]: level_db: expected a number"),
        ({"count": 1, "many": [{"x": 1}]}, "[drivers.w.many[0]]: x: unknown key; known are level_db"),
        ({"count": 1, "labels": {"a": float("inf")}}, "[drivers.w]: labels.a: not a finite number"),
        ({"count": 1, "address": "zz"}, "[drivers.w]: address: 'zz' is no IPv6Address"),
        ({"count": 1, "address": 5}, "[drivers.w]: address: expected"),
    ],
)
def test_option_errors(table: dict[str, object], sentence: str) -> None:
    """A plugin's own keys get the same sentences as ours."""
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        decode(Options, table, table="drivers.w")


toml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["count", "inner", "many", "path", "address", "labels", "x"]), toml_values
    )
)
def test_any_table_decodes_or_is_a_config_error(table: dict[str, object]) -> None:
    """No table raises anything but ConfigError."""
    with contextlib.suppress(ConfigError):
        assert isinstance(decode(Options, table, table="t"), Options)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_config_error(text: str) -> None:
    """No text raises anything but ConfigError."""
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text), Config)
