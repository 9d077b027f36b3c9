"""Interfaces of the network namespace that this thread is in, by name."""

import errno
import socket

from lies.errors import LiesError


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
