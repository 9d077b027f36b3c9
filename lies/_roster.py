"""The keepers of all configured drivers and consumers, and how they follow a new configuration."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import field, frozen

from lies._child import ChildRoom
from lies._keeper import Ended, Keeper, Patience, Room
from lies._orders import logging_of, order_for
from lies.bus.core import BusCore
from lies.bus.local import LocalClient
from lies.bus.messages import PluginState, PluginStatus
from lies.bus.publisher import LocalPublisher
from lies.capabilities import NO_CAPABILITIES, Capability
from lies.config import Config, DriverConfig
from lies.errors import NotPermitted
from lies.plugins import ConsumerPlan, DriverPlan, Plugins
from lies.rooms import ConsumerRoom, DriverRoom, Failed, OpenClient, OpenPublisher
from lies.runtime import monotonic_ns, now_s, wall_ns

MOST_REASON = 500  # characters of a reason that others are told

Plan = DriverPlan | ConsumerPlan
PlanT = TypeVar("PlanT", DriverPlan, ConsumerPlan)


@frozen
class Withheld:
    """Capabilities that the process had and gave up: for plugins in it, and for those in children."""

    here: frozenset[Capability] = NO_CAPABILITIES
    in_children: frozenset[Capability] = NO_CAPABILITIES


@frozen
class Change:
    """The names of plugins that a new configuration concerns."""

    added: list[str] = field(factory=list)
    removed: list[str] = field(factory=list)
    changed: list[str] = field(factory=list)


@frozen
class _Post:
    plan: Plan
    keeper: Keeper


class Roster:
    """Starts drivers, then consumers; stops them the other way round; each has a keeper of its own."""

    def __init__(self, core: BusCore, directory: Path, config: Config, plugins: Plugins) -> None:
        self.withheld = Withheld()
        self._core = core
        self._directory = directory
        self._config = config
        self._drivers: dict[str, _Post] = {p.config.name: self._post(p) for p in plugins.drivers}
        self._consumers: dict[str, _Post] = {p.config.name: self._post(p) for p in plugins.consumers}

    async def start(self) -> None:
        """Start all; returns when each runs, has failed once, or takes too long."""
        await _start(self._drivers.values())
        await _start(self._consumers.values())

    async def stop(self) -> None:
        """Stop all, also those that have not quite started."""
        await _stop(self._consumers.values())
        await _stop(self._drivers.values())

    async def become(self, config: Config, plugins: Plugins) -> Change:
        """Stop, start and restart what differs; who is as before does not notice.

        The links of a driver that was stopped are indicated to be down and then forgotten.
        """
        self._config = config
        for post in self._posts():
            post.keeper.patience = _patience(config)
            if isinstance(post.keeper.room, ChildRoom):
                post.keeper.room.log_as(logging_of(config.daemon))
        change = Change()
        drivers = _differences(self._drivers, plugins.drivers, change)
        consumers = _differences(self._consumers, plugins.consumers, change)
        leaving = [*change.removed, *change.changed]
        await _stop(post for name, post in self._consumers.items() if name in leaving)
        await _stop(post for name, post in self._drivers.items() if name in leaving)
        for name in leaving:
            self._consumers.pop(name, None)
            if self._drivers.pop(name, None) is not None:
                self._core.forget_lost(name)
        begun = {plan.config.name: self._post(plan) for plan in drivers}
        self._drivers |= begun
        await _start(begun.values())
        begun = {plan.config.name: self._post(plan) for plan in consumers}
        self._consumers |= begun
        await _start(begun.values())
        return change

    def states(self) -> tuple[PluginState, ...]:
        """How each of them is, drivers first."""
        now = now_s()
        return tuple(_state(post, now) for post in self._posts())

    def _posts(self) -> Iterator[_Post]:
        yield from self._drivers.values()
        yield from self._consumers.values()

    # ---- where a plugin runs

    def _post(self, plan: Plan) -> _Post:
        return _Post(plan, Keeper(plan.config.name, lambda: self._room(plan), _patience(self._config)))

    def _room(self, plan: Plan) -> Room:
        withheld = self.withheld.in_children if plan.config.isolate else self.withheld.here
        if lacking := plan.needs & withheld:
            return _LockedRoom(lacking)
        if plan.config.isolate:
            return self._child(plan)
        if isinstance(plan, DriverPlan):
            return DriverRoom(plan, self._publisher(plan.config.name))
        return ConsumerRoom(plan, self._client(plan.config.name))

    def _publisher(self, name: str) -> Callable[[], Awaitable[OpenPublisher]]:
        async def connect() -> OpenPublisher:
            return LocalPublisher(self._core, name)

        return connect

    def _client(self, name: str) -> Callable[[Failed], Awaitable[OpenClient]]:
        async def connect(failed: Failed) -> OpenClient:
            return LocalClient(self._core, name, on_failure=failed)

        return connect

    def _child(self, plan: Plan) -> ChildRoom:
        core, plugin = self._core, plan.config
        order = order_for(plugin, self._config, self._directory, plan.needs)

        def gone() -> None:
            publisher = core.publisher(plugin.name) if isinstance(plugin, DriverConfig) else None
            if publisher is not None:
                core.close_publisher(publisher, mono_ns=monotonic_ns(), wall_ns=wall_ns())

        def announced(links: Collection[str]) -> bool:
            publisher = core.publisher(plugin.name)
            return not links or (publisher is not None and publisher.links.issuperset(links))

        return ChildRoom(order, gone, announced)


class _LockedRoom:
    """A plugin that cannot be started any more: what it needs was given up."""

    def __init__(self, lacking: frozenset[Capability]) -> None:
        self._lacking = ", ".join(sorted(lacking))

    async def open(self) -> None:
        """Say so."""
        raise NotPermitted(
            f"it needs {self._lacking}, which this daemon gave up when it began: start the daemon again"
        )

    async def ended(self) -> Ended:
        """Never reached."""
        raise AssertionError

    async def stop(self) -> None:
        """Nothing has begun."""

    def lost(self) -> None:
        """Nothing has begun."""

    def release(self) -> None:
        """Nothing has begun."""


def needs(plugins: Plugins) -> tuple[frozenset[Capability], frozenset[Capability]]:
    """What plugins in this process need, and what those in children do."""
    here, in_children = NO_CAPABILITIES, NO_CAPABILITIES
    plans: tuple[Plan, ...] = (*plugins.drivers, *plugins.consumers)
    for plan in plans:
        if plan.config.isolate:
            in_children |= plan.needs
        else:
            here |= plan.needs
    return here, in_children


def _patience(config: Config) -> Patience:
    daemon = config.daemon
    return Patience(
        stop_s=daemon.stop_s, restart_min_s=daemon.restart_min_s, restart_max_s=daemon.restart_max_s
    )


async def _start(posts: Iterable[_Post]) -> None:
    await asyncio.gather(*(post.keeper.start() for post in posts))


async def _stop(posts: Iterable[_Post]) -> None:
    await asyncio.gather(*(post.keeper.stop() for post in posts))


def _differences(before: dict[str, _Post], after: Sequence[PlanT], change: Change) -> list[PlanT]:
    """Note what differs; the plans that are to be started."""
    wanted = {plan.config.name: plan for plan in after}
    change.removed.extend(name for name in before if name not in wanted)
    change.changed.extend(n for n, plan in wanted.items() if n in before and before[n].plan != plan)
    change.added.extend(name for name in wanted if name not in before)
    return [plan for name, plan in wanted.items() if name in {*change.added, *change.changed}]


def _state(post: _Post, now: float) -> PluginState:
    keeper, config = post.keeper, post.plan.config
    failed = keeper.status is PluginStatus.FAILED
    retry_s = keeper.retry_s if failed else None
    return PluginState(
        name=config.name,
        kind="driver" if isinstance(config, DriverConfig) else "consumer",
        plugin=config.driver if isinstance(config, DriverConfig) else config.consumer,
        status=keeper.status,
        isolated=config.isolate,
        starts=keeper.starts,
        reason=keeper.reason[:MOST_REASON] if keeper.status is not PluginStatus.RUNNING else "",
        retry_in_ms=None if retry_s is None else max(0, round(1000 * (retry_s - now))),
    )
