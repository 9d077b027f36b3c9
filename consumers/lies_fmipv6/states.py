"""The states of the FMIPv6 engines, and the tables of their transitions; spec/fmipv6.mmd is made from them.

RFC 5568 draws no state machine; these are what its sections 3 to 5 imply.
"""

from collections.abc import Mapping
from enum import StrEnum

from lies.statechart import Machine, mermaid


class MobileNodeState(StrEnum):
    """Where a mobile node is in its movement."""

    DETACHED = "detached"  # no link, and no care-of address
    SOLICITING = "soliciting"  # a link whose router is not known: RS sent
    ATTACHED = "attached"  # care-of address in use, router known
    FBU_SENT = "fbu_sent"  # from the old link, FBack awaited
    SWITCHING = "switching"  # LinkConnect asked, LinkUp awaited
    DOWN = "down"  # the link broke; the care-of address is kept
    REBINDING = "rebinding"  # at the new router, FBU sent from there, FBack awaited


class MobileNodeEvent(StrEnum):
    """What moves a mobile node from state to state."""

    LINK_UP_PREPARED = "LinkUp where the FBack was for"
    LINK_UP_KNOWN = "LinkUp, router known from PrRtAdv"
    LINK_UP_SAME_ROUTER = "LinkUp at the same router"
    LINK_UP_UNKNOWN = "LinkUp, router unknown"
    LINK_DOWN = "LinkDown"
    LINK_DOWN_NO_ADDRESS = "LinkDown, no care-of address"
    ADVERTISED = "RA / no FBU to send"
    ADVERTISED_MOVED = "RA of a new router / FBU to PAR"
    MOVE = "to be left / FBU"
    ROAM = "to be left, same router / LinkConnect"
    FBACK = "FBack accepts"
    REFUSED = "FBack refuses, or none"
    NAACK_ELSEWHERE = "NAACK, another address / FBU"
    NAACK_SETTLED = "NAACK, no FBU to send"
    CONNECT_FAILED = "LinkConnect refused or without effect"
    WAIT_OVER = "no LinkUp after LinkDown"
    BINDING_UPDATED = "BA before FBack"
    CHANGE_LINK = "to be left for another link, no FBU"
    CHANGE_BACK = "the link before"


S, E = MobileNodeState, MobileNodeEvent

MOBILE_NODE: Mapping[tuple[MobileNodeState, MobileNodeEvent], MobileNodeState] = {
    (S.DETACHED, E.LINK_UP_UNKNOWN): S.SOLICITING,
    (S.SOLICITING, E.LINK_DOWN_NO_ADDRESS): S.DETACHED,
    (S.SOLICITING, E.LINK_DOWN): S.DOWN,
    (S.SOLICITING, E.ADVERTISED): S.ATTACHED,
    (S.SOLICITING, E.ADVERTISED_MOVED): S.REBINDING,
    (S.ATTACHED, E.MOVE): S.FBU_SENT,
    (S.ATTACHED, E.ROAM): S.SWITCHING,
    (S.ATTACHED, E.LINK_DOWN): S.DOWN,
    (S.ATTACHED, E.CHANGE_LINK): S.SWITCHING,
    (S.SOLICITING, E.CHANGE_BACK): S.ATTACHED,
    (S.FBU_SENT, E.FBACK): S.SWITCHING,
    (S.FBU_SENT, E.REFUSED): S.ATTACHED,
    (S.FBU_SENT, E.LINK_DOWN): S.DOWN,
    (S.SWITCHING, E.LINK_UP_PREPARED): S.ATTACHED,
    (S.SWITCHING, E.LINK_UP_SAME_ROUTER): S.ATTACHED,
    (S.SWITCHING, E.LINK_UP_KNOWN): S.REBINDING,
    (S.SWITCHING, E.LINK_UP_UNKNOWN): S.SOLICITING,
    (S.SWITCHING, E.CONNECT_FAILED): S.ATTACHED,
    (S.SWITCHING, E.WAIT_OVER): S.DOWN,
    (S.DOWN, E.LINK_UP_SAME_ROUTER): S.ATTACHED,
    (S.DOWN, E.LINK_UP_KNOWN): S.REBINDING,
    (S.DOWN, E.LINK_UP_UNKNOWN): S.SOLICITING,
    (S.ATTACHED, E.NAACK_ELSEWHERE): S.REBINDING,
    (S.ATTACHED, E.NAACK_SETTLED): S.ATTACHED,
    (S.REBINDING, E.NAACK_ELSEWHERE): S.REBINDING,
    (S.REBINDING, E.NAACK_SETTLED): S.ATTACHED,
    (S.REBINDING, E.FBACK): S.ATTACHED,
    (S.REBINDING, E.REFUSED): S.ATTACHED,
    (S.REBINDING, E.BINDING_UPDATED): S.ATTACHED,
    (S.REBINDING, E.LINK_DOWN): S.DOWN,
}


