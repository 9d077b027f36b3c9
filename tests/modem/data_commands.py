"""Commands about data: packet contexts, and how they are carried to the host."""

import re

from attrs import Factory, define

from modem.at import Answer, CmeError, Command, Kind, Refused, Table, always, say
from modem.network import Network

_DIAL = re.compile(r"\*99(?:\*\*\*(\d+))?#")


@define
class Contexts:
    """The packet contexts: which are defined (type and APN) and which are active."""

    defined: dict[int, tuple[str, str]] = Factory(lambda: {1: ("IP", "")})
    active: set[int] = Factory(set)

    def define(self, number: int, kind: str, apn: str) -> None:
        """Set what a context is."""
        self.defined[number] = (kind, apn)

    def shown(self) -> list[str]:
        """As +CGDCONT? has them."""
        return [
            f'+CGDCONT: {n},"{kind}","{apn}","0.0.0.0",0,0' for n, (kind, apn) in sorted(self.defined.items())
        ]

    def states(self) -> list[str]:
        """As +CGACT? has them."""
        return [f"+CGACT: {n},{n in self.active:d}" for n in sorted(self.defined)]


class DataCommands:
    """Packet contexts, activated on a network port (+GTRNDIS, of Fibocom's) or dialled on a serial one."""

    def __init__(self, network: Network, contexts: Contexts) -> None:
        self._network = network
        self._contexts = contexts

    def table(self) -> Table:
        """What each command does."""
        kinds = [f'+CGDCONT: (1-4),"{kind}",,,(0),(0)' for kind in ("IP", "IPV6", "IPV4V6")]
        return {
            ("+CGDCONT", Kind.TEST): always(*kinds),
            ("+CGDCONT", Kind.READ): lambda _: say(*self._contexts.shown()),
            ("+CGDCONT", Kind.SET): self._define,
            ("+CGACT", Kind.READ): lambda _: say(*self._contexts.states()),
            ("+CGACT", Kind.SET): self._activate,
            ("+CGATT", Kind.SET): always(),
            ("+GTRNDIS", Kind.TEST): always("+GTRNDIS: (0,1),(1-4)"),
            ("+GTRNDIS", Kind.READ): self._carried,
            ("+GTRNDIS", Kind.SET): self._carry,
            ("D", Kind.RUN): self._dial,
        }

    def _define(self, command: Command) -> Answer:
        number, *what = command.fields
        if len(what) >= 2:
            self._contexts.define(int(number), what[0], what[1])
        else:
            self._contexts.defined.pop(int(number), None)
        return say()

    def _activate(self, command: Command) -> Answer:
        wanted, *numbers = map(int, command.fields)
        which = set(numbers) or set(self._contexts.defined)
        if wanted:
            self._need_network()
            self._contexts.active |= which
        else:
            self._contexts.active -= which
        return say()

    def _carried(self, command: Command) -> Answer:
        del command
        active = self._contexts.active
        return say(f"+GTRNDIS: 1,{min(active)}" if active else "+GTRNDIS: 0")

    def _carry(self, command: Command) -> Answer:
        wanted, number = map(int, command.fields[:2])
        if wanted:
            self._need_network()
            self._contexts.active.add(number)
        else:
            self._contexts.active.discard(number)
        return say()

    def _dial(self, command: Command) -> Answer:
        found = _DIAL.match(command.value)
        if found is None or self._network.refuses or not self._network.registered:
            return Answer(final="NO CARRIER")
        self._contexts.active.add(int(found[1] or 1))
        return Answer(final="CONNECT 100000000")

    def _need_network(self) -> None:
        if self._network.refuses or not self._network.registered:
            raise Refused(CmeError.NO_NETWORK)
