"""`python -m lies._isolated`: the process that the daemon makes for a plugin with `isolate = true`.

It ends with the daemon from its first line on: what a plugin needs takes a while to load, or for ever, and
meanwhile nobody would read the end of its standard input.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Tie the process to the daemon, then load and run the plugin."""
    _die_with_parent()
    from lies.worker import main as work  # noqa: PLC0415 - that is what must not come first

    return work()


def _die_with_parent() -> None:
    """SIGTERM when the daemon dies; end of file on stdin says the same, but not to a plugin that blocks."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