class DiscoveryState(StrEnum):
    """What a mobile node knows of its router's neighbourhood."""

    IDLE = "idle"  # nothing asked
    ASKING = "asking"  # RtSolPr sent
    UNSUPPORTED = "unsupported"  # no FMIPv6 at this router


class DiscoveryEvent(StrEnum):
    """What moves the discovery."""

    ASK = "unresolved PoAs / RtSolPr"
    ANSWER = "PrRtAdv"
    GIVE_UP = "retries used up"
    NEW_ROUTER = "attached elsewhere"


D, DE = DiscoveryState, DiscoveryEvent

DISCOVERY: Mapping[tuple[DiscoveryState, DiscoveryEvent], DiscoveryState] = {
    (D.IDLE, DE.ASK): D.ASKING,
    (D.IDLE, DE.GIVE_UP): D.UNSUPPORTED,
    (D.IDLE, DE.NEW_ROUTER): D.IDLE,
    (D.ASKING, DE.ANSWER): D.IDLE,
    (D.ASKING, DE.GIVE_UP): D.UNSUPPORTED,
    (D.ASKING, DE.NEW_ROUTER): D.IDLE,
    (D.UNSUPPORTED, DE.GIVE_UP): D.UNSUPPORTED,
    (D.UNSUPPORTED, DE.NEW_ROUTER): D.IDLE,
}


class TunnelState(StrEnum):
    """A previous care-of address of a mobile node, and the PAR's tunnel for it."""

    PENDING = "pending"  # FBU sent from the new link, no FBack yet
    TUNNELLED = "tunnelled"  # both directions go through the PAR
    CLOSING = "closing"  # the home agent knows the new address; the grace runs
    ENDED = "ended"


class TunnelEvent(StrEnum):
    """What moves such a tunnel."""

    FBACK = "FBack accepts"
    REFUSED = "FBack refuses, or none"
    BINDING_UPDATED = "BA / FBU with the grace as lifetime"
    GRACE_OVER = "grace over"
    EXPIRED = "lifetime over"
    RETURNED = "back at the PAR / FBU with lifetime 0"
    NCOA_REFUSED = "NAACK"


T, TE = TunnelState, TunnelEvent

TUNNEL: Mapping[tuple[TunnelState, TunnelEvent], TunnelState] = {
    (T.PENDING, TE.FBACK): T.TUNNELLED,
    (T.PENDING, TE.REFUSED): T.ENDED,
    (T.PENDING, TE.BINDING_UPDATED): T.CLOSING,
    (T.PENDING, TE.RETURNED): T.ENDED,
    (T.TUNNELLED, TE.BINDING_UPDATED): T.CLOSING,
    (T.TUNNELLED, TE.EXPIRED): T.ENDED,
    (T.TUNNELLED, TE.REFUSED): T.ENDED,
    (T.TUNNELLED, TE.RETURNED): T.ENDED,
    (T.PENDING, TE.NCOA_REFUSED): T.ENDED,
    (T.TUNNELLED, TE.NCOA_REFUSED): T.ENDED,
    (T.CLOSING, TE.NCOA_REFUSED): T.ENDED,
    (T.CLOSING, TE.GRACE_OVER): T.ENDED,
    (T.CLOSING, TE.RETURNED): T.ENDED,
}


class BindingState(StrEnum):
    """A PCoA at its PAR."""

    HI_SENT = "hi_sent"  # HAck awaited; nothing is tunnelled
    ACTIVE = "active"  # tunnelled
    MOVING = "moving"  # tunnelled, and HAck awaited from another NAR
    ENDED = "ended"  # its sequence number is remembered for a while


class BindingEvent(StrEnum):
    """What moves a binding."""

    FBU = "valid FBU / HI"
    FBU_ELSEWHERE = "FBU to another NCoA / HI"
    FBU_SAME = "FBU, nothing new but the lifetime / FBack"
    HACK = "HAck accepts / FBack"
    REFUSED = "HAck refuses, or none / FBack refuses"
    FBU_ZERO = "FBU with lifetime 0 / FBack"
    EXPIRED = "lifetime over"
    RETURNED = "UNA of the node at this router"


