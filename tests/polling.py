"""Waiting for what other processes do."""

import threading
from collections.abc import Callable

from lies.runtime import now_s

_never = threading.Event()


def wait_until(holds: Callable[[], bool], limit_s: float) -> None:
    """Return as soon as it holds; AssertionError after limit_s."""
    end_s = now_s() + limit_s
    while not holds():
        assert now_s() < end_s, f"not so after {limit_s} s"
        _never.wait(0.02)
