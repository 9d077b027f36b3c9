"""The table of commands, and the group that imports each of them when it is run."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
import typer.core

from lies.cli import INTERRUPTED, leave_on_interrupt
from lies.cli._options import RuntimeDir
from lies.cli._remote import add_remote_options
from lies.errors import LiesError

COMMANDS = {  # name -> short help; the module is lies.cli.NAME and has a typer app called `app`
    "run": "Run the daemon: bus, configured drivers and consumers.",
    "trace": "Print events as they happen.",
    "links": "Show every link, its PoA and condition (L2-LinkStatus).",
    "poas": "Show the points of attachment that a link hears (L2-PoAList).",
    "connect": "Move a link to a point of attachment (L2-LinkConnect).",
    "disconnect": "Take a link down (L2-LinkDisconnect).",
    "exec": "Run a command for each event.",
    "record": "Record raw measurements, events and reports of every link.",
    "replay": "Play a recording or a CSV trace as a driver of the running daemon.",
    "convert": "Turn a recording or trace into another form.",
    "info": "Say what is in a recording or trace.",
    "predict": "Write the going-down indications that the abstract entity gives on a trace.",
    "bench": "Measure the event path beside raw ZeroMQ.",
    "demo": "Drive past eight access routers: real kernel networking, simulated or recorded radio.",
    "sim": "Simulate mobile nodes past access routers on a virtual clock.",
    "config": "Check a configuration file.",
    "keys": "Make and show the CURVE keys for the bus on TCP.",
}


class CommandGroup(typer.core.TyperGroup):
    """Shows the table's commands and imports the one that is run."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**attributes)
        add_remote_options(self, "")
        for name, short_help in COMMANDS.items():
            stub = typer.Typer(add_completion=False, rich_markup_mode=None)
            stub.command(name, help=short_help)(_nothing)
            self.commands[name] = typer.main.get_command(stub)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's context
        """Read the group's own options; `--help` and `--version` print here."""
        with exit_codes():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's context and command
        """The command that `args` begin with, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in COMMANDS:
            return name, command, rest
        with exit_codes(), leave_on_interrupt():
            loaded = load(name)
        self.commands[name] = loaded
        return name, loaded, rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's context
        """Run the command; an error of ours becomes its sentence and exit code."""
        with exit_codes():
            return super().invoke(ctx)


def load(name: str) -> Any:  # noqa: ANN401 - typer's command
    """Import a command, with all its options."""
    loaded = typer.main.get_command(importlib.import_module(f"lies.cli.{name}").app)
    loaded.name = name
    add_remote_options(loaded, name)
    return loaded


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn LiesError, Ctrl-C and an output that takes no more into one sentence at most and the exit code."""
    try:
        yield
    except LiesError as error:
        typer.echo(f"lies: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(INTERRUPTED) from interrupt
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # else the reader has seen enough
            about = f"{error.filename}: " if error.filename is not None else ""
            typer.echo(f"lies: {about}{error.strerror or error}", err=True)
        with suppress(OSError, ValueError):  # the interpreter must not complain when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0 if isinstance(error, BrokenPipeError) else 1) from error


def _nothing() -> None:
    """Stands in the table until the command is imported."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed_version

        typer.echo(f"lies {installed_version('lies')}")
        raise typer.Exit


app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    runtime_dir: RuntimeDir = None,
) -> None:
    """LIES: link layers tell the network layer what is about to happen (RFC 5184), and IPv6 moves first.

    Exit codes: 0 done, 1 failed, 2 usage, 3 bad input file, 4 no daemon, 5 not permitted, 27 timed out,
    130 interrupted.
    """
    del version, runtime_dir  # their callbacks did it
