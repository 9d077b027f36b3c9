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

    settings = load(file)
    plugins = check_all(settings)
    tcp = settings.daemon.tcp
    counts = f"{len(plugins.drivers)} driver(s), {len(plugins.consumers)} consumer(s)"
    if tcp is not None:
        counts += f", {len(tcp.keys)} key(s) on tcp"
    print(f"{file}: good; {counts}")
