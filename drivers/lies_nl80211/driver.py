"""The shell of the nl80211 driver: the kernel's sockets on one side, follower and host on the other."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from lies.capabilities import NO_CAPABILITIES, Capability
from lies.driver import Driver, DriverHost, Thresholds
from lies.errors import MalformedMessage
from lies.events import LinkAction
from lies.link_steps import Links
from lies.runtime import Runtime
from lies_nl80211 import interfaces
from lies_nl80211.attributes import Frame, generic
from lies_nl80211.channel import Listener
from lies_nl80211.config import Nl80211Config
from lies_nl80211.door import Door, KernelDoor
from lies_nl80211.follow import Follower
from lies_nl80211.items import (
    Action,
    Answer,
    Ask,
    Begin,
    Carry,
    ControlAction,
    Instruct,
    Item,
    LevelsAsked,
    Missed,
    NetTold,
    Overrun,
    Scan,
    Settle,
    Steer,
    Told,
    Wanted,
    Watch,
)
from lies_nl80211.owners import Owners
from lies_nl80211.questions import Questions
from lies_nl80211.reader import read
from lies_nl80211.switches import Switches

log = logging.getLogger(__name__)

_FIRST = 256  # datagrams of news that are taken before an answer
_NET_CLASS = Path("/sys/class/net")


class Nl80211(Driver):
    """Follows every wireless interface of its network namespace.

    door: where its sockets come from; dbus: address of the bus with wpa_supplicant and iwd, the system's
    unless given.
    """

    Config = Nl80211Config
    capabilities = frozenset({Capability.NET_ADMIN})

    @classmethod
    def needs(cls, config: Nl80211Config) -> frozenset[Capability]:
        """To listen it needs none."""
        return cls.capabilities if config.sets else NO_CAPABILITIES

    @classmethod
    def discover(cls) -> Mapping[str, Mapping[str, Any]]:
        """One table for all wireless interfaces, where there is one."""
        return {"nl80211": {}} if any(_NET_CLASS.glob("*/phy80211")) else {}

    def __init__(
        self,
        name: str,
        config: Nl80211Config,
        host: DriverHost,
        *,
        door: Door | None = None,
        dbus: str | None = None,
    ) -> None:
        super().__init__(name, config, host)
        self._door = door or KernelDoor()
        self._dbus = dbus
        self._owners: Owners | None = None
        self._follower = Follower(config)
        self._links = Links(name, host, log)
        self._runtime: Runtime[Item, Action] | None = None
        self._questions: Questions | None = None
        self._listeners: list[Listener] = []
        self._switches: Switches | None = None
        self._causes: set[str] = set()

    async def start(self) -> None:
        """Open the sockets, learn what interfaces there are, and follow them.

        LiesError where the kernel has no nl80211.
        """
        self._questions = questions = Questions(
            self._door, self.config, self._answered, self.host.failed, self.host.now_ns
        )
        groups = await questions.open()
        runtime = Runtime(self._follower, self._perform, clock=lambda: self.host.now_ns() / 1e9)
        self._runtime = runtime
        events = self._door.generic()
        self._listeners.append(Listener(events, self._told, self._lost, self.host.failed))
        route = self._door.route()
        self._listeners.append(Listener(route, self._net_told, self._net_lost, self.host.failed))
        for group in groups:
            self._door.join(events, group)
        self._switches = Switches(self._door, self._feed, self.host.now_ns)
        if self.config.control:
            self._owners = Owners(self._feed, self._feed, self.host.failed, address=self._dbus)
            await self._owners.start()
        await questions.links(self._net_told)
        runtime.feed(Begin())

    async def stop(self) -> None:
        """Take back what was set in the kernel, and close the sockets."""
        if self._runtime is not None:
            self._runtime.close()
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._switches is not None:
            self._switches.close()
        if self._owners is not None:
            await self._owners.stop()
            self._owners = None
        if self._questions is not None:
            await self._questions.close()
            self._questions = None

    def link_connect(self, link: str, poa: str) -> None:
        """Have who manages the interface associate with an access point."""
        self._feed(Wanted(link, LinkAction.CONNECT, poa))

    def link_disconnect(self, link: str, poa: str | None) -> None:
        """Have who manages the interface leave the access point."""
        self._feed(Wanted(link, LinkAction.DISCONNECT, poa))

    def watch_levels(self, link: str, thresholds: Thresholds) -> None:
        """Have the kernel wake the driver where a registration asks for it."""
        self._feed(LevelsAsked(link, thresholds))

    # ---- in

    def _feed(self, item: Item) -> None:
        if self._runtime is not None:
            self._runtime.feed(item)

    def _told(self, frame: Frame) -> None:
        t_ns = self.host.now_ns()
        parsed = generic(frame.body)
        if parsed is None:
            return
        try:
            message = read(*parsed)
        except MalformedMessage as error:
            self._once(str(error))
            return
        if message is not None:
            self._feed(Told(t_ns, message))

    def _lost(self) -> None:
        self._feed(Overrun(self.host.now_ns()))

    def _net_told(self, frame: Frame) -> None:
        state = interfaces.read_link(frame)
        if state is not None:
            self._feed(NetTold(self.host.now_ns(), state))

    def _net_lost(self) -> None:
        if self._questions is not None:
            self._questions.links_again(self._net_told)
        self._lost()

    def _answered(self, answer: Answer) -> None:
        if self._listeners:
            self._listeners[0].drain(_FIRST)  # what was told before the answer goes before it
        self._feed(answer)

    # ---- out

    def _perform(self, action: Action) -> None:
        questions = self._questions
        match action:
            case Missed():
                self.host.missed()
            case Steer() | Instruct() | Carry() | Settle():
                self._control(action)
            case Ask() | Watch() | Scan():
                if questions is not None:
                    questions.put(action)
            case _:
                self._links.perform(action)

    def _control(self, action: ControlAction) -> None:
        questions, owners = self._questions, self._owners
        match action:
            case Steer(link=link, controllable=controllable):
                self._links.steer(link, controllable=controllable)
            case Instruct():
                if owners is not None:
                    owners.instruct(action)
            case Carry():
                if questions is not None:
                    questions.carry_out(action, self._feed)
            case Settle(link=link):
                if owners is not None:
                    owners.settle(link)
            case _:
                assert_never(action)

    def _once(self, cause: str) -> None:
        """Say what was malformed, once for each cause."""
        if cause not in self._causes and len(self._causes) < 100:
            self._causes.add(cause)
            log.warning("%s: a message is left out: %s", self.name, cause)
