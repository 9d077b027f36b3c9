"""Logs of the daemon and its children: structlog, one line an event, on stderr.

Everything that the standard library's loggers are told comes out here, in one of two formats; what the code
gives as `extra` are the event's keys. Only the daemon and its children import this: a command that is a
client of the daemon prints plain sentences instead.
"""

import json
import logging
import os
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from lies.config import LogFormat

_FIRST = ("type", "time", "level", "logger", "plugin", "event")  # keys of a JSON line, then the event's own


def set_up_logs(level: str, log_format: LogFormat = LogFormat.CONSOLE, *, plugin: str = "") -> None:
    """Log to stderr from this level on; plugin: whose process this is, a key of each of its events.

    May be called again: the daemon does when its configuration has changed.
    """
    _as_now.log_format, _as_now.plugin = log_format, plugin
    chain: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _Named(plugin),
        _one_line,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(  # for plugins that log with structlog themselves
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *(step for step in chain if not isinstance(step, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def bare_line(text: str) -> str:
    """A line of the log for where nothing can be logged, such as a signal handler: no locks are taken."""
    if _as_now.log_format is not LogFormat.JSON:
        return f"{text}\n"
    plugin = {"plugin": _as_now.plugin} if _as_now.plugin else {}
    return json.dumps({"type": "log", "level": "warning", **plugin, "event": text}) + "\n"


class _AsNow:
    """How is logged now."""

    log_format = LogFormat.CONSOLE
    plugin = ""


_as_now = _AsNow()


class _Named:
    """Says which plugin's process this is."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if self._plugin:
            event.setdefault("plugin", self._plugin)
        return event


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """No value breaks the line or steers a terminal: names come from peers and from the air."""
    for key in ("exception", "stack_info"):  # the renderers would put these on lines of their own
        if key in event:
            event["traceback"] = event.pop(key)
    return {key: _printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _renderer(log_format: LogFormat) -> Processor:
    if log_format is LogFormat.JSON:
        return _render_json
    return structlog.dev.ConsoleRenderer(
        colors=_colours(), pad_event_to=0, pad_level=False, sort_keys=False, timestamp_key="time"
    )


def _colours() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    event["type"] = "log"
    ordered: dict[str, Any] = {key: event[key] for key in _FIRST if key in event}
    return json.dumps({**ordered, **event}, default=repr)
