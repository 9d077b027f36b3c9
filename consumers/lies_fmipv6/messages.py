"""The messages of FMIPv6 (RFC 5568 section 6) and the neighbour discovery it rests on (RFC 4861 section 4).

Every class is a frozen value. Addresses are IPv6Address, link-layer addresses and access point identifiers
are octets in network order, lifetimes are whole seconds. Status and code fields are plain integers, because
a peer may send any value; the enumerations name the known ones and compare equal to them.
An identifier on the wire has no length of its own (RFC 5568 section 6.4.3): it is either 6 octets long (an
EUI-48), or any other length with a last octet that is not zero.
"""

from enum import IntEnum
from ipaddress import IPv6Address, IPv6Network

from lies.values import value


class PrRtAdvCode(IntEnum):
    """What a PrRtAdv means (RFC 5568 section 6.1.2, Code)."""

    TUPLES = 0  # use the tuples to form an NCoA; the answer to an RtSolPr
    HANDOVER = 1  # unsolicited: the network orders a handover
    NO_ROUTER_INFORMATION = 2  # each access point's option-code says why
    PARTIAL = 3  # tuples for some access points, option-codes for the others
    NEIGHBOURHOOD = 4  # unsolicited, and no order to move
    USE_DHCP = 5  # the new link wants DHCP; NCoA serves the FBU only


class OptionCode(IntEnum):
    """What an access point's LLA option says about it (RFC 5568 section 6.4.3)."""

    TUPLE_FOLLOWS = 1  # the router's options follow
    SAME_INTERFACE = 5  # on the current interface of the router: the care-of address stays
    UNKNOWN = 6  # no prefix information
    NO_FAST_HANDOVER = 7  # its router does not do FMIPv6


class FBackStatus(IntEnum):
    """What became of an FBU (RFC 5568 section 6.2.3); below 128 it was accepted."""

    ACCEPTED = 0
    ACCEPTED_USE_SUPPLIED = 1  # NCoA is invalid; the alternate care-of address is to be used
    UNSPECIFIED = 128
    PROHIBITED = 129  # administratively
    INSUFFICIENT_RESOURCES = 130
    INTERFACE_IDENTIFIER_LENGTH = 131
    SEQUENCE_OUT_OF_WINDOW = 135  # RFC 6275 section 9.5.1, to which 6.2.2 refers for sequence numbers


class HICode(IntEnum):
    """Which FBU caused an HI (RFC 5568 section 6.2.1.1)."""

    FROM_PCOA = 0  # predictive: the FBU came from PCoA
    NOT_FROM_PCOA = 1  # reactive: it came from the new link


class HAckCode(IntEnum):
    """What the NAR does with a handover (RFC 5568 section 6.2.1.2); below 128 it was accepted."""

    NCOA_VALID = 0
    NCOA_INVALID = 1  # or in use
    NCOA_ASSIGNED = 2
    USE_PCOA = 3  # the NAR has a host route for PCoA
    UNSOLICITED = 4  # usually to trigger an HI
    UNSPECIFIED = 128
    PROHIBITED = 129  # administratively
    INSUFFICIENT_RESOURCES = 130


class NaackStatus(IntEnum):
    """What the NAR says to a UNA (RFC 5568 section 6.4.6)."""

    CONFIGURE = 1  # NCoA is invalid: configure an address anew
    USE_SUPPLIED = 2  # NCoA is invalid: use the supplied one
    USE_NAR_ADDRESS = 3  # NCoA is invalid: put the NAR's address into the FBU
    PCOA_SUPPLIED = 4  # PCoA works here; no FBU
    LLA_UNRECOGNIZED = 128  # neither NCoA nor PCoA may be used


