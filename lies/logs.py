"""Logs of the daemon and its children: the standard library's logging, plain lines on stderr."""

import logging
import sys

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up_logs(level: str, *, name: str = "") -> None:
    """Log to stderr from this level on; name: of the plugin that this process runs, written in each line."""
    line = LINE.replace("%(name)s", f"%(name)s[{name.replace('%', '%%')}]") if name else LINE
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=line, force=True)
