"""The AT command language (3GPP TS 27.007, ITU-T V.250): lines into commands, answers into lines."""

import enum
import re
from collections.abc import Callable, Iterator

from attrs import frozen


class Kind(enum.Enum):
    """What a command asks for."""

    RUN = ""
    SET = "="
    READ = "?"
    TEST = "=?"


@frozen
class Command:
    """One command of a line: `+CREG=2` is Command("+CREG", SET, "2"), `E0` is Command("E", RUN, "0")."""

    name: str
    kind: Kind
    value: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The parameters without their quotes."""
        return fields(self.value)

    def __str__(self) -> str:
        return f"{self.name}{self.kind.value}{self.value}"


@frozen
class Answer:
    """What a command is answered: information, the result code; how long it takes, and what it does then."""

    lines: tuple[str, ...] = ()
    final: str = "OK"
    delay_s: float = 0.0
    then: Callable[[], None] | None = None


class CmeError(enum.IntEnum):
    """Errors of the mobile equipment (TS 27.007 section 9.2)."""

    NOT_ALLOWED = 3
    NOT_SUPPORTED = 4
    NO_SIM = 10
    PIN_NEEDED = 11
    PUK_NEEDED = 12
    WRONG_PASSWORD = 16
    NO_NETWORK = 30


@frozen
class Refused(Exception):
    """A command that the modem does not follow."""

    error: CmeError


Handler = Callable[[Command], Answer]
Table = dict[tuple[str, Kind], Handler]

_EXTENDED = re.compile(r"([+*^%$][A-Za-z0-9]+)(=\?|\?|=)?")
_BASIC = re.compile(r"(&?[A-CE-Za-ce-z]\d*)(=\?|\?|=)?(\d*)")


def commands(line: str) -> Iterator[Command]:
    """The commands of a line that begins with AT; ValueError at what is none."""
    if line[:2].upper() != "AT":
        raise ValueError(f"no command line: {line!r}")
    rest = line[2:].strip()
    while rest:
        command, rest = _first(rest)
        yield command
        rest = rest.lstrip("; ")


def _first(text: str) -> tuple[Command, str]:
    if text[0] in "dD":  # a number to dial takes the whole line
        return Command("D", Kind.RUN, text[1:]), ""
    if found := _EXTENDED.match(text):
        end = _end(text)
        kind = Kind(found[2] or "")
        return Command(found[1].upper(), kind, text[found.end() : end]), text[end:]
    if found := _BASIC.match(text):
        name = found[1].rstrip("0123456789").upper()
        value = found[1][len(name) :] + (found[2] or "") + found[3]
        return Command(name, Kind.RUN, value), text[found.end() :]
    raise ValueError(f"no command: {text!r}")


def _end(text: str) -> int:
    """Where the command ends: at a semicolon outside of quotes."""
    quoted = False
    for place, letter in enumerate(text):
        quoted ^= letter == '"'
        if letter == ";" and not quoted:
            return place
    return len(text)


def fields(value: str) -> tuple[str, ...]:
    """Parameters separated by commas, without their quotes."""
    return tuple(part.strip().removeprefix('"').removesuffix('"') for part in _split(value))


def _split(value: str) -> Iterator[str]:
    start, quoted = 0, False
    for place, letter in enumerate(value):
        quoted ^= letter == '"'
        if letter == "," and not quoted:
            yield value[start:place]
            start = place + 1
    yield value[start:]


def say(*lines: str, delay_s: float = 0.0) -> Answer:
    """These lines, and OK."""
    return Answer(lines, delay_s=delay_s)


def always(*lines: str) -> Handler:
    """A handler that gives the same answer to everything."""
    answer = Answer(lines)
    return lambda _: answer