@value
class RtSolPr:
    """Router Solicitation for Proxy Advertisement (RFC 5568 section 6.1.1)."""

    identifier: int
    """0..65535, echoed in the answer (6.1.1)."""
    source_lla: bytes | None = None
    """The sender's link-layer address: LLA option-code 4 (6.1.1, 6.4.3)."""
    access_points: tuple[bytes, ...] = ()
    """Whom to resolve: LLA option-code 1 each; at least one, none with wildcard (6.1.1)."""
    wildcard: bool = False
    """Ask for the whole neighbourhood: LLA option-code 0 (6.1.1, 6.4.3)."""


@value
class AccessPointInfo:
    """One [AP-ID, AR-Info] tuple of a PrRtAdv (RFC 5568 section 6.1.2)."""

    access_point: bytes
    """The identifier, as in the RtSolPr (6.1.2)."""
    option_code: int = OptionCode.TUPLE_FOLLOWS
    """An OptionCode (6.4.3)."""
    router_lla: bytes | None = None
    """The new router's link-layer address: LLA option-code 3 (6.1.2); required with Code 0 and 1."""
    router_address: IPv6Address | None = None
    """The new router's address: address option-code 3 (6.1.2, 6.4.1); required with Code 0 and 1."""
    prefix: IPv6Network | None = None
    """The prefix behind it: address option-code 4 (6.1.2); may be absent, see 6.1.2."""
    ncoa: IPv6Address | None = None
    """A care-of address to use: address option-code 2; only in unsolicited messages (6.1.2)."""


@value
class PrRtAdv:
    """Proxy Router Advertisement (RFC 5568 section 6.1.2)."""

    code: int
    """A PrRtAdvCode (6.1.2)."""
    identifier: int
    """The RtSolPr's, 0 when unsolicited (6.1.2)."""
    source_lla: bytes | None = None
    """The sending router's link-layer address: LLA option-code 4 (6.1.2)."""
    access_points: tuple[AccessPointInfo, ...] = ()
    """At least one (6.1.2)."""


@value
class FastBindingUpdate:
    """Fast Binding Update, Mobility Header type 8 (RFC 5568 section 6.2.2)."""

    sequence: int
    """0..65535, compared modulo 65536 (6.2.2; RFC 6275 section 9.5.1)."""
    lifetime_s: int
    """0..65535, in seconds also on the wire (6.2.2); 0 ends the binding (5.6)."""
    home_address: IPv6Address
    """PCoA; travels in the Home Address option of the IPv6 packet (6.2.2)."""
    alternate_coa: IPv6Address | None = None
    """NCoA; required when sent from PCoA (6.2.2; RFC 6275 section 6.2.5)."""
    lla: bytes | None = None
    """The mobile node's link-layer address: MH-LLA option (6.4.4)."""
    acknowledge: bool = True
    """A: always 1 (6.2.2)."""
    home_registration: bool = True
    """H: always 1 (6.2.2)."""
    link_local: bool = False
    """L (6.2.2; RFC 6275 section 6.1.7)."""
    key_management: bool = False
    """K (6.2.2; RFC 6275 section 6.1.7)."""


@value
class FastBindingAck:
    """Fast Binding Acknowledgment, Mobility Header type 9 (RFC 5568 section 6.2.3)."""

    status: int
    """An FBackStatus (6.2.3)."""
    sequence: int
    """The FBU's (6.2.3)."""
    lifetime_s: int
    """Granted, in seconds also on the wire (6.2.3)."""
    alternate_coa: IPv6Address | None = None
    """The care-of address to use instead; required with status 1 (6.2.3)."""
    key_management: bool = False
    """K (6.2.3; RFC 6275 section 6.1.8)."""


@value
class HandoverInitiate:
    """Handover Initiate, Mobility Header type 14 (RFC 5568 section 6.2.1.1)."""

    sequence: int
    """0..65535, echoed in the HAck (6.2.1.1)."""
    code: int
    """An HICode (6.2.1.1)."""
    assigned_address: bool
    """S: the NAR is asked for a care-of address; 0 with code 1 (6.2.1.1)."""
    buffer: bool
    """U: the NAR is asked to buffer; should be 0 with code 1 (6.2.1.1)."""
    mn_lla: bytes
    """The mobile node's link-layer address: MH-LLA option (6.2.1.1, 6.4.4)."""
    pcoa: IPv6Address | None = None
    """Previous care-of address: option 34, option-code 1 (6.2.1.1, 6.4.2)."""
    ncoa: IPv6Address | None = None
    """New care-of address: option 34, option-code 2 (6.2.1.1, 6.4.2)."""


