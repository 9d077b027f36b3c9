"""Tells systemd how the daemon is (sd_notify): one datagram to $NOTIFY_SOCKET."""

import logging
import os
import socket
from collections.abc import Mapping

_log = logging.getLogger("lies.daemon")


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state` (such as "READY=1"); False where no service manager listens. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), address)
    except OSError as error:
        _log.warning("systemd is not told %s: %s", state.partition("\n")[0], error)
        return False
    return True
