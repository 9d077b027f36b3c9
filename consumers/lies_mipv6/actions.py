"""What the Mobile IPv6 engines ask their shell to do, in the order in which they ask it."""

from ipaddress import IPv6Address

from lies.events import BindingUpdated
from lies.values import value
from lies_mipv6.messages import Message


@value
class SendMessage:
    """Send a message; the message's own home_address decides on Home Address option or routing header."""

    message: Message
    source: IPv6Address
    destination: IPv6Address


# Mobile node


@value
class AcceptCareOf:
    """From now on what the home agent tunnels to coa is accepted; comes before the BU that names coa.

    The home agent tunnels to coa as soon as it has that BU, so packets may come before the BA does.
    """

    coa: IPv6Address
    home_agent: IPv6Address


@value
class UseTunnel:
    """What is sent from the home address is tunnelled to the home agent from coa.

    previous_coa: the address used before, None at first; it is accepted at until its DropCareOf.
    """

    home_address: IPv6Address
    home_agent: IPv6Address
    coa: IPv6Address
    previous_coa: IPv6Address | None


@value
class DropCareOf:
    """The grace is over: nothing tunnelled to coa is accepted any more."""

    coa: IPv6Address


@value
class Publish:
    """Publish a report; publisher, epoch and sequence of its header are for the bus client to set."""

    report: BindingUpdated


# Home agent


@value
class SetBinding:
    """Packets to the home address are intercepted and tunnelled to coa, and accepted from coa.

    Replaces where packets go; what was accepted from the coa before is settled by AcceptFrom or RefuseFrom.
    """

    home_address: IPv6Address
    coa: IPv6Address


@value
class AcceptFrom:
    """For a grace, packets of home_address tunnelled from an earlier coa are accepted too."""

    home_address: IPv6Address
    coa: IPv6Address


@value
class RefuseFrom:
    """Packets of home_address tunnelled from coa are refused from now on (RFC 6275 section 10.4.5)."""

    home_address: IPv6Address
    coa: IPv6Address


@value
class RemoveBinding:
    """Stop serving the home address: no interception, and nothing is accepted from any coa of it."""

    home_address: IPv6Address


MobileNodeAction = SendMessage | AcceptCareOf | UseTunnel | DropCareOf | Publish
HomeAgentAction = SendMessage | SetBinding | AcceptFrom | RefuseFrom | RemoveBinding
Action = MobileNodeAction | HomeAgentAction
