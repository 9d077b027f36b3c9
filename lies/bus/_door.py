"""How many connections an endpoint has, so that nobody uses up the process's descriptors.

libzmq aborts the process when accept(2) on a socket file fails for want of a descriptor, and has no limit of
its own. So who comes when an endpoint is full is shown out again, long before that: the process allows itself
many descriptors, and at most half of them are for those who stay.
"""

import logging
import os
import resource
import socket

import zmq

_ACCEPTED, _DISCONNECTED = int(zmq.EVENT_ACCEPTED), int(zmq.EVENT_DISCONNECTED)
COMING_AND_GOING = _ACCEPTED | _DISCONNECTED
CONNECTIONS = 1024  # hundreds of consumers on one host are many
WANTED_FILES = 65536
_OTHER_FILES = 256  # descriptors of drivers and consumers

_log = logging.getLogger("lies.bus")


def allowed_connections(wanted: int, endpoints: int) -> int:
    """How many connections each of some endpoints may have, after this process got all descriptors it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(16, min(wanted, (soft - _OTHER_FILES) // (2 * endpoints)))


class Door:
    """The connections of one bound address; limit: most at a time."""

    def __init__(self, address: str, limit: int) -> None:
        self.connections = 0
        self._address = address
        self._limit = limit
        self._said = False

    def told(self, event: int, value: int) -> bool:
        """A connection came, with its descriptor as value, or went; whether it was shown out."""
        if event == _DISCONNECTED:
            self.connections -= 1
            return False
        self.connections += 1
        if self.connections <= self._limit or not self._show_out(value):
            return False
        if not self._said:
            self._said = True
            _log.warning(
                "%s has %d connections; who else comes is turned away (further ones are only counted)",
                self._address,
                self._limit,
            )
        return True

    def _show_out(self, number: int) -> bool:
        """Shut a connection down; libzmq sees its end and closes it.

        By now it may be closed, and its number another's: whatever is no connection to this address is left
        alone, and another one to it is one too many as well.
        """
        try:
            copy = os.dup(number)
        except OSError:  # it is gone already
            return False
        try:
            connection = socket.socket(fileno=copy)
        except OSError:  # no socket any more
            os.close(copy)
            return False
        with connection:
            try:
                if not self._is_ours(connection):
                    return False
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # its peer is gone
                return False
        return True

    def _is_ours(self, connection: socket.socket) -> bool:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        name = connection.getsockname()
        if connection.family == socket.AF_UNIX:
            return self._address == f"ipc://{name}"
        if connection.family in {socket.AF_INET, socket.AF_INET6}:
            return self._address.rpartition(":")[2] == str(name[1])
        return False
