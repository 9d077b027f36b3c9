"""Indications of the type 2 primitives, and the reports of upper layers."""

from attrs import frozen

from lies.events._types import ChangeReason, Condition, DownReason, Header, LinkAction, PoACondition


@frozen
class LinkUp:
    """A link is connected and IP packets pass (L2-LinkUp.indication, RFC 5184 section 4.5).

    network, frequency_mhz: of the PoA, as in a PoA List; None where the driver does not know.
    """

    header: Header
    poa: str
    network: str | None = None
    frequency_mhz: float | None = None


@frozen
class LinkDown:
    """A link is disconnected and IP packets do not pass (L2-LinkDown.indication, RFC 5184 section 4.6).

    reason_code: the technology's own number for it (Wi-Fi: IEEE 802.11 reason code), None where it has none;
    detail: the same for people, in a few words.
    """

    header: Header
    poa: str
    reason: DownReason
    reason_code: int | None = None
    detail: str | None = None


@frozen
class LinkStatusChanged:
    """The status changed: most often the level (L2-LinkStatusChanged.indication, RFC 5184 section 4.7).

    previous: the condition before; a registration's event type and threshold compare the two levels. reason:
    what changed; detail: what it is now, None for a level (ours).
    """

    header: Header
    poa: str
    condition: Condition
    previous: Condition
    reason: ChangeReason = ChangeReason.LEVEL
    detail: str | None = None


@frozen
class LinkGoingDown:
    """The link is expected to break (ours; IEEE 802.21 Link_Going_Down).

    time_to_down_ms: from the measurement; confidence: 0.0..1.0.
    """

    header: Header
    poa: str
    time_to_down_ms: float
    confidence: float
    reason: DownReason


@frozen
class LinkGoingDownCancelled:
    """The last LinkGoingDown proved wrong (ours; IEEE 802.21 Link_Event_Rollback)."""

    header: Header
    poa: str


@frozen
class LinkActionFailed:
    """A LinkConnect or LinkDisconnect that was acknowledged came to nothing (ours; IEEE 802.21 Link_Action).

    poa: that was asked for, None for a LinkDisconnect of whichever it is; detail: why, in one sentence. The
    link is where it was, unless a LinkDown says otherwise.
    """

    header: Header
    action: LinkAction
    poa: str | None
    detail: str


@frozen
class PoAFound:
    """New points of attachment are heard (L2-PoAFound.indication, RFC 5184 section 4.3)."""

    header: Header
    poas: tuple[PoACondition, ...]


@frozen
class PoALost:
    """Points of attachment are heard no more (L2-PoALost.indication, RFC 5184 section 4.4)."""

    header: Header
    poas: tuple[PoACondition, ...]


@frozen
class CareOfAddressChanged:
    """A mobility consumer moved the node's care-of address (ours; an L3 report).

    coa: IPv6 address in use from now, previous: the one before or None; router: address of the access
    router; tunnel_from: PAR that still tunnels `previous`, None without a fast handover.
    """

    header: Header
    coa: str
    previous: str | None
    router: str
    tunnel_from: str | None


@frozen
class BindingUpdated:
    """The home agent answered a Binding Update (ours; an L3 report; RFC 6275 section 6.1.8).

    status: Binding Acknowledgement status; lifetime_s: granted; bu_ns, ba_ns: monotonic.
    """

    header: Header
    home_address: str
    home_agent: str
    coa: str
    previous_coa: str | None
    status: int
    lifetime_s: int
    bu_ns: int
    ba_ns: int


@frozen
class HandoverDone:
    """A handover ended (ours; an L3 report).

    mode: "predictive", "reactive" or "none" (attached without fast handover); all *_ns are monotonic and
    None where that message was not part of it: FBU sent, FBack received, LinkConnect asked, LinkDown and
    LinkUp measured, UNA sent.
    """

    header: Header
    mode: str
    from_poa: str | None
    to_poa: str
    pcoa: str | None
    ncoa: str | None
    fbu_ns: int | None
    fback_ns: int | None
    connect_ns: int | None
    link_down_ns: int | None
    link_up_ns: int | None
    una_ns: int | None


@frozen
class PacketsBuffered:
    """An access router kept packets for a mobile node (ours; an L3 report; RFC 5568 section 5.4).

    address: the node's care-of address; packets: came while the wait lasted; lost: for want of room;
    abandoned: because the node did not come; peak_packets, peak_octets: most that waited at once;
    delay_max_ms: longest that one waited; opened_ms: until the node was there; drained_ms: from then until
    nothing waited any more (both None where that did not come to be).
    """

    header: Header
    address: str
    packets: int
    lost: int
    abandoned: int
    peak_packets: int
    peak_octets: int
    delay_max_ms: float
    opened_ms: float | None
    drained_ms: float | None


Indication = (
    LinkUp
    | LinkDown
    | LinkStatusChanged
    | LinkGoingDown
    | LinkGoingDownCancelled
    | LinkActionFailed
    | PoAFound
    | PoALost
    | CareOfAddressChanged
    | BindingUpdated
    | HandoverDone
    | PacketsBuffered
)
