"""The bus: registration, delivery and publication, by socket and within a process (RFC 5184 section 3)."""

from lies.bus._route import TcpDaemon, Where
from lies.bus._tcp import TcpEndpoints
from lies.bus.blocking import BlockingClient
from lies.bus.client import Client
from lies.bus.core import EVERY_LINK, BusCore, Counters
from lies.bus.local import LocalClient
from lies.bus.messages import Gap, LinkState, Snapshot
from lies.bus.publisher import LocalPublisher, RemotePublisher
from lies.bus.rights import ALL_RIGHTS, ListedKey, Right, Rights
from lies.bus.server import BusServer

__all__ = [
    "ALL_RIGHTS",
    "EVERY_LINK",
    "BlockingClient",
    "BusCore",
    "BusServer",
    "Client",
    "Counters",
    "Gap",
    "LinkState",
    "ListedKey",
    "LocalClient",
    "LocalPublisher",
    "RemotePublisher",
    "Right",
    "Rights",
    "Snapshot",
    "TcpDaemon",
    "TcpEndpoints",
    "Where",
]
