"""A drive: the testbed built, its daemons and traffic run, every packet counted, everything torn down."""

import asyncio
import gc
import os
from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import Protocol

from attrs import define, evolve, field

from lies import supervisor
from lies._scheduling import go_first_if_allowed, goes_first
from lies.bus.client import Client
from lies.config import Config
from lies.errors import LiesError, NoDaemon
from lies.events import (
    HandoverDone,
    Indication,
    Raw,
    RawAttached,
    RawDetached,
)
from lies.runtime import monotonic_ns, now_s, wall_ns
from lies.testbed import delay, modem, vertical
from lies.testbed import topology as t
from lies.testbed.application import Applications, Main, Site
from lies.testbed.applications import application_of
from lies.testbed.floor import FloorProcess, probe_at_s
from lies.testbed.flows import FlowProcess
from lies.testbed.measure import Direction, Move, judge, moves_of
from lies.testbed.node import Node, spawn, stop_all
from lies.testbed.plan import Configurations, Plan, router_of
from lies.testbed.result import DriveResult, matching
from lies.testbed.scratch import drive_directory
from lies.testbed.traffic import Flow

_READY_S = 30.0
_REGISTERED_S = 20.0
_STILL_S = 0.5  # no counter moved for this long: nothing is on its way any more
_STILL_LIMIT_S = 10.0
_REPORTS_LIMIT_S = 8.0  # a HandoverDone comes a grace after the BA
_PORT = 5001
_PRIMITIVES = (
    "link_up",
    "link_down",
    "link_status_changed",
    "link_going_down",
    "poa_found",
    "poa_lost",
    "report",
    "raw",
)


class DriveFailed(LiesError):
    """A drive that could not be made to its end; the message says what failed."""


