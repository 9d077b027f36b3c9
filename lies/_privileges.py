"""Gives up the capabilities that nothing in this process needs, for good.

Only those that plugins may declare (lies.capabilities) are touched. It must be done while the process has one
thread: capabilities are a thread's, and later threads have those of the one that makes them.
"""

import ctypes
import os
from collections.abc import Iterable

from lies.capabilities import Capability

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_LOWER = 3
_VERSION_3 = 0x20080522  # linux/capability.h
NUMBERS = {Capability.NET_ADMIN: 12, Capability.NET_RAW: 13}


class _Head(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def keep_only(
    needed: Iterable[Capability], *, for_children: Iterable[Capability] = ()
) -> frozenset[Capability]:
    """Keep what this process needs in effect, and what its children need in reserve; returns what it had.

    What is gone cannot come back, not by a program with the set-user-ID bit or file capabilities either
    (PR_SET_NO_NEW_PRIVS). A capability that the process does not have is not given by this. Where the kernel
    does not allow it, nothing is changed and OSError raised.
    """
    in_effect, in_reserve = _mask(needed), _mask(for_children)
    ours = _mask(Capability)
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = _Head(_VERSION_3, 0), (_Sets * 2)()
    _check(libc.capget(ctypes.byref(head), sets), "capget")
    low = sets[0]  # both capabilities are of the lower 32
    before = low.permitted & ours
    low.permitted &= ~ours | in_effect | in_reserve
    low.effective = (low.effective & ~ours) | (low.permitted & in_effect)
    # Children of a user other than root get what is ambient, and that must be inheritable.
    low.inheritable = (low.inheritable & ~ours) | (low.permitted & in_reserve)
    _check(libc.capset(ctypes.byref(head), sets), "capset")
    for capability, number in NUMBERS.items():
        held = low.permitted & in_reserve & 1 << number
        order = PR_CAP_AMBIENT_RAISE if held else PR_CAP_AMBIENT_LOWER
        _check(libc.prctl(PR_CAP_AMBIENT, order, number, 0, 0), f"prctl {capability}")
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS")
    return frozenset(capability for capability, number in NUMBERS.items() if before & 1 << number)


def _mask(capabilities: Iterable[Capability]) -> int:
    return sum(1 << NUMBERS[capability] for capability in set(capabilities))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
