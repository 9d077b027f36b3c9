"""A timer of the kernel that rings to a fraction of a millisecond; event loops round up to whole ones."""

import ctypes
import os
from contextlib import suppress

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Rings once at a time on the clock of lies.runtime.now_s; `fileno` becomes readable then."""

    def __init__(self) -> None:
        self._file: int = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._file < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def fileno(self) -> int:
        """Descriptor for an event loop."""
        return self._file

    def set(self, at_s: float | None) -> None:
        """Ring at that time, at once if it has passed; None: do not ring."""
        ns = 0 if at_s is None else max(1, round(at_s * 1e9))
        setting = _Setting(_Timespec(0, 0), _Timespec(*divmod(ns, 1_000_000_000)))
        if _libc.timerfd_settime(self._file, _TFD_TIMER_ABSTIME, ctypes.byref(setting), None):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def rung(self) -> None:
        """Take note that it rang."""
        with suppress(BlockingIOError):
            os.read(self._file, 8)

    def close(self) -> None:
        """Close it."""
        os.close(self._file)
