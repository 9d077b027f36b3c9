"""The messages of a Mobile IPv6 home registration (RFC 6275 section 6.1), and the home agent's advertisement.

Every class is a frozen value. Lifetimes are whole seconds and multiples of 4, because the wire counts in
units of 4 s (sections 6.1.7 and 6.1.8). Status fields are plain integers, because a peer may send any value;
the enumerations name the known ones and compare equal to them.
"""

from enum import IntEnum
from ipaddress import IPv6Address

from lies.values import value


class BAStatus(IntEnum):
    """What became of a Binding Update (RFC 6275 section 6.1.8); below 128 it was accepted."""

    ACCEPTED = 0
    PREFIX_DISCOVERY_NECESSARY = 1  # accepted; the home prefix is or becomes deprecated
    UNSPECIFIED = 128
    PROHIBITED = 129  # administratively
    INSUFFICIENT_RESOURCES = 130
    HOME_REGISTRATION_NOT_SUPPORTED = 131
    NOT_HOME_SUBNET = 132
    NOT_HOME_AGENT = 133  # for this mobile node
    DUPLICATE_ADDRESS = 134  # duplicate address detection failed
    SEQUENCE_OUT_OF_WINDOW = 135  # the acknowledgement carries the last accepted number
    EXPIRED_HOME_NONCE = 136
    EXPIRED_CARE_OF_NONCE = 137
    EXPIRED_NONCES = 138
    REGISTRATION_TYPE_CHANGE = 139  # the H flag differs from the binding's
    INVALID_CARE_OF_ADDRESS = 174


class BEStatus(IntEnum):
    """Why a Binding Error was sent (RFC 6275 section 6.1.9)."""

    UNKNOWN_BINDING = 1  # for a Home Address destination option
    UNRECOGNIZED_MH_TYPE = 2


@value
class BindingUpdate:
    """Binding Update, Mobility Header type 5 (RFC 6275 section 6.1.7)."""

    sequence: int
    """0..65535, compared modulo 65536 (6.1.7, 9.5.1)."""
    lifetime_s: int
    """A multiple of 4, at most 262140; 0 ends the binding (6.1.7)."""
    home_address: IPv6Address
    """Travels in the Home Address option; without one it is the packet's source (6.3, 9.5.1)."""
    alternate_coa: IPv6Address | None = None
    """Alternate Care-of Address option; required in home registrations (6.2.5, 11.7.1)."""
    acknowledge: bool = True
    """A: an acknowledgement is wanted (6.1.7)."""
    home_registration: bool = True
    """H: the receiver is to be the home agent (6.1.7)."""
    link_local: bool = False
    """L: the link-local address has the home address's interface identifier (6.1.7)."""
    key_management: bool = False
    """K: IKE survives the movement (6.1.7)."""


@value
class BindingAcknowledgement:
    """Binding Acknowledgement, Mobility Header type 6 (RFC 6275 section 6.1.8)."""

    status: int
    """A BAStatus (6.1.8)."""
    sequence: int
    """The Binding Update's; with status 135 the last accepted number (6.1.8)."""
    lifetime_s: int
    """Granted; a multiple of 4, at most 262140 (6.1.8)."""
    home_address: IPv6Address | None = None
    """Travels in a type 2 routing header; None for none (6.4, 9.5.4)."""
    key_management: bool = False
    """K (6.1.8)."""


@value
class BindingError:
    """Binding Error, Mobility Header type 7 (RFC 6275 section 6.1.9)."""

    status: int
    """A BEStatus (6.1.9)."""
    home_address: IPv6Address
    """From the Home Address option of the packet at fault; the unspecified address if it had none (6.1.9)."""


@value
class NeighbourAdvertisement:
    """Neighbour Advertisement (RFC 4861 section 4.4), as a home agent sends it for its mobile nodes."""

    target: IPv6Address
    """The home address (RFC 6275 section 10.4.1)."""
    lla: bytes | None = None
    """The home agent's link-layer address: target link-layer address option."""
    router: bool = False
    """R: 0, but 1 for a mobile router (RFC 6275 section 10.4.1, RFC 3963 section 6.2)."""
    solicited: bool = False
    """S: 0 to all nodes."""
    override: bool = True
    """O: 1, so that neighbours forget the mobile node's own link-layer address."""


Message = BindingUpdate | BindingAcknowledgement | BindingError | NeighbourAdvertisement
