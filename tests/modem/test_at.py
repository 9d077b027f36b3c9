"""The AT modem itself: command lines as V.250 and TS 27.007 have them, and whatever else may come."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modem.at import Command, Kind, commands
from modem.device import Modem
from modem.network import LTE, UTRAN, Card

pytestmark = pytest.mark.modem


class Terminal:
    """What a port sends."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def taken(self) -> list[str]:
        """The lines since the last time."""
        sent, self.sent = self.sent, b""
        return [line for line in sent.decode().splitlines() if line]


def plugged() -> tuple[Modem, Terminal]:
    """A modem with one port, without echo."""
    modem, terminal = Modem(["one"], lambda *_: None), Terminal()
    modem.ports[0].opened(terminal)
    assert ask(modem, terminal, "ATE0")[-1] == "OK"
    return modem, terminal


def ask(modem: Modem, terminal: Terminal, line: str) -> list[str]:
    """What is answered to a command line."""
    (port,) = modem.ports
    for whole in port.lines(f"{line}\r".encode()):
        port.give(port.answer(whole))
    return terminal.taken()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("AT", []),
        ("atE0V1", [Command("E", Kind.RUN, "0"), Command("V", Kind.RUN, "1")]),
        ("AT&C1", [Command("&C", Kind.RUN, "1")]),
        ("ATS3=13", [Command("S", Kind.RUN, "3=13")]),
        ("AT+CREG=2;+CSQ", [Command("+CREG", Kind.SET, "2"), Command("+CSQ", Kind.RUN)]),
        ("AT+COPS=?", [Command("+COPS", Kind.TEST)]),
        ("AT+CPIN?;+CFUN?", [Command("+CPIN", Kind.READ), Command("+CFUN", Kind.READ)]),
        ('AT+CGDCONT=1,"IP","a;b"', [Command("+CGDCONT", Kind.SET, '1,"IP","a;b"')]),
        ("ATD*99***2#", [Command("D", Kind.RUN, "*99***2#")]),
    ],
)
def test_command_lines(line: str, wanted: list[Command]) -> None:
    """Basic and extended commands, alone or many in a line; a semicolon in quotes separates nothing."""
    assert list(commands(line)) == wanted


def test_answers() -> None:
    """Information and OK; an error with its number once it is asked for, and nothing of the line after it."""
    modem, terminal = plugged()
    assert ask(modem, terminal, "AT+CSQ;+CFUN?") == ["+CSQ: 17,99", "+CFUN: 1", "OK"]
    modem.sim.card = Card.MISSING
    assert ask(modem, terminal, "AT+CPIN?") == ["ERROR"]
    assert ask(modem, terminal, "AT+CMEE=1;+CPIN?;+CSQ") == ["+CME ERROR: 10"]
    assert ask(modem, terminal, "AT+NOTHING") == ["+CME ERROR: 4"]


def test_registration_by_domain() -> None:
    """An LTE cell registers in the packet domain of LTE, one of UMTS in the two others; told as asked for."""
    modem, terminal = plugged()
    assert ask(modem, terminal, "AT+CREG=2;+CEREG=2") == ["OK"]
    modem.camp(act=UTRAN)
    assert terminal.taken() == ['+CREG: 1,"1A2B","00C0FFEE",2', "+CEREG: 0"]
    modem.camp(act=LTE, cell="00C0FFEF")
    assert terminal.taken() == ['+CEREG: 1,"1A2B","00C0FFEF",7', "+CREG: 0"]


def test_pin() -> None:
    """The right PIN unlocks, the third wrong one blocks, and how many tries are left can be asked."""
    modem, terminal = plugged()
    modem.sim.card = Card.PIN
    assert ask(modem, terminal, 'AT+CPIN="1234";+CPIN?') == ["+CPIN: READY", "OK"]
    modem.sim.card = Card.PIN
    for _ in range(3):
        assert ask(modem, terminal, 'AT+CPIN="0000"') == ["ERROR"]
    assert ask(modem, terminal, "AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
    assert ask(modem, terminal, 'AT+CSIM=10,"0020000100"') == ['+CSIM: 4,"63C0"', "OK"]


@given(st.lists(st.one_of(st.binary(), st.text('AT+=?;",&\r\n0159CREGPINSDF*#').map(str.encode))))
@example([b"AT+CREG=\r", b"AT+CPIN=\r", b"AT+CGDCONT=x\r", b"AT+CGACT=1,\r", b"ATD\r", b"AT+CSIM\r"])
def test_anything(pieces: list[bytes]) -> None:
    """Whatever octets come, every command line is answered, and nothing raises."""
    modem, terminal = plugged()
    (port,) = modem.ports
    for piece in pieces:
        for line in port.lines(piece):
            port.give(port.answer(line))
            assert terminal.taken() or port.calling