B, BE = BindingState, BindingEvent

BINDING: Mapping[tuple[BindingState, BindingEvent], BindingState] = {
    (B.ENDED, BE.FBU): B.HI_SENT,
    (B.ENDED, BE.FBU_ZERO): B.ENDED,
    (B.HI_SENT, BE.FBU_SAME): B.HI_SENT,
    (B.HI_SENT, BE.FBU_ELSEWHERE): B.HI_SENT,
    (B.HI_SENT, BE.HACK): B.ACTIVE,
    (B.HI_SENT, BE.REFUSED): B.ENDED,
    (B.HI_SENT, BE.FBU_ZERO): B.ENDED,
    (B.HI_SENT, BE.RETURNED): B.ENDED,
    (B.ACTIVE, BE.FBU_SAME): B.ACTIVE,
    (B.ACTIVE, BE.FBU_ELSEWHERE): B.MOVING,
    (B.ACTIVE, BE.FBU_ZERO): B.ENDED,
    (B.ACTIVE, BE.EXPIRED): B.ENDED,
    (B.ACTIVE, BE.RETURNED): B.ENDED,
    (B.MOVING, BE.FBU_SAME): B.ACTIVE,
    (B.MOVING, BE.FBU_ELSEWHERE): B.MOVING,
    (B.MOVING, BE.HACK): B.ACTIVE,
    (B.MOVING, BE.REFUSED): B.ACTIVE,
    (B.MOVING, BE.FBU_ZERO): B.ENDED,
    (B.MOVING, BE.EXPIRED): B.HI_SENT,
    (B.MOVING, BE.RETURNED): B.ENDED,
}


class ExpectedState(StrEnum):
    """An NCoA at its NAR, or a PCoA that the NAR has a host route for."""

    PROBED = "probed"  # duplicate address detection; HAck waits
    EXPECTED = "expected"  # defended; packets wait
    ADMITTED = "admitted"  # the node is there
    FORGOTTEN = "forgotten"


class ExpectedEvent(StrEnum):
    """What moves an expected node."""

    HI = "HI code 0, or probed in vain / HAck"
    HI_UNSURE = "HI code 0 / probe"
    DUPLICATE = "probe answered / HAck"
    UNA = "UNA"
    TIMEOUT = "PROXY_ND_LIFETIME over"
    ROUTE_OVER = "lifetime of a host route over"
    LEFT = "FBU of the node / it goes elsewhere"


X, XE = ExpectedState, ExpectedEvent

EXPECTED: Mapping[tuple[ExpectedState, ExpectedEvent], ExpectedState] = {
    (X.FORGOTTEN, XE.HI): X.EXPECTED,
    (X.FORGOTTEN, XE.HI_UNSURE): X.PROBED,
    (X.FORGOTTEN, XE.UNA): X.ADMITTED,
    (X.PROBED, XE.HI): X.EXPECTED,
    (X.PROBED, XE.DUPLICATE): X.FORGOTTEN,
    (X.PROBED, XE.UNA): X.ADMITTED,
    (X.PROBED, XE.LEFT): X.FORGOTTEN,
    (X.EXPECTED, XE.HI): X.EXPECTED,
    (X.EXPECTED, XE.UNA): X.ADMITTED,
    (X.EXPECTED, XE.TIMEOUT): X.FORGOTTEN,
    (X.ADMITTED, XE.HI): X.EXPECTED,
    (X.ADMITTED, XE.UNA): X.ADMITTED,
    (X.ADMITTED, XE.LEFT): X.FORGOTTEN,
    (X.ADMITTED, XE.ROUTE_OVER): X.FORGOTTEN,
    (X.EXPECTED, XE.LEFT): X.FORGOTTEN,
}


def diagram() -> str:
    """The tables as a Mermaid state diagram."""
    return mermaid(
        (
            Machine("MN", S.DETACHED, MOBILE_NODE),
            Machine("MN_discovery", DiscoveryState.IDLE, DISCOVERY),
            Machine("MN_tunnel", TunnelState.PENDING, TUNNEL),
            Machine("PAR_binding", BindingState.ENDED, BINDING),
            Machine("NAR_node", X.FORGOTTEN, EXPECTED),
        )
    )
