"""`lies run`: the daemon."""

import os
from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import RuntimeDir, new_app

app = new_app()


@app.command()
def run(
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", metavar="FILE", readable=False, help="The TOML file."),
    ] = None,
    *,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Run the daemon until SIGTERM (exit 0) or Ctrl-C (exit 130): bus, configured drivers and consumers.

    Without -c it reads /etc/lies/lies.toml (root) or $XDG_CONFIG_HOME/lies/lies.toml; without that file it
    asks the installed drivers which links they find, and says so.
    """
    del runtime_dir  # its callback did it
    from attrs import evolve

    from lies.config import load
    from lies.paths import RUNTIME_DIR_VARIABLE, default_config
    from lies.supervisor import find_links, run_daemon

    if config is not None:
        settings = load(config)
    elif (default := default_config()).exists():
        settings = load(default)
    else:
        settings, said = find_links(default)
        typer.echo(f"lies: {said}", err=True)
    if chosen := os.environ.get(RUNTIME_DIR_VARIABLE):  # --runtime-dir sets it too
        settings = evolve(settings, daemon=evolve(settings.daemon, runtime_dir=Path(chosen)))
    code = run_daemon(settings)
    if code:
        raise typer.Exit(code)
