"""The modem: ports that take command lines, over one SIM card, network and set of packet contexts."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from attrs import AttrsInstance, asdict

from modem.at import Answer, CmeError, Command, Kind, Refused, Table, always, commands
from modem.data_commands import Contexts, DataCommands
from modem.network import Network, Registration, Sim
from modem.network_commands import DOMAINS, NetworkCommands, Unsolicited, served
from modem.sim_commands import SimCommands

Log = Callable[[str, str, str], None]  # port, direction, text


class Line(Protocol):
    """What carries a port's octets."""

    def write(self, data: bytes) -> None:
        """Send, in order, without blocking."""
        ...


class Port:
    """One AT port: its settings, and what is plugged into it."""

    def __init__(self, modem: "Modem", name: str) -> None:
        self.name = name
        self.line: Line | None = None
        self.calling = False  # a call's octets pass, and no command is heard
        self._modem = modem
        self._echo = True
        self._received = b""
        self.wants = Unsolicited()
        self._network = NetworkCommands(modem.network, self.wants, modem.tell_registration)
        self._table: Table = {
            **{(name, Kind.RUN): always() for name in ("", "V", "X", "Q", "&C", "&D", "&K", "S", "L", "M")},
            ("E", Kind.RUN): self._set_echo,
            ("Z", Kind.RUN): self._reset,
            ("&F", Kind.RUN): self._reset,
            ("H", Kind.RUN): self._hang_up,
            **self._network.table(),
            **modem.table,
        }

    def opened(self, line: Line | None) -> None:
        """Something is plugged in, or pulled out; either ends a call."""
        self.line, self.calling, self._received = line, False, b""

    def say(self, text: str, mark: str = "U>") -> None:
        """Send a line."""
        if self.line is not None and not self._modem.mute:
            self._modem.log(self.name, mark, text)
            self.line.write(f"\r\n{text}\r\n".encode())

    def lines(self, data: bytes) -> Iterator[str]:
        """The command lines that are complete with these octets, echoed as they come."""
        if self.calling:
            self._modem.log(self.name, "D<", f"{len(data)} octets")
            return
        if self._echo and self.line is not None and not self._modem.mute:
            self.line.write(data)
        *whole, self._received = (self._received + data).replace(b"\n", b"\r").split(b"\r")
        for line in whole:
            if text := line.strip().decode("ascii", "replace"):
                self._modem.log(self.name, "<<", text)
                yield text

    def answer(self, line: str) -> Answer:
        """What a command line is answered; the first command refused ends it."""
        if (forced := self._modem.forced.get(line.upper())) is not None:
            return Answer(final=forced)
        said: list[str] = []
        delay_s, final, then = 0.0, "OK", None
        try:
            for command in commands(line):
                one = self._follow(command)
                said += one.lines
                delay_s += one.delay_s
                final, then = one.final, one.then
        except Refused as refused:
            final = self._modem.refusal(refused.error)
        except (ValueError, IndexError):  # parameters that are none
            final = "ERROR"
        if final.startswith("CONNECT"):
            self.calling = True
        return Answer(tuple(said), final, delay_s, then)

    def give(self, answer: Answer) -> None:
        """Send an answer, after what is done before."""
        if answer.then is not None:
            answer.then()
        said = "\r\n".join(answer.lines)
        self.say(f"{said}\r\n\r\n{answer.final}" if said else answer.final, ">>")

    def end_call(self) -> None:
        """The network ended the call."""
        if self.calling:
            self.calling = False
            self.say("NO CARRIER")

    def tell_registration(self) -> None:
        """Send +CREG, +CGREG and +CEREG as they are wanted: first where the modem is registered now."""
        here = served(self._modem.network.act)
        for domain in sorted(DOMAINS, key=lambda one: one not in here):
            if self.wants.registration[domain] and not self.calling:
                self.say(self._network.registration_line(domain))

    def _follow(self, command: Command) -> Answer:
        self._modem.counts[str(command)] += 1
        handler = self._table.get((command.name, command.kind))
        if handler is None:
            raise Refused(CmeError.NOT_SUPPORTED)
        return handler(command)

    def _set_echo(self, command: Command) -> Answer:
        self._echo = command.value == "1"
        return Answer()

    def _reset(self, command: Command) -> Answer:
        del command
        self._echo = True
        self.wants.indicators = self.wants.packet = False
        self.wants.registration = dict.fromkeys(DOMAINS, 0)
        return Answer()

    def _hang_up(self, command: Command) -> Answer:
        del command
        self._modem.contexts.active.clear()
        return Answer()


