"""`lies keys new, show, list, handover`: CURVE keys for the bus on TCP, and handover keys for FMIPv6."""

from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import Json, new_app

app = new_app()

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="DIR",
        help="Where the keys lie ($LIES_KEYS_DIR, /etc/lies/keys as root, else $XDG_CONFIG_HOME/lies/keys).",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the key pair.")]


@app.callback()
def keys() -> None:
    """Make and show keys: CURVE pairs for the bus over TCP, handover keys for FMIPv6."""


@app.command()
def new(name: Name, *, json: Json = False, directory: Directory = None) -> None:
    """Make a key pair and print its public key; the secret one stays in a file of mode 0600."""
    from lies.keys import key_file, new_key
    from lies.paths import keys_dir

    at = directory or keys_dir()
    pair = new_key(at, name)
    _print(name, pair.public, json=json)
    typer.echo(f"lies: the pair is in {key_file(at, name)}", err=True)


@app.command()
def show(name: Name, *, json: Json = False, directory: Directory = None) -> None:
    """Print the public key of a pair."""
    from lies.keys import load_key
    from lies.paths import keys_dir

    _print(name, load_key(directory or keys_dir(), name).public, json=json)


@app.command()
def handover(name: Name, *, json: Json = False, directory: Directory = None) -> None:
    """Make a key that two nodes share, and print its fingerprint; the key stays in a file of mode 0600.

    For FBU and FBack between a mobile node and an access router, or for ESP between two access routers.
    """
    from lies.paths import keys_dir
    from lies.shared_keys import new_shared_key, shared_key_file

    at = directory or keys_dir()
    key = new_shared_key(at, name)
    _print_shared(name, key.fingerprint, json=json)
    typer.echo(f"lies: the key is in {shared_key_file(at, name)}; carry it to the other node", err=True)


@app.command("list")
def list_keys(*, json: Json = False, directory: Directory = None) -> None:
    """Print every key's name, and public key or fingerprint; ends with 1 if one cannot be used."""
    from lies.cli._output import print_table
    from lies.errors import LiesError
    from lies.keys import key_names, load_key
    from lies.paths import keys_dir
    from lies.shared_keys import load_shared_key, shared_key_names

    at = directory or keys_dir()
    pairs: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    problems: list[str] = []
    for name in key_names(at):
        try:
            pairs.append((name, load_key(at, name).public))
        except LiesError as error:
            problems.append(str(error))
    for name in shared_key_names(at):
        try:
            shared.append((name, load_shared_key(at, name).fingerprint))
        except LiesError as error:
            problems.append(str(error))
    if json:
        for name, public in pairs:
            _print(name, public, json=True)
        for name, fingerprint in shared:
            _print_shared(name, fingerprint, json=True)
    else:
        if pairs or not shared:
            print_table(("key", "public"), pairs)
        if shared:
            print_table(("handover key", "fingerprint"), shared)
    for problem in problems:
        typer.echo(f"lies: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _print(name: str, public: str, *, json: bool) -> None:
    from lies.cli._output import print_json

    if json:
        print_json({"type": "key", "name": name, "public": public})
    else:
        print(public)


def _print_shared(name: str, fingerprint: str, *, json: bool) -> None:
    from lies.cli._output import print_json

    if json:
        print_json({"type": "handover_key", "name": name, "fingerprint": fingerprint})
    else:
        print(fingerprint)
