"""The daemon behind `lies run`: bus first, then drivers, consumers last; stopped in reverse order.

Each driver and consumer has a keeper, which starts it again when it fails while the others go on.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lies._child import ChildRoom
from lies._keeper import Keeper, Patience, Room
from lies._orders import order_for
from lies._stopping import StopSignals
from lies._systemd import notify
from lies.admission import admission
from lies.bus.core import BusCore
from lies.bus.local import LocalClient
from lies.bus.publisher import LocalPublisher
from lies.bus.server import BusServer
from lies.config import Config, ConsumerConfig, DriverConfig
from lies.errors import LiesError
from lies.logs import set_up_logs
from lies.paths import daemon_runtime_dir
from lies.plugins import ConsumerPlan, DriverPlan, Plugins, discover, resolve
from lies.registry import Registry
from lies.rooms import ConsumerRoom, DriverRoom, Failed, OpenClient, OpenPublisher
from lies.runtime import monotonic_ns, wall_ns

_log = logging.getLogger("lies.daemon")


class Supervisor:
    """One daemon: a bus, and a keeper for every configured driver and consumer."""

    def __init__(self, config: Config, registry: Registry | None = None) -> None:
        self._config = config
        self._plugins = resolve(config, registry)
        daemon = config.daemon
        self.directory = daemon_runtime_dir(daemon.runtime_dir)
        admitted = admission(config)
        self.core = BusCore(epoch=wall_ns(), rights=admitted.rights)
        self.server = BusServer(
            self.core,
            self.directory,
            uid=admitted.uid,
            gid=admitted.gid,
            tcp=admitted.tcp,
            heartbeat_s=daemon.heartbeat_s,
        )
        patience = Patience(
            stop_s=daemon.stop_s,
            restart_min_s=daemon.restart_min_s,
            restart_max_s=daemon.restart_max_s,
        )
        self.drivers = [Keeper(p.config.name, self._driver_room(p), patience) for p in self._plugins.drivers]
        self.consumers = [
            Keeper(p.config.name, self._consumer_room(p), patience) for p in self._plugins.consumers
        ]

    async def start(self) -> None:
        """Open the bus, start drivers, then consumers; one that fails is tried again later.

        Raises EndpointInUse, NotPermitted or ConfigError if the endpoints cannot be had.
        """
        await self.server.start()
        _log.info("the bus is at %s", ", ".join((str(self.directory), *self.server.addresses.values())))
        await asyncio.gather(*(keeper.start() for keeper in self.drivers))
        await asyncio.gather(*(keeper.start() for keeper in self.consumers))

    async def stop(self) -> None:
        """Stop consumers, then drivers, then the bus; also one that has not quite started."""
        await asyncio.gather(*(keeper.stop() for keeper in self.consumers))
        await asyncio.gather(*(keeper.stop() for keeper in self.drivers))
        await self.server.stop()

    def _driver_room(self, plan: DriverPlan) -> Callable[[], Room]:
        async def connect() -> OpenPublisher:
            return LocalPublisher(self.core, plan.config.name)

        if plan.config.isolate:
            return lambda: self._child(plan.config)
        return lambda: DriverRoom(plan, connect)

    def _consumer_room(self, plan: ConsumerPlan) -> Callable[[], Room]:
        async def connect(failed: Failed) -> OpenClient:
            return LocalClient(self.core, plan.config.name, on_failure=failed)

        if plan.config.isolate:
            return lambda: self._child(plan.config)
        return lambda: ConsumerRoom(plan, connect)

    def _child(self, plugin: DriverConfig | ConsumerConfig) -> ChildRoom:
        order = order_for(plugin, self._config, self.directory, self._config.daemon.log_level)

        def gone() -> None:
            if isinstance(plugin, DriverConfig):
                publisher = self.core.publisher(plugin.name)
                if publisher is not None:
                    self.core.close_publisher(publisher, mono_ns=monotonic_ns(), wall_ns=wall_ns())

        return ChildRoom(order, gone)


def check(config: Config, registry: Registry | None = None) -> Plugins:
    """All that keeps a daemon of this configuration from being made, and nothing is started.

    Raises what `lies.plugins.resolve` and `lies.admission.admission` do.
    """
    admission(config)
    return resolve(config, registry)


def find_links(missing: Path, registry: Registry | None = None) -> tuple[Config, str]:
    """The configuration of a daemon without one, and the sentence that says so: links the drivers find."""
    drivers = discover(registry)
    found = ", ".join(f"{d.name} ({d.driver})" for d in drivers)
    what = (
        f"the drivers found {found}"
        if found
        else "no driver found a link by itself, the bus runs without one"
    )
    return Config(drivers=drivers), f"there is no configuration at {missing}: {what}"


async def run(
    config: Config,
    *,
    ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
    registry: Registry | None = None,
) -> None:
    """Run a daemon on this loop until `stop` is set; `ready` is called once everything was started.

    Raises LiesError for what keeps it from starting; nothing is left behind then.
    """
    supervisor = Supervisor(config, registry)
    starting = asyncio.create_task(supervisor.start())
    stopped = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            notify("READY=1")
            if ready is not None:
                ready()
        await stopped
    finally:
        starting.cancel()
        stopped.cancel()
        notify("STOPPING=1")
        await supervisor.stop()


def run_daemon(
    config: Config, *, ready: Callable[[], None] | None = None, registry: Registry | None = None
) -> int:
    """Run a daemon in this process until SIGTERM or SIGINT, in the main thread; returns the exit code.

    0 after SIGTERM, 130 after SIGINT, an error's own otherwise, with its sentence on stderr.
    """
    set_up_logs(config.daemon.log_level)
    try:
        return asyncio.run(_until_signal(config, ready, registry))
    except LiesError as error:
        sys.stderr.write(f"lies: {error}\n")
        return error.exit_code


async def _until_signal(config: Config, ready: Callable[[], None] | None, registry: Registry | None) -> int:
    stop = asyncio.Event()
    limit_s = 2.0 * (config.daemon.stop_s + 1.0) + 2.0
    with StopSignals(asyncio.get_running_loop(), stop, limit_s=limit_s) as signals:
        await run(config, ready=ready, stop=stop, registry=registry)
        return 130 if signals.received is signal.SIGINT else 0
