"""The command line: `lies COMMAND`.

Each command is a module `lies.cli.NAME` with a typer app called `app`; it is imported when that command is
run, so that `lies --help` imports no ZeroMQ and `lies trace` no kernel code.
"""

import gc
import sys


def main() -> None:
    """Entry point of the program `lies`; ends the process with the exit code of DESIGN's table."""
    gc.set_threshold(20_000)  # imports make next to nothing that could be collected: a tenth of a start
    from lies.cli._app import app

    for stream in (sys.stdout, sys.stderr):
        # A reader on a pipe gets each line at once; a PoA's name that the terminal cannot show is escaped.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # TextIO lacks it
    app(prog_name="lies")
