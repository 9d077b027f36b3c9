"""Tells systemd how the daemon is (sd_notify): one datagram to $NOTIFY_SOCKET.

READY, STATUS, RELOADING, STOPPING, and the pings of the watchdog, which come from the event loop and only
while the bus does its work: a daemon that hangs is started again.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

from lies.runtime import monotonic_ns, now_s

LOOK_S = 1.0  # how often it is looked whether there is something new to tell
_PINGS = 3  # in the time after which systemd gives the daemon up

_log = logging.getLogger("lies.daemon")


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state` (such as "READY=1"); False where no service manager listens. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(1.0)  # its queue may be full for a moment
            channel.sendto(state.encode(), address)
    except OSError as error:
        _log.warning("systemd is not told", extra={"state": state.partition("\n")[0], "reason": str(error)})
        return False
    return True


def reloading() -> str:
    """The state of a daemon that reads its configuration anew; READY=1 follows (Type=notify-reload)."""
    return f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}"


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """After how long without a ping systemd takes this process for hung, in s; None if it does not look."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6


class Pulse:
    """From the running loop: STATUS when it has changed, and WATCHDOG=1 while `beat_s` is recent.

    status: one line; beat_s: when the bus was last seen to, on the clock of lies.runtime; stale_s: how old
    that may be.
    """

    def __init__(
        self,
        status: Callable[[], str],
        beat_s: Callable[[], float],
        *,
        stale_s: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._status = status
        self._beat_s = beat_s
        self._stale_s = stale_s
        self._environ = environ
        limit_s = watchdog_s(environ)
        self._ping_s = None if limit_s is None else limit_s / _PINGS
        self._look_s = min(LOOK_S, self._ping_s or LOOK_S)
        self._pinged_s = 0.0
        self._said = ""
        self._stale = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, where there is a service manager."""
        if self._environ.get("NOTIFY_SOCKET"):
            self._look()

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def say(self, state: str) -> None:
        """Tell a state together with the status."""
        if not self._environ.get("NOTIFY_SOCKET"):
            return
        self._said = self._status()
        notify(f"{state}\nSTATUS={self._said}", self._environ)

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._look_s, self._look)
        if self._ping_s is not None:
            self._ping(now_s(), self._ping_s)
        if self._status() != self._said:
            self._said = self._status()
            notify(f"STATUS={self._said}", self._environ)

    def _ping(self, now: float, every_s: float) -> None:
        if now - self._beat_s() > self._stale_s:
            if not self._stale:
                _log.error("the bus does not do its work; the watchdog is not told otherwise")
            self._stale = True
            return
        self._stale = False
        if now - self._pinged_s >= every_s - self._look_s / 2:
            self._pinged_s = now
            notify("WATCHDOG=1", self._environ)
