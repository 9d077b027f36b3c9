"""All modems of ModemManager: which there are, and what is told of each. No I/O, no clock."""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from lies.events import DownReason, Link, LinkAction, Technology
from lies.link_steps import Close, Fail, Open, Say
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import (
    Action,
    Added,
    Answer,
    Call,
    Changed,
    Connect,
    Disconnect,
    Item,
    Present,
    Purpose,
    Removed,
    Values,
)
from lies_cellular.modem import Modem

MOST_MODEMS = 64
_MOST_STRAYS = 256  # connections of which something was told before their modem listed them
RETRY_S = 2.0
RETURN_S = 30.0  # how long links wait for their modems once ModemManager is back: it has to find them first
_ABSENT = "there is no modem behind it at present"
_OF_MODEM = frozenset({u.MODEM, u.THREE_GPP, u.SIGNAL, u.LOCATION, u.SIMPLE})
_NO_NAME = re.compile(r"[^A-Za-z0-9_.@-]")


class Follower:
    """Driven by items of `lies_cellular.items`; tried: SIMs whose PIN was tried, kept by who makes it.

    While ModemManager is away its links stay announced, and are down: modems that it finds again go on
    under their names.
    """

    def __init__(self, config: CellularConfig, tried: set[str] | None = None) -> None:
        self._config = config
        self._tried = tried if tried is not None else set()
        self._modems: dict[str, Modem] = {}
        self._links: dict[str, Link] = {}  # announced
        self._last_ns: dict[str, int] = {}  # of links whose modem is away
        self._strays: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._there = False
        self._asked = False
        self._retry_at: float | None = None
        self._said_many = False
        self._give_up_at: float | None = None  # links whose modem has not come back

    def modem(self, link: str) -> Modem | None:
        """The modem behind a link, None while it is away."""
        return next((m for m in self._modems.values() if m.link == link), None)

    # ---- engine

    def receive(self, item: Item, now: float) -> Sequence[Action]:
        """What follows from an item."""
        out: list[Action] = []
        match item:
            case Present():
                self._present(item, out)
            case Added():
                self._added(item, now, out)
            case Removed():
                if u.MODEM in item.interfaces:
                    self._remove(item.path, item.t_ns, DownReason.REMOVED, out)
            case Changed():
                self._changed(item, now, out)
            case Answer():
                self._answered(item, now, out)
            case Connect():
                modem = self.modem(item.link)
                if modem is None:
                    out.append(Fail(item.link, LinkAction.CONNECT, item.poa, _ABSENT))
                else:
                    modem.orders.connect(item.poa, out)
            case Disconnect():
                modem = self.modem(item.link)
                if modem is None:
                    out.append(Fail(item.link, LinkAction.DISCONNECT, item.poa, _ABSENT))
                else:
                    modem.orders.disconnect(item.poa, out)
        return out

    def next_timeout(self) -> float | None:
        """When something is due."""
        due = min((m.due() for m in self._modems.values()), default=float("inf"))
        due = min([due, *(at for at in (self._retry_at, self._give_up_at) if at is not None)])
        return None if due == float("inf") else due

    def handle_timeout(self, now: float) -> Sequence[Action]:
        """What is due."""
        out: list[Action] = []
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._ask(out)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up_at = None
            for link in list(self._last_ns):
                del self._last_ns[link]
                self._close(link, out)
        for modem in self._modems.values():
            if now >= modem.due():
                modem.tick(now, out)
        return out

    def taken_back(self) -> list[Call]:
        """What puts every modem back as it was."""
        return [call for modem in self._modems.values() for call in modem.setting_up.taken_back()]

    # ---- ModemManager

    def _present(self, item: Present, out: list[Action]) -> None:
        if self._there and not item.there:
            out.append(Say("ModemManager is gone: its links are down until it is back", serious=True))
        if self._there or not item.there:
            for path in list(self._modems):
                self._park(path, item.t_ns, out)
        self._strays.clear()
        self._there = item.there
        self._asked = False
        self._retry_at = self._give_up_at = None
        if item.there:
            self._ask(out)

    def _ask(self, out: list[Action]) -> None:
        if self._there and not self._asked:
            self._asked = True
            limit_s = self._config.call_s
            out.append(Call(Purpose.OBJECTS, "", u.ROOT, u.OBJECT_MANAGER, "GetManagedObjects", limit_s))

    def _answered(self, item: Answer, now: float, out: list[Action]) -> None:
        if item.call.purpose is Purpose.OBJECTS:
            self._objects(item, now, out)
            return
        modem = self._modems.get(item.call.modem)
        if modem is not None:
            modem.answer(item, now, out)

    def _objects(self, item: Answer, now: float, out: list[Action]) -> None:
        self._asked = False
        if item.error:
            if self._there:
                self._retry_at = now + RETRY_S
                out.append(Say(f"ModemManager does not {item.call.purpose.value}: {item.why}", serious=True))
            return
        objects: Mapping[str, Mapping[str, Values]] = item.value
        for path in [p for p in self._modems if p not in objects]:
            self._remove(path, item.t_ns, DownReason.REMOVED, out)
        for path, interfaces in objects.items():
            self._added(Added(item.t_ns, path, interfaces), now, out)
        if self._last_ns:
            self._give_up_at = now + RETURN_S

    # ---- modems

    def _added(self, item: Added, now: float, out: list[Action]) -> None:
        modem = self._modems.get(item.path)
        if modem is None:
            values = item.interfaces.get(u.MODEM)
            if values is None:
                return
            modem = self._open(item.path, values, out)
            if modem is None:
                return
        # the cell before the connections, and these before what happens to them
        for interface in (u.THREE_GPP, u.LOCATION, u.SIGNAL, u.SIMPLE, u.MODEM):
            if interface in item.interfaces:
                modem.told(item.t_ns, now, interface, item.interfaces[interface], out)
        self._adopt(modem, item.t_ns, now, out)

    def _open(self, path: str, values: Values, out: list[Action]) -> Modem | None:
        if len(self._modems) >= MOST_MODEMS:
            if not self._said_many:
                out.append(Say(f"more than {MOST_MODEMS} modems: the others are left out", serious=True))
            self._said_many = True
            return None
        ports = values.get("Ports", ())
        device = ports[0] if ports else values.get("PrimaryPort") or path.rpartition("/")[2]
        name = _NO_NAME.sub("_", device)[:48] or "modem"
        names = (name, values.get("EquipmentIdentifier", ""), values.get("Device", ""))
        if not self._config.wants(*(n for n in names if n)):
            return None
        if self.modem(name) is not None:
            name = f"{name}-{path.rpartition('/')[2]}"
        link = Link(name, _technology(values))
        begun_ns = self._last_ns.pop(name, 0)
        if self._links.get(name) != link:
            self._close(name, out)
            self._links[name] = link
            out.append(Open(link, controllable=self._config.control))
        modem = self._modems[path] = Modem(path, name, self._config, self._tried, begun_ns=begun_ns)
        return modem

    def _remove(self, path: str, t_ns: int, reason: DownReason, out: list[Action]) -> None:
        modem = self._modems.pop(path, None)
        if modem is not None:
            modem.gone(t_ns, reason, out)
            self._close(modem.link, out)

    def _park(self, path: str, t_ns: int, out: list[Action]) -> None:
        modem = self._modems.pop(path)
        modem.gone(t_ns, DownReason.DRIVER_LOST, out)
        self._last_ns[modem.link] = modem.last_ns

    def _close(self, link: str, out: list[Action]) -> None:
        if self._links.pop(link, None) is not None:
            out.append(Close(link))

    # ---- properties

    def _changed(self, item: Changed, now: float, out: list[Action]) -> None:
        if item.interface in _OF_MODEM:
            modem = self._modems.get(item.path)
            if modem is not None:
                modem.told(item.t_ns, now, item.interface, item.values, out)
                self._adopt(modem, item.t_ns, now, out)
        elif item.interface == u.BEARER:
            for modem in self._modems.values():
                if item.path in modem.bearers.of:
                    modem.bearer(item.t_ns, now, item.path, item.values, out)
                    return
            self._strays.setdefault(item.path, {}).update(item.values)
            self._strays.move_to_end(item.path)
            while len(self._strays) > _MOST_STRAYS:
                self._strays.popitem(last=False)

    def _adopt(self, modem: Modem, t_ns: int, now: float, out: list[Action]) -> None:
        """What was told of a connection before its modem listed it."""
        if self._strays:
            for path in [p for p in modem.bearers.of if p in self._strays]:
                modem.bearer(t_ns, now, path, self._strays.pop(path), out)


def _technology(values: Values) -> Technology:
    """What the link is announced as: the best that its modem is able to."""
    able = u.technology_able(values.get("CurrentCapabilities", 0))
    if able is not Technology.OTHER:
        return able
    found = u.technology_of(values.get("AccessTechnologies", 0))
    return able if found is None else found[0]
