"""What consumers with several links do on a host: connect them, catch up with them, find addresses."""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv6Address

from lies.consumer import BusClient
from lies.errors import LiesError, LinkError
from lies.events import Header, Link, LinkUp, PoAFound, Technology
from lies.kernel.interfaces import global_addresses
from lies.links import OtherLink, Raise
from lies.runtime import monotonic_ns, wall_ns

_log = logging.getLogger("lies.links")
_LOOK_S = 0.1  # for the address of a link that has come up
_LOOK_LIMIT_S = 60.0


async def connect(bus: BusClient, wanted: Raise, other: OtherLink) -> None:
    """LinkConnect to the PoA of the configuration, or the best that is known, or heard."""
    try:
        poa = other.poa or next(iter(wanted.poas), None)
        if poa is None:  # whoever was told of it
            heard = (await bus.poa_list(other.link)).poas
            poa = heard[0].poa if heard else None
        if poa is not None:
            await bus.link_connect(other.link, poa)
    except LiesError as error:
        _log.warning("%s cannot be connected: %s", other.link, error)


async def catch_up(bus: BusClient, name: str, publisher: str) -> list[LinkUp | PoAFound]:
    """What a link would have indicated before there was a registration; publisher: of these headers."""
    try:
        status = await bus.link_status(name)
    except LinkError:  # its driver has not announced it yet: its LinkUp will come
        return []
    link = status.link or Link(name, Technology.OTHER)
    header = Header(publisher, 0, 0, monotonic_ns(), wall_ns(), link)
    found: list[LinkUp | PoAFound] = [LinkUp(header, status.poa)] if status.poa is not None else []
    heard = (await bus.poa_list(name)).poas
    return [*found, PoAFound(header, heard)] if heard else found


async def find_address(
    name: str, is_ours: Callable[[IPv6Address], bool], wanted: Callable[[], bool]
) -> IPv6Address | None:
    """The kernel's global address on a link, as soon as there is one: who sets it is another program.

    is_ours: whether an address is none that counts; wanted: whether it is still looked for.
    """
    for _ in range(round(_LOOK_LIMIT_S / _LOOK_S)):
        if not wanted():
            return None
        for address in global_addresses(name):
            if not is_ours(address):
                return address
        await asyncio.sleep(_LOOK_S)
    _log.warning("%s is up, and has no address", name)
    return None
