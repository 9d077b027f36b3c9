"""What the kernel says of an interface when it is asked; nothing here needs a permission."""

import array
import errno
import fcntl
import struct
from pathlib import Path

from lies_rtnetlink.messages import LinkTold

_SIOCGIFNAME, _SIOCETHTOOL = 0x8910, 0x8946  # linux/sockios.h
_ETHTOOL_GSET = 1  # linux/ethtool.h
_COMMAND = struct.Struct("=I8xH14xH14x")  # struct ethtool_cmd: cmd, speed, speed_hi
_UNKNOWN_MBPS = (0, 0xFFFF, 0xFFFFFFFF)
_ARPHRD_WIRELESS = (801, 802, 803)  # linux/if_arp.h: IEEE 802.11, as monitors have it
_NET_ADMIN = 1 << 12
_CLASS = Path("/sys/class/net")


def is_there(descriptor: int, index: int) -> bool:
    """Whether the kernel lists an interface; descriptor: a socket of its namespace."""
    try:
        fcntl.ioctl(descriptor, _SIOCGIFNAME, struct.pack("=16si20x", b"", index))
    except (OSError, ValueError) as error:  # ValueError: the descriptor was closed
        return not isinstance(error, OSError) or error.errno != errno.ENODEV
    return True


def speed_mbps(descriptor: int, name: str) -> float | None:
    """The speed that an interface's driver says it has, None if it does not say.

    It may have to ask the hardware, and to wait for others that set interfaces.
    """
    command = array.array("B", _COMMAND.pack(_ETHTOOL_GSET, 0, 0))
    request = struct.pack("=16sQ16x" if _wide() else "=16sI12x", name.encode(), command.buffer_info()[0])
    try:
        fcntl.ioctl(descriptor, _SIOCETHTOOL, request)
    except (OSError, ValueError):
        return None
    _, low, high = _COMMAND.unpack(command.tobytes())
    speed = high << 16 | low
    return None if speed in _UNKNOWN_MBPS else float(speed)


def _wide() -> bool:
    return struct.calcsize("P") == 8


def is_wireless(told: LinkTold) -> bool:
    """Whether an interface is IEEE 802.11."""
    if told.kind in _ARPHRD_WIRELESS:
        return True
    try:
        lines = (_CLASS / told.name / "uevent").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    # The files may be those of another namespace than the interface's.
    return "DEVTYPE=wlan" in lines and f"IFINDEX={told.index}" in lines


def may_administer() -> bool:
    """Whether CAP_NET_ADMIN is in effect."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _NET_ADMIN)
    return False
