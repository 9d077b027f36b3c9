"""What the FMIPv6 engines ask their shell to do, in the order in which they ask it.

Addresses are IPv6Address. Actions of one batch are carried out in order. Every CompleteHandover(pcoa, ncoa)
is followed by exactly one EndTunnel(pcoa, ncoa), every ExpectNode by AdmitNode or ForgetNode, every AddTunnel
by RemoveTunnel (or by an AddTunnel for the same pcoa, which replaces it), every AddHostRoute by
RemoveHostRoute (or another AddHostRoute), every HoldNode by AddTunnel, ReleaseNode, ExpectNode or ForgetNode
for the same address, every HoldUplink by ReleaseUplink, by CompleteHandover with `tunnel`, or by EndTunnel.
"""

from ipaddress import IPv6Address

from lies.events import CareOfAddressChanged, HandoverDone
from lies.links import Raise
from lies.values import value
from lies_fmipv6.messages import HandoverAcknowledge, Message


@value
class SendMessage:
    """Send a message.

    link_layer: when not None, send it on the access link to this link-layer address, whatever the routes say
    (an FBack to PCoA on the old link, while packets to PCoA are already tunnelled away). pcoa: of an FBack,
    whose handover key its BADF option is made with; that of an FBU is the destination's.
    """

    message: Message
    source: IPv6Address
    destination: IPv6Address
    link_layer: bytes | None = None
    pcoa: IPv6Address | None = None


# Mobile node


@value
class UseLink:
    """What follows is of this link: messages go out there, and new addresses are of it; at first, the first.

    why: it is not a fast handover, for the log.
    """

    link: str
    why: str = ""


@value
class RequestPoAList:
    """L2-PoAList.request; feed the confirm back."""

    link: str


@value
class RequestConnect:
    """L2-LinkConnect.request; feed ConnectRefused back on Confirm(Error)."""

    link: str
    poa: str


@value
class UseRouter:
    """First attachment or plain fallback: coa becomes an address and the router its default route.

    Also for an address that is there already and stays in use at another router (HAck code 3, NAACK 4).
    router: the next hop (link-local as a rule), None where there is none between; router_lla: its link-layer
    address if known; theirs: another program gave the link this address, and may take it away.
    """

    coa: IPv6Address
    prefix_length: int
    router: IPv6Address | None
    router_lla: bytes | None
    theirs: bool = False


@value
class PrepareHandover:
    """A handover to ncoa behind nar may come: build what LinkUp will need; nothing changes yet.

    Followed by CompleteHandover or AbandonHandover. ncoa may be an address that the node already has (it
    goes back to an earlier router). link: of ncoa, "" for the one in use.
    """

    pcoa: IPv6Address
    ncoa: IPv6Address
    par: IPv6Address
    nar: IPv6Address
    nar_lla: bytes | None
    link: str = ""


@value
class HoldUplink:
    """What is sent from pcoa is held from now on: the link is about to go, or gone."""

    pcoa: IPv6Address


@value
class ReleaseUplink:
    """What was held goes out as before the HoldUplink: the handover did not come about, or took too long."""

    pcoa: IPv6Address


@value
class CompleteHandover:
    """The node is at nar: ncoa is in use, nar its default router, and what par tunnels to ncoa is accepted.

    tunnel: what is sent from pcoa is reverse-tunnelled to par; False while par has not confirmed the binding
    (a second CompleteHandover with True follows its FBack, or EndTunnel). Held packets go out with True. A
    tunnel that ends at pcoa stays as it is, so tunnels nest.
    """

    pcoa: IPv6Address
    ncoa: IPv6Address
    par: IPv6Address
    nar: IPv6Address
    nar_lla: bytes | None
    tunnel: bool


@value
class ExpectLinkUp:
    """A LinkUp at poa will be answered with these, in this order and before all else: build them now.

    A shell may do them as soon as that LinkUp comes, before it feeds it; when the engine then asks for them,
    they are done already. Void after an AbandonHandover, a ReleaseUplink, or a LinkUp elsewhere.
    """

    poa: str
    announce: SendMessage
    complete: CompleteHandover


@value
class EndTunnel:
    """The grace is over: the tunnel of pcoa with par ends, and pcoa is no address any more.

    keep_address: only the tunnel ends, because pcoa is in use on its own link again. May come without a
    CompleteHandover: then there was no tunnel, and only the address goes.
    """

    pcoa: IPv6Address
    ncoa: IPv6Address
    par: IPv6Address
    keep_address: bool = False


