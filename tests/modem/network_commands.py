"""Commands about the network: registration, operators and levels."""

from collections.abc import Callable

from attrs import Factory, define

from modem.at import Answer, CmeError, Command, Kind, Refused, Table, always, say
from modem.network import LTE, Network, Registration

DOMAINS = ("CREG", "CGREG", "CEREG")
SELECT_S = 1.0  # for changing the operator
_NOT_KNOWN = "99,99,255,255"  # of +CESQ, what only GSM and UTRAN measure


def served(act: int) -> tuple[str, ...]:
    """The domains that a cell of this technology registers in."""
    return ("CEREG",) if act >= LTE else ("CREG", "CGREG")


@define
class Unsolicited:
    """What one port wants to be told unasked."""

    indicators: bool = False  # +CIEV, by +CMER
    packet: bool = False  # +CGEV, by +CGEREP
    registration: dict[str, int] = Factory(lambda: dict.fromkeys(DOMAINS, 0))


class NetworkCommands:
    """Registration, operators and levels, as one port sees them."""

    def __init__(self, network: Network, wants: Unsolicited, tell: Callable[[], None]) -> None:
        self._network = network
        self._wants = wants
        self._tell = tell  # registration may be another now
        self._numeric = False  # operators as numbers

    def table(self) -> Table:
        """What each command does."""
        ranges = "(0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)"
        indicators = '("battchg",(0-5)),("signal",(0-5)),("service",(0-1)),("roam",(0-1))'
        table: Table = {
            ("+WS46", Kind.TEST): always("+WS46: (12,22,28,29)"),
            ("+CSQ", Kind.RUN): lambda _: say(f"+CSQ: {self._network.csq},99"),
            ("+CESQ", Kind.TEST): always(f"+CESQ: {ranges}"),
            ("+CESQ", Kind.RUN): lambda _: say(f"+CESQ: {_NOT_KNOWN},{self._levels()}"),
            ("+CIND", Kind.TEST): always(f"+CIND: {indicators}"),
            ("+CIND", Kind.READ): lambda _: say(f"+CIND: {self._indicators()}"),
            ("+CMER", Kind.TEST): always("+CMER: (0-3),(0),(0),(0-1),(0)"),
            ("+CMER", Kind.SET): self._want_indicators,
            ("+CGEREP", Kind.TEST): always("+CGEREP: (0-2),(0-1)"),
            ("+CGEREP", Kind.SET): self._want_packet,
            ("+COPS", Kind.READ): self._operator,
            ("+COPS", Kind.TEST): self._scan,
            ("+COPS", Kind.SET): self._select,
        }
        for domain in DOMAINS:
            table[f"+{domain}", Kind.TEST] = always(f"+{domain}: (0-2)")
            table[f"+{domain}", Kind.READ] = self._registration
            table[f"+{domain}", Kind.SET] = self._want_registration
        return table

    def registration_line(self, domain: str) -> str:
        """+CREG and its like as they come unasked."""
        return f"+{domain}: {self._place(domain)}"

    def _place(self, domain: str) -> str:
        network = self._network
        if domain not in served(network.act):
            return f"{Registration.IDLE:d}"
        where = f',"{network.area}","{network.cell}",{network.act}'
        detailed = self._wants.registration[domain] >= 2 and network.registered
        return f"{network.registration:d}{where if detailed else ''}"

    def _registration(self, command: Command) -> Answer:
        domain = command.name[1:]
        return say(f"+{domain}: {self._wants.registration[domain]},{self._place(domain)}")

    def _want_registration(self, command: Command) -> Answer:
        self._wants.registration[command.name[1:]] = int(command.fields[0])
        return say()

    def _want_indicators(self, command: Command) -> Answer:
        self._wants.indicators = command.fields[0] != "0"
        return say()

    def _want_packet(self, command: Command) -> Answer:
        self._wants.packet = command.fields[0] != "0"
        return say()

    def _levels(self) -> str:
        """RSRQ in steps of 0.5 dB from -20 dB, RSRP in dB from -141 dBm (TS 27.007 section 8.69)."""
        rsrq = max(0, min(34, (self._network.rsrq + 20) * 2))
        return f"{rsrq},{max(0, min(97, self._network.rsrp + 141))}"

    def _indicators(self) -> str:
        network = self._network
        return f"5,{network.bars},{network.registered:d},{network.registration == 5:d}"

    def _operator(self, command: Command) -> Answer:
        del command
        network = self._network
        if not network.registered:
            return say("+COPS: 0")
        name, style = (network.plmn, 2) if self._numeric else (network.name, 0)
        return say(f'+COPS: 0,{style},"{name}",{network.act}')

    def _scan(self, command: Command) -> Answer:
        del command
        found = ",".join(f'({o.status},"{o.name}","{o.name}","{o.plmn}",{o.act})' for o in self._network.scan)
        return say(f"+COPS: {found},,(0-4),(0-2)", delay_s=self._network.scan_s)

    def _select(self, command: Command) -> Answer:
        mode, *more = command.fields
        if mode == "3":
            self._numeric = more[0] == "2"
        elif mode == "1":
            if not self._network.select(more[1]):
                raise Refused(CmeError.NO_NETWORK)
            self._tell()
            return Answer(delay_s=SELECT_S, then=self._selected)
        return say()

    def _selected(self) -> None:
        self._network.registration = Registration.HOME
        self._tell()
