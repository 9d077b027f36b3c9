"""Network namespaces without names: held by a descriptor, gone with the last process that holds one.

Nothing is mounted under /run/netns, so nothing can be left behind, whatever ends the process.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lies.errors import NotPermitted

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_TIMERSLACK = 29  # linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)

HOW_TO_GET_NAMESPACES = (
    "network namespaces are not allowed here: run as root, or allow unprivileged user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0, and on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0)"
)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def new_namespace() -> int:
    """A new network namespace with its loopback up; returns the descriptor that keeps it alive."""
    found: list[int] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=make, name="new-netns")
    thread.start()
    thread.join()
    if failed:
        raise NotPermitted(HOW_TO_GET_NAMESPACES) from failed[0]
    return found[0]


def enter(descriptor: int) -> None:
    """Move this thread into the network namespace."""
    _check(_libc.setns(descriptor, _CLONE_NEWNET), "setns")


@contextmanager
def entered(namespace: int | str | Path) -> Iterator[None]:
    """Run the block in a network namespace (a descriptor or a path), then come back."""
    opened = None if isinstance(namespace, int) else os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace if isinstance(namespace, int) else opened or 0)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)
        if opened is not None:
            os.close(opened)


def ensure_privileged() -> bool:
    """Make sure that network namespaces can be made: returns True if a user namespace was entered for it.

    Must be called while the process has one thread. Raises NotPermitted with the way out.
    """
    if _effective_net_admin():
        return False
    uid, gid = os.getuid(), os.getgid()
    try:
        # a network namespace of its own as well, because the way back into the host's would be barred
        _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET), "unshare")
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    except OSError as error:
        raise NotPermitted(HOW_TO_GET_NAMESPACES) from error
    return True


def _effective_net_admin() -> bool:
    """Whether CAP_NET_ADMIN (12) and CAP_SYS_ADMIN (21) are effective."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            wanted = (1 << 12) | (1 << 21)
            return int(line.split()[1], 16) & wanted == wanted
    return False


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def keep_time() -> None:
    """Have the kernel end this thread's waits when they are over, and not 50 us later."""
    _check(_libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0), "prctl")


def read_sysctl(name: str) -> str:
    """What net.NAME is (slashes as separators) in the namespace that this thread is in."""
    return Path("/proc/sys/net", *name.split("/")).read_text(encoding="ascii").strip()


def sysctl(name: str, value: int | str) -> None:
    """Set net.NAME (slashes as separators) of the namespace that this thread is in."""
    Path("/proc/sys/net", *name.split("/")).write_text(str(value), encoding="ascii")
