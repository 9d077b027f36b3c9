"""From a configuration to classes and their decoded options: every fault is found before anything starts."""

from collections.abc import Callable
from typing import Any, cast

from attrs import frozen

from lies._decode import decode
from lies.abstract import AeParameters
from lies.capabilities import Capability
from lies.config import Config, ConsumerConfig, DriverConfig, check_names
from lies.consumer import BusClient, Consumer
from lies.driver import Driver, LinkPort
from lies.errors import ConfigError, LiesError, ProtocolViolation
from lies.events import Indication, Link, Raw
from lies.registry import Kind, Registry
from lies.runtime import monotonic_ns


@frozen
class DriverPlan:
    """A configured driver: its class, its own Config, and the parameters of its abstract entity."""

    config: DriverConfig
    cls: type[Driver]
    options: Any
    abstract: AeParameters

    @property
    def needs(self) -> frozenset[Capability]:
        """The capabilities that it cannot do without."""
        return self.cls.needs(self.options)


@frozen
class ConsumerPlan:
    """A configured consumer: its class and its own Config."""

    config: ConsumerConfig
    cls: type[Consumer]
    options: Any

    @property
    def needs(self) -> frozenset[Capability]:
        """The capabilities that it cannot do without."""
        return self.cls.needs(self.options)


@frozen
class Plugins:
    """All that a configuration names, ready to be started."""

    drivers: tuple[DriverPlan, ...]
    consumers: tuple[ConsumerPlan, ...]


def resolve(config: Config, registry: Registry | None = None) -> Plugins:
    """Load and check everything a configuration names.

    Raises UnknownPlugin, PluginUnavailable, and ConfigError for options the plugin refuses, also those that
    it refuses when it is made (such as a scenario file that cannot be read).
    """
    registry = registry or Registry()
    check_names(config)
    drivers = tuple(driver_plan(d, config, registry) for d in config.drivers)
    consumers = tuple(consumer_plan(c, config, registry) for c in config.consumers)
    try:
        for driver in drivers:
            driver.cls(driver.config.name, driver.options, _NoHost())
        for consumer in consumers:
            consumer.cls(consumer.config.name, consumer.options, cast(BusClient, _NoBus()))
    except ConfigError as error:
        if error.file or not config.file:
            raise
        raise ConfigError(error.problem, file=config.file, table=error.table, key=error.key) from error
    return Plugins(drivers, consumers)


def driver_plan(driver: DriverConfig, config: Config, registry: Registry) -> DriverPlan:
    """One driver's class and options; as `resolve`, without making the driver."""
    table = f"drivers.{driver.name}"
    cls = registry.driver(driver.driver)
    options = decode(cls.Config, driver.options, file=config.file, table=table, base=config.base)
    abstract = decode(AeParameters, driver.abstract, file=config.file, table=f"{table}.abstract")
    return DriverPlan(driver, cls, options, abstract)


def consumer_plan(consumer: ConsumerConfig, config: Config, registry: Registry) -> ConsumerPlan:
    """One consumer's class and options; as `resolve`, without making the consumer."""
    cls = registry.consumer(consumer.consumer)
    table = f"consumers.{consumer.name}"
    return ConsumerPlan(
        consumer, cls, decode(cls.Config, consumer.options, file=config.file, table=table, base=config.base)
    )


def discover(registry: Registry | None = None) -> tuple[DriverConfig, ...]:
    """The drivers that find links on this machine by themselves; those that cannot be loaded find none."""
    registry = registry or Registry()
    found: list[DriverConfig] = []
    for name in registry.names(Kind.DRIVER):
        try:
            cls = registry.driver(name)
        except LiesError:
            continue  # its extra is missing: it would find nothing here
        offered = cls.discover()
        found += [DriverConfig(table, name, options=options) for table, options in offered.items()]
    return tuple(found)


class _NoHost:
    """Surroundings of a driver that is made only to see whether its configuration is good."""

    def add_link(self, link: Link, *, controllable: bool) -> LinkPort:
        del controllable
        raise ProtocolViolation(f"link {link.name} was announced before start")

    def now_ns(self) -> int:
        return monotonic_ns()

    def missed(self) -> None:
        raise ProtocolViolation("a driver missed something before start")

    def failed(self, error: Exception) -> None:
        raise ProtocolViolation("a driver failed before start") from error

    def finished(self) -> None:
        raise ProtocolViolation("a driver finished before start")


class _NoBus:
    """A bus for a consumer that is made only to see whether its configuration is good."""

    def on_event(self, callback: Callable[[Indication | Raw], None]) -> None:
        del callback

    def __getattr__(self, name: str) -> object:
        raise ProtocolViolation(f"{name} was asked of the bus before start")