@value
class AbandonHandover:
    """What PrepareHandover built for ncoa is not needed; an address that was there before it stays."""

    ncoa: IPv6Address


@value
class DropAddress:
    """A care-of address may not be used: the new router said so (RFC 5568 section 6.4.6)."""

    coa: IPv6Address


@value
class ConfigureAddress:
    """Have the link get an address by DHCP, and feed AddressConfigured (RFC 5568 section 5.2)."""

    link: str


@value
class Publish:
    """Publish a report; publisher, epoch and sequence of its header are for the bus client to set."""

    report: CareOfAddressChanged | HandoverDone


# Access router, as the previous one


@value
class AddTunnel:
    """Packets to pcoa are tunnelled to endpoint (RFC 5568 section 4); replaces an earlier tunnel of pcoa.

    What was held for pcoa goes through it first.

    Packets that endpoint tunnels with inner source pcoa are accepted and forwarded. peer_lla: the mobile
    node's link-layer address.
    """

    pcoa: IPv6Address
    endpoint: IPv6Address
    peer_lla: bytes | None


@value
class RemoveTunnel:
    """The tunnel ends in both directions; packets to pcoa go to the access link again.

    returned: the node is on the access link; what it sent by way of the tunnel before may still come.
    """

    pcoa: IPv6Address
    endpoint: IPv6Address
    returned: bool = False


@value
class HoldNode:
    """The node of pcoa is at another router, and its tunnel does not stand yet: packets to it wait (5.4)."""

    pcoa: IPv6Address


@value
class ReleaseNode:
    """No tunnel came about: what was held, and what comes, goes where it went before the HoldNode."""

    pcoa: IPv6Address


# Access router, as the new one


@value
class ExpectNode:
    """A node is to arrive: let packets to it wait (RFC 5568 section 4). A DefendNode follows the HAck.

    buffer: the PAR asked for buffering. Where ncoa is the pcoa of a tunnel of this router (the node comes
    back), packets to it wait instead of being tunnelled, while what the node sends through that tunnel is
    still accepted, until the RemoveTunnel that comes with AdmitNode or ForgetNode.
    """

    ncoa: IPv6Address
    mn_lla: bytes
    buffer: bool


@value
class DefendNode:
    """Answer for ncoa on the access link from now on: nothing that the HAck has to wait for."""

    ncoa: IPv6Address
    mn_lla: bytes


@value
class AdmitNode:
    """The node is there: end the defence, make the neighbour entry STALE with this address, flush."""

    ncoa: IPv6Address
    mn_lla: bytes


@value
class ForgetNode:
    """The node did not come: end the defence and drop what waits."""

    ncoa: IPv6Address


@value
class AddHostRoute:
    """The node of a PCoA of par's link is to keep it here (RFC 5568 section 4, item 3).

    What par tunnels to this router for pcoa goes to the access link, and what pcoa sends from there goes to
    par in a tunnel. An ExpectNode(pcoa) follows; replaces a host route of pcoa from another par.
    """

    pcoa: IPv6Address
    par: IPv6Address


@value
class RemoveHostRoute:
    """It is over."""

    pcoa: IPv6Address
    par: IPv6Address


KernelAction = (
    UseRouter
    | PrepareHandover
    | HoldUplink
    | ReleaseUplink
    | CompleteHandover
    | EndTunnel
    | AbandonHandover
    | DropAddress
    | UseLink
)
"""Those of a mobile node that change its kernel's state."""

MobileNodeAction = (
    SendMessage
    | RequestPoAList
    | RequestConnect
    | Raise
    | ExpectLinkUp
    | ConfigureAddress
    | Publish
    | KernelAction
)
AccessRouterAction = (
    SendMessage
    | AddTunnel
    | DefendNode
    | RemoveTunnel
    | HoldNode
    | ReleaseNode
    | ExpectNode
    | AdmitNode
    | ForgetNode
    | AddHostRoute
    | RemoveHostRoute
)
Action = MobileNodeAction | AccessRouterAction


@value
class Foreseen:
    """This HAck from the neighbour will be answered with these, in this order: build them in time.

    A shell may do them as soon as that HAck comes, before it feeds it; when the engine then asks for them,
    they are done already. Void once the engine has been fed anything else, or has asked for anything else.
    """

    neighbour: IPv6Address
    ack: HandoverAcknowledge
    tunnel: AddTunnel
    answers: tuple[SendMessage, ...]