@value
class HandoverAcknowledge:
    """Handover Acknowledge, Mobility Header type 15 (RFC 5568 section 6.2.1.2)."""

    sequence: int
    """The HI's (6.2.1.2)."""
    code: int
    """An HAckCode (6.2.1.2)."""
    ncoa: IPv6Address | None = None
    """The care-of address to use: option 34, option-code 2; required if the HI had S (6.2.1.2)."""


@value
class UnsolicitedNeighbourAdvertisement:
    """UNA: a Neighbour Advertisement with R = S = O = 0 (RFC 5568 section 6.3)."""

    target: IPv6Address
    """NCoA, also the packet's source (6.3)."""
    lla: bytes
    """The mobile node's link-layer address: target link-layer address option (6.3)."""


@value
class NeighbourSolicitation:
    """Neighbour Solicitation of duplicate address detection: from no address (RFC 4862 section 5.4.2)."""

    target: IPv6Address
    """The address that is probed (RFC 4861 section 4.3)."""


@value
class NeighbourAdvertisement:
    """A Neighbour Advertisement that is no UNA: it says R, S or O (RFC 4861 section 4.4)."""

    target: IPv6Address
    """Whose link-layer address it tells."""
    lla: bytes
    """Target link-layer address option; without one the message is of no use here."""
    router: bool = False
    """R."""
    solicited: bool = False
    """S: it answers a solicitation."""
    override: bool = False
    """O: it replaces what is cached."""


@value
class RouterSolicitation:
    """Router Solicitation (RFC 4861 section 4.1)."""

    source_lla: bytes | None = None
    """The sender's link-layer address; never from the unspecified address (RFC 4861 section 4.1)."""


@value
class PrefixInformation:
    """A prefix of a Router Advertisement (RFC 4861 section 4.6.2)."""

    prefix: IPv6Network
    """The prefix."""
    valid_s: int
    """Valid lifetime; 0xffffffff is for ever."""
    preferred_s: int
    """Preferred lifetime, at most the valid one."""
    on_link: bool = True
    """L."""
    autonomous: bool = True
    """A: addresses may be formed from it (RFC 4862)."""
    router: IPv6Address | None = None
    """R: the sending router's own global address, which lies in the prefix (RFC 6275 section 7.2)."""


@value
class Naack:
    """Neighbour Advertisement Acknowledgment, an option of Router Advertisements (RFC 5568 section 6.4.6)."""

    status: int
    """A NaackStatus (6.4.6)."""
    ncoa: IPv6Address | None = None
    """The supplied care-of address; required with status 2 (6.4.6)."""


@value
class RouterAdvertisement:
    """Router Advertisement (RFC 4861 section 4.2), with the answer to a UNA if there is one."""

    hop_limit: int = 64
    """Cur Hop Limit; 0 is unspecified."""
    lifetime_s: int = 1800
    """Router lifetime; 0 is no default router."""
    source_lla: bytes | None = None
    """The sending interface's link-layer address."""
    prefixes: tuple[PrefixInformation, ...] = ()
    """Prefix Information options, in order."""
    naack: Naack | None = None
    """The answer to a UNA (RFC 5568 section 6.4.6)."""
    mtu: int | None = None
    """The link's MTU in octets (RFC 4861 section 4.6.4)."""


Message = (
    RtSolPr
    | PrRtAdv
    | FastBindingUpdate
    | FastBindingAck
    | HandoverInitiate
    | HandoverAcknowledge
    | UnsolicitedNeighbourAdvertisement
    | NeighbourSolicitation
    | NeighbourAdvertisement
    | RouterSolicitation
    | RouterAdvertisement
)
