"""What daemon and child process say to each other over the child's stdin and its channel.

One JSON object a line. The daemon sends one Order, and Logging when that has changed; the child answers with
Reports. End of file on stdin tells the child to stop: it comes also when the daemon dies.
"""

from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from attrs import field, frozen

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.config import Config, ConsumerConfig, DaemonConfig, DriverConfig, LogFormat
from lies.errors import MalformedMessage

MAX_LINE = 1 << 24  # octets of an order or report


@frozen
class Order:
    """Which plugin the child is to run, and where the bus is.

    directory: the runtime directory; file: of the configuration, for errors and relative paths; abstract:
    only for a driver; stop_s: how long it may take to stop before it is killed; capabilities: what it keeps;
    realtime: whether it goes first.
    """

    kind: str
    name: str
    plugin: str
    directory: str
    file: str
    log_level: str
    log_format: LogFormat
    stop_s: float
    capabilities: tuple[Capability, ...] = ()
    realtime: bool = False
    options: dict[str, Any] = field(factory=dict)
    abstract: dict[str, Any] = field(factory=dict)

    def config(self) -> Config:
        """The configuration of just this plugin."""
        if self.kind == "driver":
            driver = DriverConfig(self.name, self.plugin, abstract=self.abstract, options=self.options)
            return Config(drivers=(driver,), file=self.file)
        consumer = ConsumerConfig(self.name, self.plugin, options=self.options)
        return Config(consumers=(consumer,), file=self.file)


@frozen
class Logging:
    """What a child is told later: how to log from now on."""

    log_level: str
    log_format: LogFormat


class State(StrEnum):
    """How far a child is."""

    RUNNING = "running"
    FAILED = "failed"
    FINISHED = "finished"


@frozen
class Report:
    """What a child says; detail: why it failed; links: that its driver has announced when it runs."""

    state: State
    detail: str = ""
    links: tuple[str, ...] = ()


def order_for(
    plugin: DriverConfig | ConsumerConfig,
    config: Config,
    directory: Path,
    capabilities: frozenset[Capability] = NO_CAPABILITIES,
) -> Order:
    """The order to run one configured plugin."""
    driver = isinstance(plugin, DriverConfig)
    return Order(
        kind="driver" if driver else "consumer",
        name=plugin.name,
        plugin=plugin.driver if isinstance(plugin, DriverConfig) else plugin.consumer,
        directory=str(directory.absolute()),
        file=str(Path(config.file).absolute()) if config.file else "",
        log_level=config.daemon.log_level,
        log_format=config.daemon.log_format,
        stop_s=0.8 * config.daemon.stop_s,  # so that a kill comes before the keeper gives it up
        capabilities=tuple(sorted(capabilities)),
        realtime=config.daemon.realtime,
        options=dict(plugin.options),
        abstract=dict(plugin.abstract) if isinstance(plugin, DriverConfig) else {},
    )


def logging_of(daemon: DaemonConfig) -> Logging:
    """How a configuration wants it logged."""
    return Logging(daemon.log_level, daemon.log_format)


def encode(message: Order | Logging | Report) -> bytes:
    """One line."""
    return msgspec.json.encode(message, enc_hook=_as_text) + b"\n"


def decode_order(line: bytes) -> Order:
    """The order in a line; MalformedMessage if it is none."""
    try:
        return msgspec.json.decode(line, type=Order)
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedMessage(f"not an order: {error}") from error


def decode_logging(line: bytes) -> Logging:
    """What a later line says; MalformedMessage if it is nothing of ours."""
    try:
        return msgspec.json.decode(line, type=Logging)
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedMessage(f"not about logging: {error}") from error


def decode_report(line: bytes) -> Report:
    """The report in a line; MalformedMessage if it is none."""
    try:
        return msgspec.json.decode(line, type=Report)
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedMessage(f"not a report: {error}") from error


def _as_text(value: object) -> str:
    """Paths and addresses, which a configuration built in code may hold."""
    return str(value)
