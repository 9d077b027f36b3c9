"""Where the driver's sockets come from: the kernel, or what stands for it in tests."""

import errno
import os
import socket
from pathlib import Path
from typing import Protocol

from lies.errors import LiesError

_NETLINK_GENERIC = 16
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NETLINK_EXT_ACK = 270, 1, 11
_RTMGRP_LINK = 1
_BUFFER_OCTETS = 1 << 20
_RFKILL = Path("/dev/rfkill")
_RFKILL_CLASS = Path("/sys/class/rfkill")


class Door(Protocol):
    """Opens sockets; all are non-blocking."""

    def generic(self) -> socket.socket:
        """A generic netlink socket."""
        ...

    def route(self) -> socket.socket:
        """A route netlink socket that is told of every interface."""
        ...

    def join(self, events: socket.socket, group: int) -> None:
        """Have a generic netlink socket told what a group is told."""
        ...

    def switches(self) -> int | None:
        """A descriptor that tells of radio switches; None where there is none."""
        ...

    def wiphy_of(self, switch: int) -> int | None:
        """The radio that a switch belongs to; None where it cannot be told."""
        ...


class KernelDoor:
    """The kernel of the network namespace that this thread is in."""

    def generic(self) -> socket.socket:
        """A generic netlink socket; LiesError where the kernel has none."""
        return _open(_NETLINK_GENERIC, 0)

    def route(self) -> socket.socket:
        """A route netlink socket that is told of every interface."""
        return _open(socket.NETLINK_ROUTE, _RTMGRP_LINK)

    def join(self, events: socket.socket, group: int) -> None:
        """Have a generic netlink socket told what a group is told."""
        events.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def switches(self) -> int | None:
        """A descriptor of /dev/rfkill."""
        try:
            return os.open(_RFKILL, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None  # admin down and DISCONNECT tell the same a little later

    def wiphy_of(self, switch: int) -> int | None:
        """The radio of a switch, out of sysfs."""
        try:
            return int((_RFKILL_CLASS / f"rfkill{switch}" / "device" / "index").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _open(protocol: int, groups: int) -> socket.socket:
    try:
        opened = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
        )
    except OSError as error:
        if error.errno in {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}:
            raise LiesError(
                "this kernel has no netlink of the kind that nl80211 needs: take the driver nl80211 out of "
                "the configuration, or run another kernel"
            ) from error
        raise
    try:
        opened.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        opened.bind((0, groups))
    except BaseException:
        opened.close()
        raise
    return opened
