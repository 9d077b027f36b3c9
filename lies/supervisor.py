"""The daemon behind `lies run`: bus first, then drivers, consumers last; stopped in reverse order.

Each driver and consumer has a keeper, which starts it again when it fails while the others go on. A new
configuration is followed without a restart of what it does not concern.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import evolve

from lies._keeper import describe
from lies._listen import Listen, listen_of
from lies._offer import Offer, load_metrics
from lies._privileges import keep_only
from lies._roster import Roster, Withheld, needs
from lies._scheduling import try_to_go_first
from lies._stopping import StopSignals, has_terminal
from lies._systemd import Pulse, notify, reloading
from lies.admission import Admission, admission
from lies.bus.core import BusCore
from lies.bus.messages import PluginStatus
from lies.bus.server import BusServer
from lies.config import Config, DaemonConfig, TcpConfig
from lies.errors import LiesError
from lies.logs import bare_line, set_up_logs
from lies.paths import daemon_runtime_dir
from lies.plugins import Plugins, discover, resolve
from lies.registry import Registry
from lies.runtime import wall_ns

_log = logging.getLogger("lies.daemon")

Reread = Callable[[], Config]
"""The configuration as it is now; raises what `lies.config.load` does."""

_ONLY_AT_START = ("runtime_dir", "owner", "group", "heartbeat_s", "realtime")  # keys of [daemon]
_TCP_ONLY_AT_START = ("bus", "publish", "key", "keys_dir")
_BEATS_MISSED = 4.0  # heartbeats without which the bus is taken for stuck


class Supervisor:
    """One daemon: a bus, and a keeper for every configured driver and consumer."""

    def __init__(self, config: Config, registry: Registry | None = None) -> None:
        self._config = config
        self._registry = registry
        self._plugins, self._admitted, self._listen = _checked(config, registry)
        daemon, admitted = config.daemon, self._admitted
        self.directory = daemon_runtime_dir(daemon.runtime_dir)
        self.core = BusCore(epoch=wall_ns(), rights=admitted.rights)
        self.server = BusServer(
            self.core,
            self.directory,
            uid=admitted.uid,
            gid=admitted.gid,
            tcp=admitted.tcp,
            heartbeat_s=daemon.heartbeat_s,
        )
        self.roster = Roster(self.core, self.directory, config, self._plugins)
        self.core.plugins = self.roster.states
        self.reloads = {"done": 0, "refused": 0}
        self.offer = Offer(
            self.core, self.server, self.roster.states, self.reloads, uid=admitted.uid, gid=admitted.gid
        )
        self.pulse = Pulse(
            self.status, lambda: self.server.beat_s, stale_s=_BEATS_MISSED * daemon.heartbeat_s
        )
        self._refused = ""  # why the last reload was

    def give_up_capabilities(self) -> None:
        """Keep only those that plugins need; for good, for the whole process, so before it has threads."""
        here, in_children = needs(self._plugins)
        try:
            had = keep_only(here, for_children=in_children)
        except OSError as error:
            _log.warning("capabilities cannot be given up", extra={"reason": str(error)})
            return
        self.roster.withheld = Withheld(had - here, had - in_children)

    async def start(self) -> None:
        """Open the bus, start drivers, then consumers; one that fails is tried again later.

        Returns when each has announced its links, has failed once, or takes longer than ten seconds. Raises
        EndpointInUse, NotPermitted or ConfigError if the endpoints cannot be had.
        """
        await self.server.start()
        try_to_go_first(wanted=self._config.daemon.realtime)
        where = ", ".join((str(self.directory), *self.server.addresses.values()))
        _log.info("the bus is at %s", where, extra={"epoch": self.core.epoch})
        await self.offer.start(self._listen)
        await self.roster.start()

    async def stop(self) -> None:
        """Stop consumers, then drivers, then the bus; also one that has not quite started."""
        self.pulse.stop()
        await self.roster.stop()
        await self.offer.stop()
        await self.server.stop()

    def status(self) -> str:
        """One line for people: links, and what does not run."""
        links = self.core.links.values()
        parts = [f"{sum(s.up for s in links)} of {len(links)} links up"]
        parts += [
            f"{plugin.kind} {plugin.name} failed: {plugin.reason}"
            for plugin in self.roster.states()
            if plugin.status is PluginStatus.FAILED
        ]
        if self._refused:
            parts.append(f"the new configuration is not used: {self._refused}")
        return "; ".join("".join(c if c.isprintable() else "?" for c in part) for part in parts)

    # ---- another configuration

    async def reload(self, reread: Reread) -> bool:
        """Follow the configuration as it is now; if it is wrong, that is logged and the old one goes on."""
        notify(reloading())
        try:
            config = await asyncio.to_thread(reread)
            found = await asyncio.to_thread(_checked, config, self._registry)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises when it is loaded, the others go on
            self._refused = describe(error)
            self.reloads["refused"] += 1
            _log.error(
                "the new configuration is not used; the old one goes on", extra={"reason": self._refused}
            )
        else:
            self._refused = ""
            await self._become(config, *found)
            self.reloads["done"] += 1
        self.pulse.say("READY=1")
        return not self._refused

    async def _become(
        self, config: Config, plugins: Plugins, admitted: Admission, listen: Listen | None
    ) -> None:
        set_up_logs(config.daemon.log_level, config.daemon.log_format)
        later = list(_waiting_for_restart(self._config.daemon, config.daemon))
        if not later and admitted.tcp != self._admitted.tcp:
            later.append("tcp.key")  # another pair under the same name
        if later:
            _log.warning("some of it takes effect when the daemon is started again", extra={"keys": later})
        self._config = evolve(config, daemon=_as_begun(self._config.daemon, config.daemon))
        self.core.rights.become(admitted.rights)
        self.server.recheck()
        await self.offer.become(listen)
        change = await self.roster.become(self._config, plugins)
        _log.info(
            "the new configuration is used",
            extra={"added": change.added, "removed": change.removed, "changed": change.changed},
        )


def check(config: Config, registry: Registry | None = None) -> Plugins:
    """All that keeps a daemon of this configuration from being made, and nothing is started.

    Raises what `lies.plugins.resolve` and `lies.admission.admission` do, and PluginUnavailable where metrics
    are wanted and their extra is missing.
    """
    return _checked(config, registry)[0]


def _checked(config: Config, registry: Registry | None) -> tuple[Plugins, Admission, Listen | None]:
    admitted, listen = admission(config), listen_of(config)
    if listen is not None:
        load_metrics()
    plugins = resolve(config, registry)
    needs(plugins)  # asks every plugin
    return plugins, admitted, listen


def _waiting_for_restart(before: DaemonConfig, after: DaemonConfig) -> Iterator[str]:
    """The keys of `[daemon]` that differ and that a running daemon cannot follow."""
    for key in _ONLY_AT_START:
        if getattr(before, key) != getattr(after, key):
            yield key
    had, wanted = before.tcp or TcpConfig(), after.tcp or TcpConfig()
    for key in _TCP_ONLY_AT_START:
        if getattr(had, key) != getattr(wanted, key):
            yield f"tcp.{key}"


def _as_begun(before: DaemonConfig, after: DaemonConfig) -> DaemonConfig:
    """The new table, but for what a running daemon cannot follow."""
    kept = {key: getattr(before, key) for key in _ONLY_AT_START}
    had, wanted = before.tcp or TcpConfig(), after.tcp or TcpConfig()
    tcp = evolve(wanted, **{key: getattr(had, key) for key in _TCP_ONLY_AT_START})
    return evolve(after, **kept, tcp=None if before.tcp is None else tcp)


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
    reread: Reread | None = None,
    reload: asyncio.Event | None = None,
) -> None:
    """Run a daemon on this loop until `stop` is set; `ready` is called once everything was started.

    Each time `reload` is set, the configuration that `reread` gives is followed. Raises LiesError for what
    keeps the daemon from starting; nothing is left behind then.
    """
    await _run(Supervisor(config, registry), ready, stop or asyncio.Event(), reread, reload)


async def _run(
    supervisor: Supervisor,
    ready: Callable[[], None] | None,
    stop: asyncio.Event,
    reread: Reread | None,
    reload: asyncio.Event | None,
) -> None:
    starting = asyncio.create_task(supervisor.start())
    stopped = asyncio.create_task(stop.wait())
    reloads: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            supervisor.pulse.say("READY=1")
            supervisor.pulse.start()
            if ready is not None:
                ready()
            if reread is not None and reload is not None:
                reloads = asyncio.create_task(_follow(supervisor, reread, reload))
        await stopped
    finally:
        for task in (starting, stopped, reloads):
            if task is not None:
                task.cancel()
        notify("STOPPING=1")
        await supervisor.stop()


async def _follow(supervisor: Supervisor, reread: Reread, reload: asyncio.Event) -> None:
    """One reload after the other; what was asked for meanwhile is one more."""
    while True:
        await reload.wait()
        reload.clear()
        await supervisor.reload(reread)


def run_daemon(
    config: Config,
    *,
    ready: Callable[[], None] | None = None,
    registry: Registry | None = None,
    reread: Reread | None = None,
) -> int:
    """Run a daemon in this process until SIGTERM or SIGINT, in the main thread; returns the exit code.

    0 after SIGTERM, 130 after SIGINT, an error's own otherwise, with its sentence on stderr. SIGHUP makes it
    follow the configuration that `reread` gives, and ends it if it comes of a terminal that was closed.
    Capabilities that no plugin needs are given up for good.
    """
    set_up_logs(config.daemon.log_level, config.daemon.log_format)
    try:
        supervisor = Supervisor(config, registry)
        supervisor.give_up_capabilities()
        return asyncio.run(_until_signal(supervisor, config, ready, reread))
    except LiesError as error:
        sys.stderr.write(f"lies: {error}\n")
        return error.exit_code


async def _until_signal(
    supervisor: Supervisor, config: Config, ready: Callable[[], None] | None, reread: Reread | None
) -> int:
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    limit_s = 2.0 * (config.daemon.stop_s + 1.0) + 2.0
    leaves_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL  # no nohup(1)
    with StopSignals(loop, stop, limit_s=limit_s, line=bare_line) as signals:

        def hang_up() -> None:
            if leaves_with_terminal and not has_terminal():
                signals.ask()
            else:
                reload.set()

        if reread is not None:
            loop.add_signal_handler(signal.SIGHUP, hang_up)

        def settled() -> None:
            gc.collect()
            gc.freeze()  # what is there now stays: events need not wait while all of it is looked through
            if ready is not None:
                ready()

        await _run(supervisor, settled, stop, reread, reload)
        return 130 if signals.received is signal.SIGINT else 0
