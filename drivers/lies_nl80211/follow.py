"""The follower: every wireless interface from what the kernel tells; no I/O, no clock.

Driven by Begin, Told, NetTold, SwitchTold, Answer, Overrun, Wanted, OwnersTold and Taken; answers with
actions for the shell. Each interface is a Client (station) or a Cell (access point); others are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from attrs import define

from lies.events import DownReason, Link, LinkAction, Technology
from lies.link_steps import Close, Fail, Open, Say
from lies_nl80211 import messages as m
from lies_nl80211.cell import Cell
from lies_nl80211.client import Client
from lies_nl80211.config import Nl80211Config
from lies_nl80211.control import Plan, Steward, plan_connect, plan_disconnect, steward_of
from lies_nl80211.interfaces import NetState
from lies_nl80211.items import (
    Action,
    Answer,
    Ask,
    Begin,
    Carry,
    Instruct,
    Item,
    LevelsAsked,
    Missed,
    NetTold,
    Overrun,
    OwnersTold,
    Query,
    Steer,
    SwitchTold,
    Taken,
    Told,
    Wanted,
    Watch,
)
from lies_nl80211.sampling import SamplingRules
from lies_nl80211.uapi import IfType

MOST_INTERFACES = 64
RETRY_S = 1.0
_CLIENTS = {IfType.STATION, IfType.P2P_CLIENT}
_CELLS = {IfType.AP, IfType.P2P_GO}


@define
class _Followed:
    """One interface; controllable: as it was announced."""

    info: m.Interface
    role: Client | Cell
    controllable: bool = False


class Follower:
    """An engine (lies.engine.Engine) over all interfaces."""

    def __init__(self, config: Nl80211Config) -> None:
        self._config = config
        self._rules = SamplingRules(config.rest_ms / 1000, config.near_ms / 1000, config.near_dbm)
        self._by_index: dict[int, _Followed] = {}
        self._nets: dict[int, NetState] = {}
        self._asked = False
        self._ask_again = False
        self._retry_at: float | None = None
        self._owners: Mapping[str, str] = {}
        self._missing = ""
        self.overruns = 0
        self._missed = False  # of which consumers are not told yet
        self._said_none = False

    # ---- lies.engine.Engine

    def receive(self, item: Item, now: float) -> Sequence[Action]:
        """What follows from an item."""
        out: list[Action] = []
        match item:
            case Begin():
                self._ask(out)
            case Told():
                self._told(item, now, out)
            case NetTold():
                self._net(item.t_ns, item.state, out)
            case SwitchTold():
                self._switch(item, out)
            case Answer():
                self._answer(item, now, out)
            case Overrun(t_ns=_):
                self._overrun(out)
            case Wanted():
                self._wanted(item, now, out)
            case LevelsAsked(link=link, thresholds=thresholds):
                self._watch(link, self._config.watched(thresholds), out)
            case OwnersTold(owners=owners, missing=missing):
                self._owned_by(owners, out)
                self._missing = missing
                self._reconsider(out)
            case Taken(link=link, number=number, why=why):
                client = self.client(link)
                if client is not None:
                    client.taken(number, why, out)
            case _:
                assert_never(item)
        return out

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        times = [t for f in self._by_index.values() if (t := f.role.due()) is not None]
        if self._retry_at is not None:
            times.append(self._retry_at)
        return min(times, default=None)

    def handle_timeout(self, now: float) -> Sequence[Action]:
        """What follows from time."""
        out: list[Action] = []
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._ask(out)
        for followed in self._by_index.values():
            due = followed.role.due()
            if due is not None and now >= due:
                followed.role.tick(now, out)
        return out

    # ---- requests

    def client(self, link: str) -> Client | None:
        """The state of a link of a station."""
        for followed in self._by_index.values():
            if isinstance(followed.role, Client) and followed.role.link == link:
                return followed.role
        return None

    def steward(self, index: int, link: str) -> Steward:
        """Who manages an interface."""
        net = self._nets.get(index)
        dormant = net is not None and net.owned
        return steward_of(dormant=dormant, owner=self._owners.get(link), missing=self._missing)

    def _owned_by(self, owners: Mapping[str, str], out: list[Action]) -> None:
        """Who manages what has changed: what the one before was to do it will not do."""
        before, self._owners = self._owners, owners
        for link, owner in before.items():
            client = self.client(link)
            if client is not None and owners.get(link) != owner:
                client.nothing_came(f"{owner} has gone, or let go of {link}", out)

    def _wanted(self, item: Wanted, now: float, out: list[Action]) -> None:
        client = self.client(item.link)
        steward = self.steward(client.index, item.link) if client is not None else Steward("")
        if not self._config.control:
            plan = Plan(refusal="control = false in the configuration")
        elif item.action is LinkAction.CONNECT:
            plan = plan_connect(client, steward, item.link, item.poa or "")
        else:
            plan = plan_disconnect(client, steward, item.link, item.poa)
        if client is None or plan.order is None:
            if plan.refusal:
                out.append(Fail(item.link, item.action, item.poa, plan.refusal))
            return
        number = client.begin(plan.order, now, out)
        if plan.requests:
            out.append(Carry(number, plan.order, plan.requests))
        else:
            out.append(Instruct(steward.name, number, plan.order))

    # ---- items

    def _told(self, item: Told, now: float, out: list[Action]) -> None:
        message = item.message
        match message:
            case m.Interface() | m.AccessPointChanged() | m.RegulatoryChanged():
                self._ask(out)
                return
            case m.InterfaceGone(index=index):
                self._remove(index, item.t_ns, out)
                return
            case _:
                pass
        followed = self._by_index.get(message.index)
        if followed is not None:
            followed.role.told(item.t_ns, now, message, out)

    def _net(self, t_ns: int, state: NetState, out: list[Action]) -> None:
        index = state.index
        before = self._nets.pop(index, None)
        if state.name is None:
            self._remove(index, t_ns, out)
            return
        if len(self._nets) < 4 * MOST_INTERFACES or index in self._by_index:
            self._nets[index] = state
        followed = self._by_index.get(index)
        if followed is None:
            return
        if followed.info.name != state.name or (state.up and before is not None and not before.up):
            self._ask(out)  # renamed, or of another kind now
        match followed.role:
            case Client():
                followed.role.net(t_ns, state.up, state.passing, out)
                self._reconsider(out)
            case Cell():
                if not state.up:
                    followed.role.off(t_ns, DownReason.ADMIN_DOWN, out)

    def _switch(self, item: SwitchTold, out: list[Action]) -> None:
        if not item.switch.blocked:
            return
        how = "by a switch of the machine" if item.switch.hard else "by a program (rfkill)"
        for followed in self._by_index.values():
            if item.wiphy is not None and followed.info.wiphy != item.wiphy:
                continue
            if item.wiphy is None:
                followed.role.verify(out)  # whose switch it is cannot be told: look
            elif isinstance(followed.role, Client):
                why = f"the radio was switched off {how}"
                followed.role.off(item.t_ns, DownReason.ADMIN_DOWN, why, out)
            else:
                followed.role.off(item.t_ns, DownReason.ADMIN_DOWN, out)

    def _overrun(self, out: list[Action]) -> None:
        self.overruns += 1
        if self.overruns == 1 or self.overruns % 100 == 0:
            out.append(
                Say(
                    f"the kernel dropped messages that were not read in time ({self.overruns} times so far): "
                    "every interface is looked at again",
                    serious=True,
                )
            )
        self._missed = True
        self._ask(out)
        for followed in self._by_index.values():
            followed.role.verify(out)

    def _answer(self, item: Answer, now: float, out: list[Action]) -> None:
        ask, entries = item.ask, item.entries
        if ask.query is Query.INTERFACES:
            self._interfaces(item, now, out)
            return
        followed = self._by_index.get(ask.index)
        if followed is None:
            return
        role = followed.role
        match ask.query:
            case Query.STATIONS:
                stations = None if entries is None else tuple(e for e in entries if isinstance(e, m.Station))
                role.stations(ask.stamp, item.t_ns, now, stations, out)
            case Query.SCAN if isinstance(role, Client):
                heard = None if entries is None else tuple(e for e in entries if isinstance(e, m.Bss))
                role.scanned(item.t_ns, now, heard, out)
            case Query.SURVEY if isinstance(role, Client):
                role.measuring.surveyed(tuple(e for e in entries or () if isinstance(e, m.Survey)))
            case _:
                pass

    # ---- interfaces

    def _ask(self, out: list[Action]) -> None:
        if self._asked:
            self._ask_again = True
            return
        self._asked = True
        out.append(Ask(Query.INTERFACES, 0))

    def _interfaces(self, item: Answer, now: float, out: list[Action]) -> None:
        self._asked = False
        if self._missed:  # the hole is here: behind what was kept, before what dumps find
            self._missed = False
            out.append(Missed())
        if item.entries is None:
            self._retry_at = now + RETRY_S
        elif not self._ask_again:
            there = {e.index: e for e in item.entries if isinstance(e, m.Interface)}
            for index in [i for i in self._by_index if i not in there]:
                self._remove(index, item.t_ns, out)
            for info in there.values():
                self._see(info, item.t_ns, out)
            if not self._by_index and not self._said_none:
                out.append(Say(self._none()))
            self._said_none = not self._by_index
        if self._ask_again:
            self._ask_again = False
            self._ask(out)

    def _none(self) -> str:
        wanted = self._config.links
        if wanted:
            return f"there is no wireless interface {' or '.join(wanted)} yet: it is followed when it comes"
        return "there is no wireless interface: one is followed as soon as it is plugged in or made (iw phy)"

    def _see(self, info: m.Interface, t_ns: int, out: list[Action]) -> None:
        known = self._by_index.get(info.index)
        if known is not None:
            if (known.info.name, known.info.kind, known.info.address, known.info.wiphy) == (
                info.name,
                info.kind,
                info.address,
                info.wiphy,
            ):
                known.info = info
                return
            self._remove(info.index, t_ns, out)
        if self._config.links and info.name not in self._config.links:
            return
        if len(self._by_index) >= MOST_INTERFACES:
            return
        if info.kind in _CLIENTS:
            self._open(info, out)
        elif info.kind in _CELLS:
            cell = Cell(info.index, info.name, info.address, self._config.rest_ms / 1000)
            self._by_index[info.index] = _Followed(info, cell)
            cell.verify(out)

    def _open(self, info: m.Interface, out: list[Action]) -> None:
        config = self._config
        client = Client(info.index, info.name, self._rules, config.scan_s, config.ssids)
        followed = _Followed(info, client, self._may_control(client))
        self._by_index[info.index] = followed
        out.append(Open(Link(info.name, Technology.WIFI), controllable=followed.controllable))
        if config.cqm_dbm:
            self._watch(info.name, config.cqm_dbm, out)
        client.verify(out)

    def _watch(self, link: str, levels_dbm: tuple[int, ...], out: list[Action]) -> None:
        client = self.client(link)
        if client is not None and client.watched != levels_dbm:
            client.watched = levels_dbm
            out.append(Watch(client.index, link, levels_dbm))

    def _may_control(self, client: Client) -> bool:
        return self._config.control and self.steward(client.index, client.link).follows

    def _reconsider(self, out: list[Action]) -> None:
        """Say of each link whose owner has come or gone whether requests can be followed now."""
        for followed in self._by_index.values():
            role = followed.role
            if isinstance(role, Client) and self._may_control(role) != followed.controllable:
                followed.controllable = not followed.controllable
                out.append(Steer(role.link, followed.controllable))

    def _remove(self, index: int, t_ns: int, out: list[Action]) -> None:
        followed = self._by_index.pop(index, None)
        if followed is None:
            return
        match followed.role:
            case Client() as client:
                client.off(t_ns, DownReason.REMOVED, "the interface is gone", out)
                client.nothing_came("the interface is gone", out)
                out.append(Close(client.link))
            case Cell() as cell:
                cell.off(t_ns, DownReason.REMOVED, out)
