"""Parameters of the FMIPv6 engines: the RFC's, all configurable per node (RFC 5568 section 9), and ours."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network

from attrs import Factory, field, fields, frozen

from lies.errors import ConfigError
from lies.packet import address_of, known, read_address

ALL_NODES = read_address("ff02::1")
ALL_ROUTERS = read_address("ff02::2")
UNSPECIFIED = read_address("::")
LINK_LOCAL_PREFIX = IPv6Network("fe80::/64")
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]
_MAX_FIELD = 65535  # of a 16-bit field; also a sane bound for times in s


class Mode(StrEnum):
    """What a mobile node does of FMIPv6."""

    PREDICTIVE = "predictive"  # all of it; reactive when the link breaks first
    REACTIVE = "reactive"  # no FBU before the link breaks
    NONE = "none"  # finds each new router by itself


class Duplicates(StrEnum):
    """What an NAR does when a node comes with an NCoA that another node has (RFC 5568 section 4)."""

    ASSIGN = "assign"  # it gives the node another address: HAck code 2, NAACK 2
    HOST_ROUTE = "host-route"  # the node keeps PCoA: HAck code 3
    REFUSE = "refuse"  # HAck code 1 without an address, NAACK 1


@frozen
class Parameters:
    """Timers and limits of the protocol; times in s."""

    rtsolpr_retries: int = 3  # RTSOLPR_RETRIES, RFC 5568 section 9
    max_rtsolpr_rate: int = 3  # MAX_RTSOLPR_RATE, messages a second, section 9
    fbu_retries: int = 3  # FBU_RETRIES, section 9
    hi_retries: int = 3  # HI_RETRIES, section 9
    order_retries: int = 3  # of a PrRtAdv with code 1 until the FBU comes; 3.3 gives no rule, 6.1.1 is used
    proxy_nd_lifetime_s: float = 1.5  # PROXY_ND_LIFETIME, section 9
    dad_retrans_s: float = 1.0  # RETRANS_TIMER, RFC 4861 section 10: how long an objection is waited for
    first_wait_s: float = 0.1  # 6.1.1, 6.2.1.1: 100 ms while the round trip is unknown; FBU: by the same rule
    fbu_lifetime_s: int = 20  # 5.6: of the order of tens of seconds, enough to update all bindings
    max_fbu_lifetime_s: int = 60  # granted by a PAR at most
    tunnel_max_s: float = 120.0  # a tunnel whose home binding is never confirmed is refreshed no longer
    grace_s: float = 2.0  # how long the PAR's tunnel outlives the BA; spec/decisions.md
    rs_first_wait_s: float = 0.1  # RFC 4861 has 4 s; here the link event says that a router is there
    rs_max_wait_s: float = 4.0  # RTR_SOLICITATION_INTERVAL, RFC 4861 section 10
    una_repeats: int = 2  # 6.3 allows them; they stop at the first sign that NAR has the node
    una_first_wait_s: float = 0.1
    report_wait_s: float = 0.1  # without an FBack yet, NCoA is reported by then; what is held goes first
    naack_window_s: float = 3.0  # how long after a UNA an answer to it (6.4.6) is listened to
    connect_timeout_s: float = 2.0  # LinkConnect asked, and no LinkUp
    found_wait_s: float = 0.3  # an address that another link has is used if no router answers an RS by then
    hold_s: float = 2.0  # the uplink is held no longer than this
    memory_s: float = 10.0  # an ended binding's sequence is remembered; as MAX_DELETE_BCE_TIMEOUT, RFC 6275
    poll_s: float = 0.2  # how often candidates are looked at while the link is to be left
    list_max_age_s: float = 0.1  # a PoA list older than this is asked for again before a decision
    penalty_s: float = 5.0  # a PoA that refused, or whose router did, is not tried for this long
    max_access_points: int = 16  # asked for in one RtSolPr

    def __attrs_post_init__(self) -> None:
        for name in ("fbu_lifetime_s", "max_fbu_lifetime_s", "max_rtsolpr_rate", "max_access_points"):
            if not 0 < getattr(self, name) <= _MAX_FIELD:
                raise ValueError(f"{name} must lie between 1 and {_MAX_FIELD}")
        for attribute in fields(type(self)):
            value = getattr(self, attribute.name)
            if not 0 <= value <= _MAX_FIELD:  # also refuses NaN
                raise ValueError(f"{attribute.name} must lie between 0 and {_MAX_FIELD}")
        for name in ("first_wait_s", "rs_first_wait_s", "una_first_wait_s", "poll_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")


def _prefix_64(_instance: object, _attribute: object, value: IPv6Network) -> None:
    if value.prefixlen != 64:
        problem = f"{value} is no /64; addresses are formed from 64 bits and an interface identifier"
        raise ConfigError(problem, key="prefix")


@frozen
class NodeLink:
    """One link of a mobile node: its name, link-layer address, and interface identifier of 64 bits."""

    name: str
    lla: bytes
    interface_id: int

    @property
    def link_local(self) -> IPv6Address:
        """The link-local address with the same interface identifier."""
        return form_address(LINK_LOCAL_PREFIX, self.interface_id)


@frozen
class MobileNodeConfig:
    """A mobile node. link: its interface; lla: the interface's link-layer address; interface_id: 64 bits.

    keys: handover key by the PAR's address; where there are any, there is no fast handover from a router that
    has none (RFC 5568 section 10). insecure: FMIPv6 without BADF, for a test network without keys.
    first_sequence: of FBUs, at random best. dhcp: ConfigureAddress is answered, so that links that want DHCP
    can be moved to. dad_transmits: probes for an address of a new link, which is in use meanwhile (RFC 4429).
    others: further links in order of preference (lies_fmipv6.vertical).
    """

    link: str
    lla: bytes
    interface_id: int
    mode: Mode = Mode.PREDICTIVE
    dhcp: bool = False
    insecure: bool = False
    keys: Mapping[IPv6Address, bytes] = field(factory=dict, repr=False)
    first_sequence: int = 1
    dad_transmits: int = 0
    others: tuple[NodeLink, ...] = ()

    @property
    def first(self) -> NodeLink:
        """Its first link, or only one."""
        return NodeLink(self.link, self.lla, self.interface_id)

    def trusts(self, router: IPv6Address) -> bool:
        """Whether FBU and FBack can be exchanged with a router."""
        return self.unproven or router in self.keys

    @property
    def unproven(self) -> bool:
        """Whether an FBack without a valid BADF is believed."""
        return self.insecure and not self.keys


@frozen
class Neighbour:
    """An access router beside this one.

    fast_handover False: known, but without FMIPv6; protected: HI and HAck with it are protected by ESP, and
    others in its name are void; dhcp: nodes get their addresses by DHCP on its access link.
    """

    address: IPv6Address = field(converter=known)
    lla: bytes
    prefix: IPv6Network = field(validator=_prefix_64)
    access_points: tuple[bytes, ...] = ()
    fast_handover: bool = True
    protected: bool = False
    dhcp: bool = False


def prefix_octets(prefix: IPv6Network) -> bytes:
    """The octets of a /64 prefix."""
    return prefix.network_address.packed[:8]


def _octets_of(config: "AccessRouterConfig") -> bytes:
    return prefix_octets(config.prefix)


@frozen
class AccessRouterConfig:
    """An access router.

    address: its global one, end of its tunnels; link_local, lla, prefix: of its access link; access_points:
    identifiers on that link; keys: handover keys by the link-layer address of the nodes that share them;
    where there are any, no FBU without a valid BADF is accepted; insecure: HI and HAck without a security
    association are accepted, and FBU without BADF where there are no keys; first_sequence: of HIs, at random
    best; buffer: ask NARs to buffer; max_bindings, max_expected, max_expected_per_neighbour, max_known_nodes:
    limits of state (RFC 5568 section 10); mtu: of the access link; advertise_interval_s: of unsolicited
    Router Advertisements, None for none; announce: follow a solicited one with a PrRtAdv of the
    neighbourhood; duplicates: what becomes of an NCoA that another node has; dad_transmits: probes for an
    NCoA before it is defended (DupAddrDetectTransmits, section 5.5); dhcp: nodes get their addresses by DHCP
    on the access link.
    """

    address: IPv6Address = field(converter=known)
    link_local: IPv6Address = field(converter=known)
    lla: bytes
    prefix: IPv6Network = field(validator=_prefix_64)
    access_points: tuple[bytes, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    insecure: bool = False
    keys: Mapping[bytes, bytes] = field(factory=dict, repr=False)
    first_sequence: int = 0
    buffer: bool = True
    max_bindings: int = 1024
    max_expected: int = 1024
    max_expected_per_neighbour: int = 256
    max_known_nodes: int = 4096
    mtu: int = 1500
    advertise_interval_s: float | None = None
    router_lifetime_s: int = 1800
    prefix_lifetime_s: int = 3600
    announce: bool = False
    duplicates: Duplicates = Duplicates.ASSIGN
    dad_transmits: int = 0
    dhcp: bool = False
    _octets: bytes = field(init=False, eq=False, repr=False, default=Factory(_octets_of, takes_self=True))

    def has(self, address: IPv6Address) -> bool:
        """Whether an address is of the access link's prefix."""
        return address.packed[:8] == self._octets

    @property
    def unproven(self) -> bool:
        """Whether an FBU without a valid BADF is believed."""
        return self.insecure and not self.keys

    def trusts(self, neighbour: Neighbour) -> bool:
        """Whether HI and HAck can be exchanged with a neighbour."""
        return neighbour.fast_handover and (neighbour.protected or self.insecure)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The solicited-node group of an address (RFC 4291 section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE + address.packed[-3:])


