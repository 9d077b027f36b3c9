"""`lies config check FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import new_app

app = new_app()


@app.callback()
def config() -> None:
    """Check a configuration file."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The TOML file.")],
) -> None:
    """Read a configuration as `lies run` would; exit 0 if it can be used, 2 with one sentence if not."""
    from lies.config import load
    from lies.supervisor import check as check_all

    plugins = check_all(load(file))
    counts = f"{len(plugins.drivers)} driver(s), {len(plugins.consumers)} consumer(s)"
    print(f"{file}: good; {counts}")
