"""The command line: `lies COMMAND`.

Each command is a module `lies.cli.NAME` with a typer app called `app`; it is imported when that command is
run, so that `lies --help` imports no ZeroMQ and `lies trace` no kernel code.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130


def main() -> None:
    """Entry point of the program `lies`; ends the process with the exit code of DESIGN's table."""
    gc.set_threshold(20_000)  # imports make next to nothing that could be collected: a tenth of a start
    with leave_on_interrupt():
        from lies.cli._app import app

    for stream in (sys.stdout, sys.stderr):
        # A reader on a pipe gets each line at once; a PoA's name that the terminal cannot show is escaped.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # TextIO lacks it
    try:
        app(prog_name="lies")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def leave_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once: while modules are loaded there is nothing to clear up."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in a background job
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
