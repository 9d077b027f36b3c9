"""What the FMIPv6 engines are fed."""

from functools import lru_cache
from ipaddress import IPv6Address

from lies.events import (
    BindingUpdated,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoAListConfirm,
    PoALost,
)
from lies.values import value
from lies_fmipv6.messages import Message

_MAC_PARTS = 6
_NAME = b"="  # begins an identifier that is a name


@value
class Received:
    """A message that arrived, decoded.

    link_layer: link-layer source address of the frame, None where the shell does not see it;
    authenticated: its BADF (FBU, FBack) or its security association (HI, HAck) was verified; interface: by
    which it came, "" where there is one link only.
    """

    message: Message
    source: IPv6Address
    destination: IPv6Address
    link_layer: bytes | None = None
    authenticated: bool = False
    interface: str = ""


@value
class FbuSent:
    """The FBU with this sequence number leaves now: deciding on it and encoding it took their time."""

    sequence: int


@value
class ConnectRefused:
    """L2-LinkConnect ended with Confirm(Error), or the PoA did not let the node in."""

    poa: str
    reason: str


@value
class AddressConfigured:
    """DHCP, or whoever answers ConfigureAddress, has given the link an address."""

    address: IPv6Address


@value
class AddressFound:
    """A link has this address, given by another program; router: its next hop, None where there is none."""

    link: str
    address: IPv6Address
    router: IPv6Address | None = None


@value
class OrderHandover:
    """The network wants a node on this router's link to move (RFC 5568 section 3.3).

    node: its care-of address; access_point: the identifier of where to; ncoa: the care-of address to use
    there.
    """

    node: IPv6Address
    access_point: bytes
    ncoa: IPv6Address | None = None


@value
class Barred:
    """Nothing leaves for a neighbour now, for want of security associations with it."""

    neighbour: IPv6Address


MobileNodeItem = (
    LinkUp
    | LinkDown
    | LinkStatusChanged
    | LinkGoingDown
    | LinkGoingDownCancelled
    | PoAFound
    | PoALost
    | PoAListConfirm
    | BindingUpdated
    | ConnectRefused
    | AddressConfigured
    | AddressFound
    | FbuSent
    | Received
)
AccessRouterItem = Received | OrderHandover | Barred
Item = MobileNodeItem | OrderHandover | Barred


@lru_cache(maxsize=1024)  # asked for every candidate at every event
def access_point_id(poa: str) -> bytes:
    """The identifier of a PoA in RtSolPr and PrRtAdv.

    The six octets of a MAC address, else "=" and the name in UTF-8. RFC 5568 section 6.4.3 leaves identifiers
    to each link layer. "=" as first octet has the group bit of MAC addresses, which no access point's has.
    """
    parts = poa.split(":")
    if len(parts) == _MAC_PARTS and all(len(p) == 2 for p in parts):
        try:
            return bytes.fromhex("".join(parts))
        except ValueError:
            pass
    return _NAME + poa.encode()


def is_family(access_point: bytes) -> bool:
    """Whether an identifier of a configuration stands for all names that begin as it does: "*" is its end."""
    return access_point.startswith(_NAME) and access_point.endswith(b"*")


def poa_of(access_point: bytes) -> str:
    """The PoA of an identifier: the reverse of access_point_id."""
    if access_point.startswith(_NAME):
        return access_point[len(_NAME) :].decode(errors="replace")
    return access_point.hex(":")