def eui64(mac: bytes) -> int:
    """The modified EUI-64 interface identifier of a MAC address (RFC 4291 appendix A)."""
    octets = bytes((mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]))
    return int.from_bytes(octets)


def other_address(prefix: IPv6Network, lla: bytes, attempt: int) -> IPv6Address:
    """An address of a /64 prefix that its node does not form by itself, another one for each attempt.

    Made as RFC 7217 makes stable addresses, but without a secret: it only has to be free.
    """
    seed = prefix.network_address.packed + lla + attempt.to_bytes(4)
    return form_address(prefix, int.from_bytes(hashlib.sha256(seed).digest()[:8]))


def form_address(prefix: IPv6Network, interface_id: int) -> IPv6Address:
    """The address of a /64 prefix and a 64-bit interface identifier (RFC 4862 section 5.5.3)."""
    return address_of(prefix_octets(prefix) + (interface_id & ((1 << 64) - 1)).to_bytes(8))


def form_network(address: IPv6Address) -> IPv6Network:
    """The /64 prefix of an address."""
    return IPv6Network((address, 64), strict=False)


def newer(sequence: int, than: int) -> bool:
    """Whether a sequence number is after another, modulo 65536 (RFC 6275 section 9.5.1)."""
    return 0 < ((sequence - than) & 0xFFFF) < 0x8000
