"""Running a command for each event: its variables, its life, and what becomes of its exit code."""

import os
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import msgspec
import typer

from lies.bus import BlockingClient, Gap
from lies.cli._client import connected_blocking, saying
from lies.cli._output import clean
from lies.errors import LiesError, TimedOut
from lies.events import Indication, Raw, indication_name
from lies.events.json import to_json_object
from lies.paths import CLIENT_VARIABLES
from lies.runtime import now_s

GRACE_S = 2.0  # for a command that runs at Ctrl-C, before SIGTERM and again before SIGKILL
LONGEST_VARIABLE = (
    32768  # octets; the kernel takes 128 KiB, and longer ones are on standard input all the same
)
_PREFIX = "LIES_"


class _Terminated(BaseException):
    """SIGTERM came."""


def resolved(command: Sequence[str]) -> list[str]:
    """The command; a usage error if there is no such program."""
    if shutil.which(command[0]) is None:
        raise typer.BadParameter(f"{command[0]!r} is no command that can be run", param_hint="CMD")
    return list(command)


def variables(event: Indication | Raw) -> dict[str, str]:
    """LIES_* variables of an event: LIES_EVENT, and every field that has a value, by its name."""
    found: dict[str, str] = {}
    for key, value in to_json_object(event).items():
        _flatten({"type": "event", "condition": ""}.get(key, key), value, found)
    return found


def _flatten(name: str, value: Any, found: dict[str, str]) -> None:  # noqa: ANN401 - any part of an event
    match value:
        case None:
            return
        case Mapping():
            for key, inner in value.items():
                _flatten(f"{name}_{key}" if name else key, inner, found)
            return
        case list() | tuple() if name == "poas":
            value = "\n".join(entry["poa"] for entry in value)
        case list() | tuple():
            return  # what else is a list is on standard input
        case float():
            value = f"{value:g}" if value.is_integer() else repr(value)
    found[_PREFIX + name.upper()] = str(value)


def environment(event: Indication | Raw, outer: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The command's environment; within another `lies exec` the outer event's variables are left out."""
    nested = f"{_PREFIX}EVENT" in outer
    inner = {
        name: value
        for name, value in outer.items()
        if not (nested and name.startswith(_PREFIX) and name not in CLIENT_VARIABLES)
    }
    for name, value in variables(event).items():
        octets = value.replace("\0", "\\x00").encode("utf-8", "replace")  # whatever the locale is
        if len(octets) <= LONGEST_VARIABLE:
            inner[name] = os.fsdecode(octets)
    return inner


class Runner:
    """Runs `command` for events of some names, one at a time and in order.

    count: how many; errexit: stop at the first command that fails; failures: how many failed so far.
    """

    def __init__(
        self, command: list[str], names: Collection[str], *, count: int | None = None, errexit: bool = False
    ) -> None:
        self.failures = 0
        self.seen = 0
        self._command = command
        self._names = names
        self._count = count
        self._errexit = errexit

    def run(self, primitives: Sequence[str], link: str, wait_s: float | None) -> None:
        """Until `count` events; TimedOut after wait_s. A SIGTERM ends the command, then this process."""
        try:
            with _terminable(), saying(), connected_blocking("exec") as client:
                client.on_gap(_say_gap)
                for primitive in primitives:
                    client.register(primitive, link)
                self._follow(client, wait_s)
        except _Terminated:
            os.kill(os.getpid(), signal.SIGTERM)  # whoever sent it sees that it was obeyed

    def _follow(self, client: BlockingClient, wait_s: float | None) -> None:
        end_s = None if wait_s is None else now_s() + wait_s
        while True:
            event = client.next_event(None if end_s is None else max(0.0, end_s - now_s()))
            if event is None:
                wanted = "events" if self._count is None else f"of {self._count} events"
                raise TimedOut(f"timed out after {wait_s:g} s and {self.seen} {wanted}")
            if indication_name(event) not in self._names:
                continue
            code = self._run_once(client, event)
            self.seen += 1
            if code:
                self.failures += 1
                said = f"ended with {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
                what = f"{indication_name(event)} of {event.header.link.name}"
                typer.echo(f"lies: {clean(self._command[0])} {said} ({what})", err=True)
            if self.seen == self._count or (code and self._errexit):
                return

    def _run_once(self, client: BlockingClient, event: Indication | Raw) -> int:
        """The command's exit code, negative the signal that ended it; the session lives meanwhile."""
        stdin = os.memfd_create("lies-event")  # no pipe: the command need not read, and no disk can be full
        try:
            os.write(stdin, msgspec.json.encode(to_json_object(event)) + b"\n")
            os.lseek(stdin, 0, os.SEEK_SET)
            child = subprocess.Popen(self._command, stdin=stdin, env=environment(event))  # noqa: S603 - it is asked for
        except OSError as error:
            raise LiesError(f"{self._command[0]} cannot be run: {error.strerror}") from error
        finally:
            os.close(stdin)
        try:
            ended = os.pidfd_open(child.pid)
            try:
                client.serve(descriptors=[ended])
            finally:
                os.close(ended)
            return child.wait()
        except KeyboardInterrupt:
            _end(child, gently=True)
            raise
        except BaseException:
            _end(child, gently=False)
            raise


def _end(child: "subprocess.Popen[bytes]", *, gently: bool) -> None:
    """See to it that the command ends; gently: it was told by the terminal too, and may end by itself."""
    steps = [child.terminate, child.kill]
    while child.returncode is None:
        try:
            if gently:
                gently = False
            elif steps:
                steps.pop(0)()
            child.wait(GRACE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt, _Terminated):
            continue  # the next step


def _say_gap(gap: Gap) -> None:
    lost = "some" if gap.last is None else str(gap.last - gap.first + 1)
    typer.echo(f"lies: {lost} of {gap.primitive} lost on {gap.link}", err=True)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises, so that the command that runs can be ended too."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
