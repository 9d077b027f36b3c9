"""The options for a daemon on another host, the same for every command that speaks to a daemon."""

import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from lies.paths import CONNECT_VARIABLE, KEY_VARIABLE, PUBLISH_VARIABLE, SERVER_KEY_VARIABLE

PUBLISHERS = {"replay"}  # commands that are drivers
DAEMONS = {"run"}  # commands with a --runtime-dir that are clients of nobody


def _keep(variable: str) -> Callable[[str | None], str | None]:
    def keep(value: str | None) -> str | None:
        if value is not None:
            os.environ[variable] = value  # lies.remote reads it, and child processes do
        return value

    return keep


def _options(
    *,
    connect: Annotated[
        str | None,
        typer.Option(
            "--connect",
            metavar="tcp://HOST:PORT",
            callback=_keep(CONNECT_VARIABLE),
            help=f"A daemon on another host (${CONNECT_VARIABLE}).",
        ),
    ] = None,
    server_key: Annotated[
        str | None,
        typer.Option(
            "--server-key",
            metavar="KEY",
            callback=_keep(SERVER_KEY_VARIABLE),
            help=f"Public key of that daemon, in single quotes (${SERVER_KEY_VARIABLE}).",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="NAME",
            callback=_keep(KEY_VARIABLE),
            help=f"Our own key pair, made by `lies keys new NAME` (${KEY_VARIABLE}).",
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            "--publish",
            metavar="tcp://HOST:PORT",
            callback=_keep(PUBLISH_VARIABLE),
            help=f"That daemon's endpoint for drivers (${PUBLISH_VARIABLE}).",
        ),
    ] = None,
) -> None:
    """Only the options of this function are used."""
    del connect, server_key, key, publish


def add_remote_options(command: Any, name: str) -> None:  # noqa: ANN401 - typer's command
    """Give a command that has --runtime-dir the options for another host's daemon."""
    if name in DAEMONS or all(parameter.name != "runtime_dir" for parameter in command.params):
        return
    source = typer.Typer()
    source.command()(_options)
    for parameter in typer.main.get_command(source).params:
        if parameter.name in {"connect", "server_key", "key"} or (
            parameter.name == "publish" and name in PUBLISHERS
        ):
            parameter.expose_value = False  # its callback does it
            command.params.append(parameter)
