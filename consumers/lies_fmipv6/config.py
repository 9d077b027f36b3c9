"""The consumer's TOML table, `[consumers.NAME]` with consumer = "fmipv6"."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from attrs import field, frozen

from lies.errors import ConfigError
from lies.kernel.kinds import TunnelKind
from lies_fmipv6.items import access_point_id
from lies_fmipv6.pacing import Buffering, Limits
from lies_fmipv6.parameters import AccessRouterConfig, MobileNodeConfig, Mode, Neighbour, Parameters

_MAC_OCTETS = 6


class Role(StrEnum):
    """What this host is."""

    MOBILE_NODE = "mobile-node"
    ACCESS_ROUTER = "access-router"  # previous and new access router at once


@frozen
class NeighbourOptions:
    """One table `[[consumers.NAME.neighbours]]` of an access router.

    address: the neighbour's global address; lla: MAC address of its access interface; prefix: of its access
    link; access_points: PoAs on that link; fast_handover: whether it speaks FMIPv6.
    """

    address: IPv6Address
    lla: str
    prefix: IPv6Network
    access_points: tuple[str, ...] = ()
    fast_handover: bool = True


@frozen
class Config:
    """Options of the consumer.

    role; insecure: exchange FBU, FBack, HI and HAck without authentication, for a test network only;
    tunnels: how the kernel makes them.
    mobile-node: link, mode, policy (lies_fmipv6.policy_shell), parameters. access-router: access and
    backbone interfaces, address, prefix, access_points (PoAs on the access link), neighbours, buffering
    (where packets wait), buffer_octets (for one node), buffer_total_octets, drain_excess (what waited goes
    by so much faster than it came), advertise_interval_s (None: Router Advertisements only when asked).
    """

    role: Role
    insecure: bool = False
    link: str | None = None
    mode: Mode = Mode.PREDICTIVE
    policy: Mapping[str, Any] = field(factory=dict)
    parameters: Parameters = field(factory=Parameters)
    access: str | None = None
    backbone: str | None = None
    address: IPv6Address | None = None
    prefix: IPv6Network | None = None
    access_points: tuple[str, ...] = ()
    neighbours: tuple[NeighbourOptions, ...] = ()
    tunnels: TunnelKind = TunnelKind.AUTO
    buffering: Buffering = Buffering.AUTO
    buffer_octets: int = 4 << 20
    buffer_total_octets: int = 64 << 20
    drain_excess: float = 0.25
    advertise_interval_s: float | None = None

    def __attrs_post_init__(self) -> None:
        needed = {
            Role.MOBILE_NODE: ("link",),
            Role.ACCESS_ROUTER: ("access", "backbone", "address", "prefix"),
        }[self.role]
        for name in needed:
            if getattr(self, name) in {None, ""}:
                raise ValueError(f"{name} is needed where role = {self.role.value!r}")
        if self.address is not None and not is_unicast(self.address):
            raise ValueError(f"address: {self.address} is no address of one node")
        if self.role is Role.ACCESS_ROUTER:
            try:
                router(self, IPv6Address("fe80::1"), bytes(_MAC_OCTETS))
            except ConfigError as error:
                raise ValueError(str(error)) from error  # the decoder adds file and table
        if not 0 < self.buffer_octets <= 1 << 30:
            raise ValueError("buffer_octets must lie between 1 and 1073741824")
        if not 0 < self.buffer_total_octets <= 1 << 34:
            raise ValueError("buffer_total_octets must lie between 1 and 17179869184")
        if not 0 < self.drain_excess <= 100:  # at 0 a buffer that packets enter would never be empty
            raise ValueError("drain_excess must be greater than 0, and at most 100")
        if self.advertise_interval_s is not None and self.advertise_interval_s <= 0:
            raise ValueError("advertise_interval_s must be greater than 0")

    @property
    def limits(self) -> Limits:
        """How much may wait for nodes to come, and how fast it goes."""
        return Limits(self.buffer_octets, self.buffer_total_octets, self.drain_excess)


def is_unicast(address: IPv6Address) -> bool:
    """Whether an address can be a node's beyond its link."""
    return not (
        address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local
    )


def _mac(text: str, key: str) -> bytes:
    try:
        octets = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        octets = b""
    if len(octets) != _MAC_OCTETS:
        raise ConfigError(f"{text!r} is no MAC address", key=key)
    return octets


def eui64(mac: bytes) -> int:
    """The modified EUI-64 interface identifier of a MAC address (RFC 4291 appendix A)."""
    octets = bytes((mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]))
    return int.from_bytes(octets)


def mobile_node(config: Config, lla: bytes, first_sequence: int) -> MobileNodeConfig:
    """The engine's configuration of a mobile node with that link-layer address."""
    return MobileNodeConfig(
        link=config.link or "",
        lla=lla,
        interface_id=eui64(lla),
        mode=config.mode,
        insecure=config.insecure,
        first_sequence=first_sequence,
    )


def router(
    config: Config, link_local: IPv6Address, lla: bytes, first_sequence: int = 0
) -> AccessRouterConfig:
    """The engine's configuration of an access router; ConfigError names the key at fault."""
    neighbours = tuple(
        Neighbour(
            address=n.address,
            lla=_mac(n.lla, "neighbours.lla"),
            prefix=n.prefix,
            access_points=tuple(access_point_id(p) for p in n.access_points),
            fast_handover=n.fast_handover,
        )
        for n in config.neighbours
    )
    if config.address is None or config.prefix is None:
        raise ConfigError("an access router needs address and prefix", key="address")
    return AccessRouterConfig(
        address=config.address,
        link_local=link_local,
        lla=lla,
        prefix=config.prefix,
        access_points=tuple(access_point_id(p) for p in config.access_points),
        neighbours=neighbours,
        insecure=config.insecure,
        first_sequence=first_sequence,
        advertise_interval_s=config.advertise_interval_s,
    )
