"""The bus: registration, delivery and publication, by socket and within a process (RFC 5184 section 3).

Each name is imported when it is first asked for: a consumer needs no server, a command no event loop.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lies.bus._registration import EVERY_LINK
    from lies.bus._route import TcpDaemon, Where
    from lies.bus._tcp import TcpEndpoints
    from lies.bus.blocking import BlockingClient
    from lies.bus.client import Client
    from lies.bus.core import BusCore, Counters
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

_MODULES = {
    "_registration": ("EVERY_LINK",),
    "_route": ("TcpDaemon", "Where"),
    "_tcp": ("TcpEndpoints",),
    "blocking": ("BlockingClient",),
    "client": ("Client",),
    "core": ("BusCore", "Counters"),
    "local": ("LocalClient",),
    "messages": ("Gap", "LinkState", "Snapshot"),
    "publisher": ("LocalPublisher", "RemotePublisher"),
    "rights": ("ALL_RIGHTS", "ListedKey", "Right", "Rights"),
    "server": ("BusServer",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
