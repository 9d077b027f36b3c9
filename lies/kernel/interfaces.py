"""Interfaces of the network namespace that this thread is in, by name."""

import errno
import fcntl
import socket
import struct
from ipaddress import IPv6Address
from pathlib import Path

from lies.errors import LiesError

_SCOPE_GLOBAL, _SCOPE_LINK = "00", "20"  # of /proc/net/if_inet6
_SIOCGIFMTU = 0x8921


class NoInterface(LiesError, OSError):
    """There is no interface of that name (exit 2); errno is ENODEV."""

    exit_code = 2

    def __init__(self, name: str) -> None:
        LiesError.__init__(self, f"there is no interface {name!r} here")
        self.errno = errno.ENODEV
        self.name = name


def index_of(name: str) -> int:
    """The index of an interface; NoInterface names it where the socket module's own error does not."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise NoInterface(name) from error


def mtu_of(name: str) -> int:
    """The MTU of an interface in octets; NoInterface if it is not there."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFMTU, struct.pack("16s24x", name.encode()))
        except OSError as error:
            raise NoInterface(name) from error
    return int(struct.unpack_from("=i", answer, 16)[0])


def global_addresses(name: str) -> tuple[IPv6Address, ...]:
    """The addresses of an interface that are good beyond its link; none if there is no such interface."""
    return _addresses(name, _SCOPE_GLOBAL)


def link_local_addresses(name: str) -> tuple[IPv6Address, ...]:
    """The link-local addresses of an interface; none if there is no such interface."""
    return _addresses(name, _SCOPE_LINK)


def _addresses(name: str, scope: str) -> tuple[IPv6Address, ...]:
    lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    found = (line.split() for line in lines)
    return tuple(IPv6Address(bytes.fromhex(f[0])) for f in found if f[5] == name and f[3] == scope)
