"""`lies keys new NAME`, `lies keys list`, `lies keys show NAME`: CURVE keys for the bus on TCP."""

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
    """Make and show the CURVE keys with which daemons and clients know each other over TCP."""


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


@app.command("list")
def list_keys(*, json: Json = False, directory: Directory = None) -> None:
    """Print every key pair's name and public key; ends with 1 if one cannot be used."""
    from lies.cli._output import print_json, print_table
    from lies.errors import LiesError
    from lies.keys import key_names, load_key
    from lies.paths import keys_dir

    at = directory or keys_dir()
    rows: list[tuple[str, str]] = []
    problems: list[str] = []
    for name in key_names(at):
        try:
            rows.append((name, load_key(at, name).public))
        except LiesError as error:
            problems.append(str(error))
    if json:
        for name, public in rows:
            print_json({"type": "key", "name": name, "public": public})
    else:
        print_table(("key", "public"), rows)
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
