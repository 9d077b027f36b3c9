"""Link-layer addresses on a link of ours: those of groups, and whether those in a message can be true."""

from collections.abc import Callable
from ipaddress import IPv6Address
from operator import attrgetter

from lies.errors import MalformedMessage
from lies_fmipv6.messages import (
    FastBindingUpdate,
    HandoverInitiate,
    Message,
    NeighbourAdvertisement,
    PrRtAdv,
    RouterAdvertisement,
    RouterSolicitation,
    RtSolPr,
    UnsolicitedNeighbourAdvertisement,
)

_ETHERNET_OCTETS = 6
_MULTICAST = 0xFF  # first octet (RFC 4291 section 2.7)
_NO_ADDRESS = bytes(_ETHERNET_OCTETS)


def check_addresses(message: Message) -> Message:
    """The message, if each link-layer address in it is one of an IEEE 802 link, to one node.

    MalformedMessage otherwise: the options hold addresses of any length and kind (RFC 5568 section 6.4.3),
    but a neighbour entry or a frame made with a foreign one fails in the kernel. Identifiers of access points
    are only compared, and may be anything.
    """
    find = _ONE_ADDRESS.get(type(message))
    if find is not None:
        _check(find(message))
    elif isinstance(message, PrRtAdv):
        _check(message.source_lla)
        for info in message.access_points:
            _check(info.router_lla)
    return message


_ONE_ADDRESS: dict[type[Message], Callable[[Message], bytes | None]] = {
    **dict.fromkeys(
        (FastBindingUpdate, UnsolicitedNeighbourAdvertisement, NeighbourAdvertisement), attrgetter("lla")
    ),
    **dict.fromkeys((RtSolPr, RouterSolicitation, RouterAdvertisement), attrgetter("source_lla")),
    HandoverInitiate: attrgetter("mn_lla"),
}


def _check(lla: bytes | None) -> None:
    if lla is not None and (len(lla) != _ETHERNET_OCTETS or lla[0] & 1 or lla == _NO_ADDRESS):
        raise MalformedMessage("a link-layer address is not that of a node on this kind of link")


def group_address(destination: IPv6Address) -> bytes | None:
    """The link-layer address of a multicast group (RFC 2464 section 7); None for any other destination.

    A frame to it needs no entry in the kernel's neighbour cache, which strangers on the link can fill.
    """
    octets = destination.packed
    return b"\x33\x33" + octets[-4:] if octets[0] == _MULTICAST else None
