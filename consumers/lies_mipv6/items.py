"""What the Mobile IPv6 engines are fed."""

from ipaddress import IPv6Address

from lies.events import CareOfAddressChanged
from lies.values import value
from lies_mipv6.messages import Message


@value
class Received:
    """A message that arrived, decoded.

    source: the source address of the IPv6 header (the care-of address, not the home address);
    authenticated: its security association was verified (RFC 6275 section 5.1).
    """

    message: Message
    source: IPv6Address
    destination: IPv6Address
    authenticated: bool = False


@value
class LinkMoved:
    """A care-of address of another link, or of this one; before_works: the one before still does."""

    report: CareOfAddressChanged
    before_works: bool


MobileNodeItem = CareOfAddressChanged | LinkMoved | Received
HomeAgentItem = Received
Item = MobileNodeItem | HomeAgentItem
