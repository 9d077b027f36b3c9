"""`lies run`: the daemon."""

import os
from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import RuntimeDir, new_app
from lies.paths import LOG_FORMAT_VARIABLE, LOG_LEVEL_VARIABLE

app = new_app()


@app.command()
def run(
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", metavar="FILE", readable=False, help="The TOML file."),
    ] = None,
    *,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--log-format",
            metavar="console|json",
            help=f"How a line of the log looks (${LOG_FORMAT_VARIABLE}, log_format of the file).",
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            metavar="debug|info|warning|error",
            help=f"How much is logged (${LOG_LEVEL_VARIABLE}, log_level of the file).",
        ),
    ] = None,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Run the daemon until SIGTERM (exit 0) or Ctrl-C (exit 130): bus, configured drivers and consumers.

    Without -c it reads /etc/lies/lies.toml (root) or $XDG_CONFIG_HOME/lies/lies.toml; without that file it
    asks the installed drivers which links they find, and says so. SIGHUP makes it read the file anew.
    """
    del runtime_dir  # its callback did it
    from lies.config import Config, load, overridden
    from lies.paths import default_config
    from lies.supervisor import find_links, run_daemon

    said_here = {LOG_FORMAT_VARIABLE: log_format, LOG_LEVEL_VARIABLE: log_level}
    environ = {**os.environ, **{name: word for name, word in said_here.items() if word is not None}}

    def read() -> Config:
        default = default_config()
        if config is not None:
            settings = load(config)
        elif default.exists():
            settings = load(default)
        else:
            settings, said = find_links(default)
            typer.echo(f"lies: {said}", err=True)
        return overridden(settings, environ)

    code = run_daemon(read(), reread=read)
    if code:
        raise typer.Exit(code)
