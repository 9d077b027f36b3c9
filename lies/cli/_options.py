"""Options and arguments that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from lies.cli._complete import complete_links
from lies.paths import CONNECT_VARIABLE, RUNTIME_DIR_VARIABLE


def new_app() -> typer.Typer:
    """The typer app of one command module."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _select(directory: Path | None) -> Path | None:
    if directory is not None:
        if str(directory).startswith("tcp:"):
            raise typer.BadParameter(
                "a directory of this machine; a daemon on another host is reached with "
                "--connect tcp://HOST:PORT --server-key KEY --key NAME"
            )
        os.environ.pop(CONNECT_VARIABLE, None)  # what is said on the command line wins
        os.environ[RUNTIME_DIR_VARIABLE] = str(directory)  # lies.paths reads it, and child processes do
    return directory


RuntimeDir = Annotated[
    Path | None,
    typer.Option(
        "--runtime-dir",
        metavar="DIR",
        readable=False,  # whether it may be used, the bus says
        callback=_select,
        help=f"Where the daemon's endpoints are (${RUNTIME_DIR_VARIABLE}, /run/lies, the user's own).",
    ),
]
Json = Annotated[bool, typer.Option("-j", "--json", help="One JSON object a line.")]
LinkName = Annotated[
    str,
    typer.Argument(
        metavar="LINK", help="Name of the link, as `lies links` shows it.", autocompletion=complete_links
    ),
]
OnlyLink = Annotated[
    str,
    typer.Option("--link", "-l", metavar="L", help="Only this link.", autocompletion=complete_links),
]
