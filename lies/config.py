"""The daemon's configuration: TOML in, frozen classes out.

Three tables: `[daemon]`, `[drivers.NAME]` and `[consumers.NAME]`. The keys of a driver or consumer that
are not ours are its own options; they stay a mapping until the plugin's class is known (lies.registry),
and travel as such to a child process.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from lies._decode import decode, unknown_key
from lies.bus.rights import Right
from lies.errors import ConfigError
from lies.paths import LOG_FORMAT_VARIABLE, LOG_LEVEL_VARIABLE, RUNTIME_DIR_VARIABLE

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$")
_LINE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_TOP = ("daemon", "drivers", "consumers")
TCP_HOW = (
    'make a key with `lies keys new NAME`, then write [daemon.tcp] with bus = "tcp://ADDRESS:PORT" and '
    'key = "NAME", and list who may come in as [daemon.tcp.keys.PEER] with public = "..." and rights = [...]'
)


class LogLevel(StrEnum):
    """How much the daemon logs to stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    CONSOLE = "console"  # for people: a sentence, then key=value
    JSON = "json"  # an object a line


@frozen
class MetricsConfig:
    """The table `[daemon.metrics]`: where Prometheus reads what was counted.

    listen: `ADDRESS:PORT` (an IPv6 address in brackets), or the path of a socket file: it has a slash;
    allow_remote: also on an address that other hosts reach, where anybody may read it.
    """

    listen: str
    allow_remote: bool = False


@frozen
class KeyConfig:
    """One table `[daemon.tcp.keys.NAME]`: a public key and what its holder may do."""

    public: str = ""
    rights: tuple[Right, ...] = (Right.LISTEN,)


@frozen
class TcpConfig:
    """The table `[daemon.tcp]`: the bus for other hosts, only with CURVE (lies.admission checks it).

    bus, publish: `tcp://ADDRESS:PORT` for consumers and for drivers; key: name of the daemon's own key pair,
    kept in keys_dir (None: the user's); keys: who is let in.
    """

    bus: str | None = None
    publish: str | None = None
    key: str | None = None
    keys_dir: Path | None = None
    keys: Mapping[str, KeyConfig] = field(factory=dict)


@frozen
class DaemonConfig:
    """The table `[daemon]`.

    runtime_dir: directory of the endpoints (None: $LIES_RUNTIME_DIR, /run/lies as root, else the user's
    own); owner: user that owns directory and endpoints (None: the daemon's); group: local group that may open
    them (None: the owner only); group_rights: what its members may do; users: name or number of a user ->
    what he may do, if he can open them; tcp: for other hosts; heartbeat_s: how often the last sequence number
    is repeated; stop_s: how long one driver or consumer may take to stop; restart_min_s, restart_max_s: pause
    before a failed one is started again, doubled each time; realtime: go before the ordinary work of the
    host; metrics: None for none.
    """

    runtime_dir: Path | None = None
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.CONSOLE
    owner: str | None = None
    group: str | None = None
    group_rights: tuple[Right, ...] = (Right.LISTEN,)
    users: Mapping[str, tuple[Right, ...]] = field(factory=dict)
    tcp: TcpConfig | None = None
    heartbeat_s: float = 0.25  # a lost tail must be seen within 1 s
    stop_s: float = 5.0
    restart_min_s: float = 0.5
    restart_max_s: float = 30.0
    realtime: bool = False
    metrics: MetricsConfig | None = None

    def __attrs_post_init__(self) -> None:
        if not 0.01 <= self.heartbeat_s <= 1.0:
            raise ValueError("heartbeat_s must lie between 0.01 and 1 s")
        if not 0.0 < self.stop_s <= 60.0:
            raise ValueError("stop_s must lie between 0 and 60 s")
        if not 0.0 < self.restart_min_s <= self.restart_max_s:
            raise ValueError("restart_min_s must be more than 0 and not more than restart_max_s")


@frozen
class DriverConfig:
    """One table `[drivers.NAME]`.

    driver: the installed driver; isolate: run it as a child process; abstract: parameters of its abstract
    entity (lies.abstract.AeParameters); options: the driver's own keys, decoded into its Config.
    """

    name: str
    driver: str
    isolate: bool = False
    abstract: Mapping[str, Any] = field(factory=dict)
    options: Mapping[str, Any] = field(factory=dict)


@frozen
class ConsumerConfig:
    """One table `[consumers.NAME]`: as DriverConfig, without an abstract entity."""

    name: str
    consumer: str
    isolate: bool = False
    options: Mapping[str, Any] = field(factory=dict)


@frozen
class Config:
    """A whole configuration; file: where it was read, "" when built in code."""

    daemon: DaemonConfig = field(factory=DaemonConfig)
    drivers: tuple[DriverConfig, ...] = ()
    consumers: tuple[ConsumerConfig, ...] = ()
    file: str = ""

    @property
    def base(self) -> Path | None:
        """The directory that relative paths in the configuration are relative to."""
        return Path(self.file).absolute().parent if self.file else None


