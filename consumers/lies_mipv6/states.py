"""The states of the Mobile IPv6 engines, and the tables of their transitions; spec/mipv6.mmd shows them."""

from collections.abc import Mapping
from enum import StrEnum

from lies.statechart import Machine, mermaid


class MobileNodeState(StrEnum):
    """A home registration at the mobile node (RFC 6275 section 11.7.1)."""

    IDLE = "idle"  # no care-of address yet
    REGISTERING = "registering"  # BU sent
    REGISTERED = "registered"
    REFUSED = "refused"  # no BU before the next care-of address (11.7.3)


class MobileNodeEvent(StrEnum):
    """What moves it."""

    CARE_OF = "new care-of address / BU"
    ACCEPTED = "BA below 128"
    RESYNC = "BA 135 / BU with the next number"
    LATER = "BA 128, 130 / BU later"
    REFUSED = "other BA of 128 and above"
    RETRANSMIT = "no BA / BU"
    REFRESH = "lifetime ends soon / BU"


S, E = MobileNodeState, MobileNodeEvent

MOBILE_NODE: Mapping[tuple[MobileNodeState, MobileNodeEvent], MobileNodeState] = {
    (S.IDLE, E.CARE_OF): S.REGISTERING,
    (S.REGISTERING, E.CARE_OF): S.REGISTERING,
    (S.REGISTERING, E.ACCEPTED): S.REGISTERED,
    (S.REGISTERING, E.RESYNC): S.REGISTERING,
    (S.REGISTERING, E.LATER): S.REGISTERING,
    (S.REGISTERING, E.REFUSED): S.REFUSED,
    (S.REGISTERING, E.RETRANSMIT): S.REGISTERING,
    (S.REGISTERED, E.CARE_OF): S.REGISTERING,
    (S.REGISTERED, E.REFRESH): S.REGISTERING,
    (S.REFUSED, E.CARE_OF): S.REGISTERING,
}


class BindingState(StrEnum):
    """A home address at the home agent (RFC 6275 section 10.3)."""

    ABSENT = "absent"
    BOUND = "bound"
    DEREGISTERED = "deregistered"  # only its sequence number is kept (10.3.2)


class BindingEvent(StrEnum):
    """What moves it."""

    UPDATE = "valid BU / BA"
    ZERO = "BU with lifetime 0, or CoA = HoA / BA"
    EXPIRED = "lifetime over"
    FORGOTTEN = "MAX_DELETE_BCE_TIMEOUT over"


B, BE = BindingState, BindingEvent

BINDING: Mapping[tuple[BindingState, BindingEvent], BindingState] = {
    (B.ABSENT, BE.UPDATE): B.BOUND,
    (B.BOUND, BE.UPDATE): B.BOUND,
    (B.BOUND, BE.ZERO): B.DEREGISTERED,
    (B.BOUND, BE.EXPIRED): B.ABSENT,
    (B.DEREGISTERED, BE.UPDATE): B.BOUND,
    (B.DEREGISTERED, BE.FORGOTTEN): B.ABSENT,
}


def diagram() -> str:
    """The tables as a Mermaid state diagram."""
    return mermaid((Machine("MN", S.IDLE, MOBILE_NODE), Machine("HA_binding", B.ABSENT, BINDING)))
