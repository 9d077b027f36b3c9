"""Puts this process before the ordinary work of its host, for as long as it behaves.

SCHED_RR (sched(7)) at the lowest of its priorities: what hard real time the host has still goes first, and
two daemons take turns. Who computes without a wait for longer than LIMIT_S goes back among the others.
"""

import logging
import os
import resource
import signal
from contextlib import suppress

_log = logging.getLogger("lies.daemon")
LIMIT_S = 0.5  # without a wait; an event takes less than 1 ms, a collection of garbage at the start 0.1 s


def goes_first(pid: int = 0) -> bool:
    """Whether a process (0: this one) is before the ordinary work; not if it has ended."""
    try:
        policy = os.sched_getscheduler(pid)
    except ProcessLookupError:
        return False
    return policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR


def go_first(priority: int = 1) -> None:
    """Go before the ordinary work of the host; processes and threads made later do not.

    priority: of SCHED_RR, 1 the lowest. In the main thread. Raises OSError where that is not allowed: it
    takes CAP_SYS_NICE or an RLIMIT_RTPRIO of the priority.
    """
    signal.signal(signal.SIGXCPU, _go_back)
    limit_us = round(LIMIT_S * 1e6)
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    soft = limit_us if hard == resource.RLIM_INFINITY else min(limit_us, hard)
    resource.setrlimit(resource.RLIMIT_RTTIME, (soft, hard))
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def go_first_if_allowed(priority: int = 1) -> None:
    """Go first; where that is not allowed, go on without a word."""
    with suppress(PermissionError):
        go_first(priority)


def try_to_go_first(*, wanted: bool) -> None:
    """Go first if that is wanted; where it is not allowed, say so and go on."""
    if not wanted:
        return
    try:
        go_first()
    except OSError as error:
        _log.warning(
            "realtime is not allowed, so it goes without: it takes LimitRTPRIO=1 in the unit or CAP_SYS_NICE",
            extra={"reason": error.strerror},
        )


def _go_back(_signal: int, _frame: object) -> None:
    """RLIMIT_RTTIME was reached (SIGXCPU, getrlimit(2))."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    _log.error("computed for %g s without a wait: realtime is over until the next start", LIMIT_S)