@define
class _DriverKeys:
    driver: str | None = None
    isolate: bool = False


@define
class _ConsumerKeys:
    consumer: str | None = None
    isolate: bool = False


def load(path: Path) -> Config:
    """The configuration in a file; ConfigError names file, table and key, and the line of broken TOML."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"line {line}: not UTF-8", file=str(path)) from error
    return parse(text, file=str(path))


def parse(text: str, *, file: str = "") -> Config:
    """The configuration in a text."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_toml_error(str(error), text), file=file) from error
    except RecursionError as error:
        raise ConfigError("nested too deeply", file=file) from error
    for name, table in tables.items():
        if name not in _TOP:
            raise ConfigError(unknown_key(name, _TOP), file=file, table=name if _is(table) else "", key=name)
        if not _is(table):
            raise ConfigError("must be a table", file=file, key=name)
    config = Config(
        daemon=_daemon(tables.get("daemon", {}), file),
        drivers=tuple(_drivers(tables.get("drivers", {}), file)),
        consumers=tuple(_consumers(tables.get("consumers", {}), file)),
        file=file,
    )
    check_names(config)
    return config


def overridden(config: Config, environ: Mapping[str, str]) -> Config:
    """The configuration with what the environment says instead; ConfigError names the variable."""
    changes: dict[str, Any] = {}
    if directory := environ.get(RUNTIME_DIR_VARIABLE):
        changes["runtime_dir"] = Path(directory)
    for variable, key, kind in (
        (LOG_LEVEL_VARIABLE, "log_level", LogLevel),
        (LOG_FORMAT_VARIABLE, "log_format", LogFormat),
    ):
        if word := environ.get(variable):
            if word not in set(kind):
                option = f"--{key.replace('_', '-')}"
                raise ConfigError(f"{word!r} is none of {', '.join(kind)}", key=f"{option} or {variable}")
            changes[key] = kind(word)
    return evolve(config, daemon=evolve(config.daemon, **changes))


def check_names(config: Config) -> None:
    """ConfigError if two plugins have one name: it is the publisher on the bus."""
    both = {d.name for d in config.drivers} & {c.name for c in config.consumers}
    for name in sorted(both):
        raise ConfigError("a driver has this name already", file=config.file, table=f"consumers.{name}")


def _daemon(table: Mapping[str, Any], file: str) -> DaemonConfig:
    if str(table.get("runtime_dir", "")).startswith("tcp:"):
        problem = f"is a directory of this machine; tcp has a table of its own, with keys: {TCP_HOW}"
        raise ConfigError(problem, file=file, table="daemon", key="runtime_dir")
    base = Path(file).absolute().parent if file else None
    return decode(DaemonConfig, table, file=file, table="daemon", base=base)


def _drivers(tables: Mapping[str, Any], file: str) -> Iterator[DriverConfig]:
    for name, table, options in _plugins(tables, "drivers", file):
        abstract = options.pop("abstract", {})
        if not _is(abstract):
            raise ConfigError("must be a table", file=file, table=table, key="abstract")
        keys = decode(_DriverKeys, _take(options, _DriverKeys), file=file, table=table)
        yield DriverConfig(name, keys.driver or name, keys.isolate, abstract, options)


def _consumers(tables: Mapping[str, Any], file: str) -> Iterator[ConsumerConfig]:
    for name, table, options in _plugins(tables, "consumers", file):
        keys = decode(_ConsumerKeys, _take(options, _ConsumerKeys), file=file, table=table)
        yield ConsumerConfig(name, keys.consumer or name, keys.isolate, options)


def _plugins(tables: Mapping[str, Any], top: str, file: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, options in tables.items():
        table = f"{top}.{name}"
        if not _NAME.match(name):
            raise ConfigError(
                "a name is 1 to 64 letters, digits and . _ - @, not led by . or -",
                file=file,
                table=top,
                key=name,
            )
        if not _is(options):
            raise ConfigError(f"must be a table: write [{table}]", file=file, table=top, key=name)
        yield name, table, dict(options)


def _take(options: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    """Our own keys of a plugin's table, taken out of it."""
    return {a.name: options.pop(a.name) for a in cls.__attrs_attrs__ if a.name in options}


def _is(value: object) -> bool:
    return isinstance(value, dict)


def _toml_error(said: str, text: str) -> str:
    where = _LINE.search(said)
    problem = said[: where.start()] if where else said
    problem = problem[0].lower() + problem[1:]
    if where and where["line"]:
        return f"line {where['line']}, column {where['column']}: {problem}"
    return f"line {max(1, len(text.splitlines()))}: {problem}"
