"""How many connections an endpoint has, so that nobody uses up the process's descriptors.

libzmq aborts the process when accept(2) on a socket file fails for want of a descriptor, and has no limit of
its own. So who comes when an endpoint is full is shown out again, long before that.
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
_OTHER_FILES = 256  # descriptors of drivers and consumers, and of who is not shown out yet

_log = logging.getLogger("lies.bus")


def connections_allowed(endpoints: int) -> int:
    """How many connections each of some endpoints may have under the process's limit of descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(16, min(CONNECTIONS, (soft - _OTHER_FILES) // endpoints))


def raise_file_limit() -> None:
    """Let this process have as many descriptors as it may, up to WANTED_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Door:
    """The connections of one bound address; limit: most at a time."""

    def __init__(self, address: str, limit: int) -> None:
        self.connections = 0
        self._address = address
        self._limit = limit
        self._full = False

    def told(self, event: int, value: int) -> bool:
        """A connection came, with its descriptor as value, or went; whether it was shown out."""
        if event == _DISCONNECTED:
            self.connections -= 1
            if self.connections <= self._limit * 3 // 4:
                self._full = False
            return False
        self.connections += 1
        if self.connections <= self._limit or not self._show_out(value):
            return False
        if not self._full:
            self._full = True
            _log.warning("%s has %d connections and lets nobody else in", self._address, self._limit)
        return True

    def _show_out(self, number: int) -> bool:
        """Shut a connection down; libzmq sees its end and closes it.

        By now it may be closed, and its number another's: whatever is no connection to this address is left
        alone, and another one to it is one too many as well.
        """
        try:
            connection = socket.socket(fileno=os.dup(number))
        except OSError:
            return False
        with connection:
            try:
                if not self._is_ours(connection):
                    return False
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is gone already
                return False
        return True

    def _is_ours(self, connection: socket.socket) -> bool:
        name = connection.getsockname()
        if connection.family == socket.AF_UNIX:
            return self._address == f"ipc://{name}"
        if connection.family in {socket.AF_INET, socket.AF_INET6}:
            return self._address.rpartition(":")[2] == str(name[1])
        return False
