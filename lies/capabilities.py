"""The kernel's capabilities that a driver or consumer may need (capabilities(7))."""

from enum import StrEnum


class Capability(StrEnum):
    """What a plugin declares in its `capabilities`; the daemon gives up those that nobody declares."""

    NET_ADMIN = "CAP_NET_ADMIN"  # addresses, routes, tunnels, a radio's settings
    NET_RAW = "CAP_NET_RAW"  # raw and packet sockets


NO_CAPABILITIES: frozenset[Capability] = frozenset()