class Watcher(Protocol):
    """Who looks on while a drive runs."""

    def on_stage(self, text: str) -> None:
        """What is being done now."""
        ...

    def on_event(self, event: Indication | Raw) -> None:
        """What the mobile node's daemon indicates."""
        ...

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Packets so far, both directions."""
        ...


@define
class Drive:
    """One drive; run it once. Everything it made is gone when `run` returns or raises."""

    plan: Plan
    watcher: Watcher
    topology: t.Topology | None = None
    on_built: Callable[["Drive"], None] | None = None  # called when all daemons run, before the traffic
    on_settled: Callable[["Drive"], None] | None = None  # called after the last packet, before teardown
    _nodes: list[Node] = field(factory=list)
    _flows: list[FlowProcess] = field(factory=list)
    _controls: list[int] = field(factory=list)
    _configs: dict[str, Config] = field(factory=dict)
    _events: list[Indication | Raw] = field(factory=list)
    _directory: Path = Path()
    _start_file: Path = Path()
    _first_poa: str | None = None
    _floor: FloorProcess | None = None
    _cellular: str | None = None
    _applications: Applications = field(factory=Applications)

    def run(self) -> DriveResult:
        """Make the drive; DriveFailed, NotPermitted or KeyboardInterrupt after everything is torn down."""
        begun = now_s()
        result: DriveResult | None = None
        with drive_directory() as directory:
            self._directory = directory
            try:
                self._set_up(directory)
                setup_s = now_s() - begun
                asyncio.run(self._drive())
                if self.on_settled is not None:
                    self.on_settled(self)
                result = self._result()
            except NoDaemon as error:
                raise DriveFailed(f"the mobile node's daemon is gone{self._why()}") from error
            finally:
                torn = now_s()
                self._tear_down()
        if result is None:
            raise DriveFailed("the drive ended without a result")
        return evolve(result, setup_s=setup_s, teardown_s=now_s() - torn)

    def descriptor(self, name: str) -> int:
        """A namespace of the running testbed."""
        if self.topology is None:
            raise DriveFailed("the testbed is not built")
        return self.topology.descriptor(name)

    def pid(self, name: str) -> int:
        """The process of a node's daemon."""
        return next(node.pid for node in self._nodes if node.name == name)

    def restart(self, name: str) -> Node:
        """Kill a node's daemon and start it again: the new process, which is ready a little later."""
        old = next(node for node in self._nodes if node.name == name)
        self._nodes.remove(old)
        old.finish(0.0)  # at once: SIGKILL
        return self._daemon(name, self._configs[name])

    @property
    def bus_directory(self) -> Path:
        """Where the mobile node's daemon has its endpoints."""
        return self._directory / "mn"

    def _set_up(self, directory: Path) -> None:
        options = self.plan.options
        self.watcher.on_stage(f"building {self.plan.routers} access routers")
        self.topology = t.Topology(
            self.plan.routers, delayed_backbone=options.backbone_ms > 0, cellular=options.vertical
        )
        make = Configurations(self.plan, self.topology, directory)
        self._start_file = make.start_file
        gc.collect()
        gc.freeze()  # what the forked processes share stays shared
        if options.backbone_ms > 0:
            read, write = os.pipe2(os.O_CLOEXEC)
            self._controls.append(write)

            def delay_line(ready: Callable[[], None]) -> int:
                os.close(write)
                go_first_if_allowed(2)  # a line does not wait for those who send by it
                return delay.run(("dl-home-in", "dl-bb-in"), options.backbone_ms, ready, read)

            self._spawn("core", delay_line)
            os.close(read)
        bus_file = directory / "modem-bus"
        if options.vertical:
            missing = modem.rig_missing()
            self._cellular = modem.described(missing)
            if missing is None:
                self.watcher.on_stage("starting ModemManager with a modem")
                self._spawn("core", partial(modem.run_rig, bus_file))
        self._daemon("ha", make.home_agent())
        for router in make.access_routers:
            self._daemon(router.name, make.access_router(router))
        self._wait_ready()
        modem_bus = bus_file.read_text("utf-8") if bus_file.exists() else None
        self._daemon("mn", make.mobile_node(modem_bus))
        self._flow("cn", t.CORRESPONDENT, t.HOME_ADDRESS)
        self._flow("mn", t.HOME_ADDRESS, t.CORRESPONDENT)
        if options.floor:
            self._floor = FloorProcess(self.topology.routers, directory, self._spawn)
        if options.app is not None:
            site = Site(directory, self._fork, self.descriptor, options.app_mbps)
            self._applications.prepare(application_of(options.app), site)
        self._wait_ready()
        if self.on_built is not None:
            self.on_built(self)

    def _spawn(self, name: str, main: Main) -> Node:
        self._nodes.append(node := self._fork(name, main))
        return node

    def _fork(self, name: str, main: Main) -> Node:
        log = os.open(self._directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return spawn(name, self.descriptor(name), main, log_fd=log)
        finally:
            os.close(log)

    def _daemon(self, name: str, config: Config) -> Node:
        self._configs[name] = config

        def main(ready: Callable[[], None]) -> int:
            asyncio.run(supervisor.run(config, ready=ready))
            return 0

        return self._spawn(name, main)

    def _flow(self, name: str, local: IPv6Address, remote: IPv6Address) -> None:
        options = self.plan.options
        flow = Flow(local, remote, _PORT, options.payload, options.packets_per_s)
        self._flows.append(FlowProcess.start(name, flow, self._directory, self._spawn))

    def _wait_ready(self) -> None:
        deadline = now_s() + _READY_S
        for node in (*self._nodes, *self._applications.servers):
            try:
                node.wait_ready(deadline)
            except LiesError as error:
                raise DriveFailed(f"{error}{self._why(node.name)}") from error

    async def _drive(self) -> None:
        begun = now_s()
        async with await Client.connect(self.bus_directory, name="demo", timeout_s=_READY_S) as client:

            def on_event(event: Indication | Raw) -> None:
                self._events.append(event)
                self.watcher.on_event(event)
                if self._floor is not None and isinstance(event, RawAttached):
                    at_s = probe_at_s(self.plan.options.shuttle_s)
                    asyncio.get_running_loop().call_later(at_s, self._measure_floor, event.attached.poa)

            client.on_event(on_event)
            for primitive in _PRIMITIVES:
                await client.register(primitive)
            status = await client.link_status(t.MOBILE_LINK)
            if not any(isinstance(event, RawAttached | RawDetached) for event in self._events):
                self._first_poa = status.poa
            self.watcher.on_stage("waiting for the home registration")
            await self._until_reachable()
            self.watcher.on_stage("driving")
            for flow in self._flows:
                flow.order(b"g")
            driven_s = now_s() - begun if self.plan.options.traces else 0.0
            await self._applications.start(self.plan.duration_s - driven_s)
            if not self.plan.options.traces:
                begun = await self._set_off()
            await self._until(begun + self.plan.duration_s, begun)
            for flow in self._flows:
                flow.order(b"s")
            await self._end_applications()
            self.watcher.on_stage("counting")
            await self._until_still(begun)
            await self._until_reported()
        for flow in self._flows:
            flow.order(b"q")
        deadline = now_s() + _STILL_LIMIT_S
        ending = [flow.node for flow in self._flows]
        if self._floor is not None:
            self._floor.end()
            ending.append(self._floor.node)
        for node in ending:
            if node.finish(deadline) != 0:
                raise DriveFailed(f"a process of {node.name} failed{self._why(node.name)}")

    def _measure_floor(self, poa: str) -> None:
        if self._floor is not None and self.topology is not None:
            here = router_of(self.topology, poa)
            if here is not None:
                self._floor.measure(here)

    async def _set_off(self) -> float:
        """Let the car go once there is traffic both ways: when that was."""
        while not all(sent for sent, _, _ in [flow.poll() for flow in self._flows]):
            await asyncio.sleep(0.01)
            self._check_nodes()
        self._start_file.touch()
        return now_s()

    async def _end_applications(self) -> None:
        if self.plan.options.app is not None:
            self.watcher.on_stage(f"waiting for {self.plan.options.app}")
        await self._applications.finish()

    async def _until_reachable(self) -> None:
        """Wait until the correspondent gets an answer from the home address."""
        correspondent = self._flows[0]
        correspondent.order(b"p")
        limit = now_s() + _REGISTERED_S
        while not correspondent.poll()[2]:
            if now_s() > limit:
                raise DriveFailed(
                    f"the home address was not reachable within {_REGISTERED_S:g} s{self._why()}"
                )
            await asyncio.sleep(0.05)
            self._check_nodes()

    async def _until(self, deadline_s: float, begun: float) -> None:
        while (left := deadline_s - now_s()) > 0:
            await asyncio.sleep(min(0.2, left))
            self._watch(begun)

    async def _until_still(self, begun: float) -> None:
        last, since, limit = self._watch(begun), now_s(), now_s() + _STILL_LIMIT_S
        while now_s() - since < _STILL_S and now_s() < limit:
            await asyncio.sleep(0.1)
            if (counts := self._watch(begun)) != last:
                last, since = counts, now_s()

    async def _until_reported(self) -> None:
        limit = now_s() + _REPORTS_LIMIT_S
        while now_s() < limit and not self._is_reported():
            await asyncio.sleep(0.1)
            self._check_nodes()

    def _is_reported(self) -> bool:
        told = all(change.report is not None for change in vertical.changes_of(self._events))
        return told and len(self._reports()) >= len(self._moves())

    def _watch(self, begun: float) -> tuple[int, int]:
        self._check_nodes()
        counts = [flow.poll() for flow in self._flows]
        sent, received = sum(c[0] for c in counts), sum(c[1] for c in counts)
        self.watcher.on_traffic(now_s() - begun, sent, received)
        return sent, received

    def _check_nodes(self) -> None:
        self._applications.check()
        for node in self._nodes:
            if (status := node.poll()) is not None:
                raise DriveFailed(f"a process of {node.name} ended with {status}{self._why(node.name)}")

    def _moves(self) -> list[tuple[str, str, int, int]]:
        return moves_of(self._events, self._first_poa, t.MOBILE_LINK)

    def _reports(self) -> list[HandoverDone]:
        return [e for e in self._events if isinstance(e, HandoverDone) and e.from_poa is not None]

    def _result(self) -> DriveResult:
        logs = {flow.node.name: flow.log() for flow in self._flows}
        interval = 1e9 / self.plan.options.packets_per_s
        directions = (
            Direction.of("downlink", logs["cn"], logs["mn"], interval, at_radio=True),
            Direction.of("uplink", logs["mn"], logs["cn"], interval, at_radio=False),
        )
        to_wall = wall_ns() - monotonic_ns()
        first = min((d.sent_ns[0] for d in directions if len(d.sent_ns)), default=0)
        moves = [(f, to, out + to_wall, into + to_wall) for f, to, out, into in self._moves()]
        driven = [Move(f, to, out, into) for f, to, out, into in moves if into >= first]
        changes = [c for c in vertical.changes_of(self._events) if c.ba_ns + to_wall >= first]
        if self.plan.options.vertical:
            driven = vertical.with_changes(driven, changes, to_wall)
        matched = matching(driven, self._reports(), to_wall)
        verdicts = judge(driven, directions)
        return DriveResult(
            self.plan,
            tuple(verdicts),
            tuple(matched),
            directions,
            streams=self._applications.streams,
            changes=tuple(changes),
            cellular=self._cellular,
            floor_ns=tuple(self._floor.took_ns()) if self._floor is not None else (),
            realtime=goes_first(self.pid("mn")),
        )

    def _tear_down(self) -> None:
        for control in self._controls:
            os.close(control)
        self._applications.stop()
        if self._floor is not None:
            self._floor.end()
        stop_all([n for n in self._nodes if n.exit_status is None])
        for flow in self._flows:
            flow.close()
        if self.topology is not None:
            self.topology.close()
        gc.unfreeze()

    def _why(self, name: str = "mn") -> str:
        """The last line that a node's processes wrote, as a clause."""
        try:
            lines = (self._directory / f"{name}.log").read_text("utf-8", "replace").split("\n")
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return f" (it said: {said[-1][:300]})" if said else ""