class Modem:
    """A modem with AT ports; what a test does to its surroundings is told on them unasked."""

    def __init__(self, ports: list[str], log: Log) -> None:
        self.log = log
        self.sim, self.network, self.contexts = Sim(), Network(), Contexts()
        self.mute = False  # answers nothing any more
        self.forced: dict[str, str] = {}  # command line -> result code
        self.counts: Counter[str] = Counter()
        self.card = SimCommands(self.sim)
        self._error_level = 0
        self.table: Table = {
            ("+CMEE", Kind.SET): self._set_error_level,
            **self.card.table(),
            **DataCommands(self.network, self.contexts).table(),
        }
        self.ports = [Port(self, name) for name in ports]

    def renew(self) -> None:
        """Everything around the modem is again as it was at the start, and nobody is told."""
        _copy(Sim(), self.sim)
        _copy(Network(), self.network)
        _copy(Contexts(), self.contexts)
        self.mute = False
        self.forced.clear()
        self.counts.clear()
        self.card.unlocks = 0

    def refusal(self, error: CmeError) -> str:
        """The result code of a command that is not followed."""
        return f"+CME ERROR: {error:d}" if self._error_level else "ERROR"

    def signal(self, csq: int | None = None, rsrp: int | None = None, rsrq: int | None = None) -> None:
        """Change levels; the bars are told if they are wanted."""
        network = self.network
        network.csq = network.csq if csq is None else csq
        network.rsrp = network.rsrp if rsrp is None else rsrp
        network.rsrq = network.rsrq if rsrq is None else rsrq
        self._tell(f"+CIEV: 2,{network.bars}", lambda port: port.wants.indicators)

    def burst(self, count: int) -> None:
        """Change the bars so many times, as fast as the ports take it; the levels stay."""
        for _, bars in zip(range(count), itertools.cycle(range(1, 6)), strict=False):
            self._tell(f"+CIEV: 2,{bars}", lambda port: port.wants.indicators)

    def camp(
        self,
        registration: int | None = None,
        area: str | None = None,
        cell: str | None = None,
        act: int | None = None,
    ) -> None:
        """Change registration, cell or access technology, and tell it."""
        network = self.network
        if registration is not None:
            network.registration = Registration(registration)
        network.area = network.area if area is None else area
        network.cell = network.cell if cell is None else cell
        network.act = network.act if act is None else act
        self.tell_registration()

    def tell_registration(self) -> None:
        """Tell it on all ports."""
        for port in self.ports:
            port.tell_registration()

    def drop(self, *, silent: bool = False) -> None:
        """The network ends every packet context; silent: without saying so."""
        ended = sorted(self.contexts.active)
        self.contexts.active.clear()
        if silent:
            return
        for number in ended:
            self._tell(f"+CGEV: NW PDN DEACT {number}", lambda port: port.wants.packet)
        for port in self.ports:
            port.end_call()

    def _tell(self, text: str, wanted: Callable[[Port], bool]) -> None:
        for port in self.ports:
            if wanted(port) and not port.calling:
                port.say(text)

    def _set_error_level(self, command: Command) -> Answer:
        self._error_level = int(command.value)
        return Answer()


def _copy(source: AttrsInstance, target: AttrsInstance) -> None:
    for name, value in asdict(source, recurse=False).items():
        setattr(target, name, value)
