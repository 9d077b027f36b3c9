"""The consumer's TOML table, `[consumers.NAME]` with consumer = "fmipv6"."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from attrs import field, frozen

from lies.errors import ConfigError
from lies.kernel.kinds import TunnelKind
from lies.links import OtherLink
from lies_fmipv6.items import access_point_id
from lies_fmipv6.pacing import Buffering, Limits
from lies_fmipv6.parameters import (
    AccessRouterConfig,
    Duplicates,
    MobileNodeConfig,
    Mode,
    Neighbour,
    NodeLink,
    Parameters,
    eui64,
)

_MAC_OCTETS = 6
_MAX_LIMIT = 1 << 20
_MAX_EXCESS = 100
_LEAST_REHEARSAL_MS, _MOST_REHEARSAL_MS = 1.0, 60_000.0
_RANGES = (
    ("max_bindings", 1, _MAX_LIMIT),
    ("max_expected", 1, _MAX_LIMIT),
    ("max_expected_per_neighbour", 1, _MAX_LIMIT),
    ("max_known_nodes", 1, _MAX_LIMIT),
    ("dad_transmits", 0, 5),
    ("buffer_octets", 1, 1 << 30),
    ("buffer_total_octets", 1, 1 << 34),
)


class Role(StrEnum):
    """What this host is."""

    MOBILE_NODE = "mobile-node"
    ACCESS_ROUTER = "access-router"  # previous and new access router at once


@frozen
class NeighbourOptions:
    """One table `[[consumers.NAME.neighbours]]` of an access router.

    address: the neighbour's global address; lla: MAC address of its access interface; prefix: of its access
    link; access_points: PoAs on that link; fast_handover: whether it speaks FMIPv6; esp_key: name of a
    handover key, shared with it, that ESP for HI and HAck is made of; ike: an IKE daemon makes the security
    associations instead; dhcp: nodes get their addresses by DHCP there.
    """

    address: IPv6Address
    lla: str
    prefix: IPv6Network
    access_points: tuple[str, ...] = ()
    fast_handover: bool = True
    esp_key: str | None = None
    ike: bool = False
    dhcp: bool = False

    def __attrs_post_init__(self) -> None:
        if self.esp_key is not None and self.ike:
            raise ValueError("esp_key and ike: one of them, not both")

    @property
    def protected(self) -> bool:
        """Whether HI and HAck with it are to be protected by ESP."""
        return self.ike or self.esp_key is not None


@frozen
class KeyOptions:
    """One table `[[consumers.NAME.keys]]`: a handover key, made by `lies keys handover`.

    key: its name; of a mobile node: router, the access router's global address; of an access router: node,
    the MAC address of the mobile node.
    """

    key: str
    router: IPv6Address | None = None
    node: str | None = None


@frozen
class Config:
    """Options of the consumer.

    role; keys: handover keys, in keys_dir; insecure: exchange HI and HAck without ESP, and FBU and FBack
    without BADF if there are no keys, for a test network only; tunnels: how the kernel makes them.
    mobile-node: link, mode, policy (lies_fmipv6.policy_shell), parameters, dhcp (the command that gets the
    link an address; without it links that want DHCP are not moved to), dad_transmits; others: further links
    in order of preference; link_policy: between them (lies.link_policy). access-router: access
    and backbone interfaces, address, prefix, access_points (PoAs on the access link), neighbours, buffering
    (where packets wait), buffer_octets (for one node), buffer_total_octets, drain_excess (what waited goes by
    so much faster than it came), rehearsal_ms (how often the code of a handover is run for nobody, so that
    nodes find it warm; 0: never), advertise_interval_s (None: Router Advertisements only when asked),
    announce, duplicates, dad_transmits, dhcp_link and the limits as in AccessRouterConfig.
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
    rehearsal_ms: float = 5.0
    advertise_interval_s: float | None = None
    keys: tuple[KeyOptions, ...] = ()
    keys_dir: Path | None = None
    dhcp: tuple[str, ...] = ()
    announce: bool = False
    duplicates: Duplicates = Duplicates.ASSIGN
    dad_transmits: int = 0
    dhcp_link: bool = False
    others: tuple[OtherLink, ...] = ()
    link_policy: Mapping[str, Any] = field(factory=dict)
    max_bindings: int = 1024
    max_expected: int = 1024
    max_expected_per_neighbour: int = 256
    max_known_nodes: int = 4096

    def __attrs_post_init__(self) -> None:
        needed = {
            Role.MOBILE_NODE: ("link",),
            Role.ACCESS_ROUTER: ("access", "backbone", "address", "prefix"),
        }[self.role]
        for name in needed:
            if getattr(self, name) in {None, ""}:
                raise ValueError(f"{name} is needed where role = {self.role.value!r}")
        links = [self.link, *(other.link for other in self.others)]
        if len(set(links)) < len(links) or not all(other.link for other in self.others):
            raise ValueError("link and others name each link once")
        if self.address is not None and not is_unicast(self.address):
            raise ValueError(f"address: {self.address} is no address of one node")
        if self.role is Role.ACCESS_ROUTER:
            try:
                router(self, IPv6Address("fe80::1"), bytes(_MAC_OCTETS))
            except ConfigError as error:
                raise ValueError(str(error)) from error  # the decoder adds file and table
        _check_keys(self)
        for name, least, most in _RANGES:
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between {least} and {most}")
        if not 0 < self.drain_excess <= _MAX_EXCESS:  # at 0 a buffer that packets enter would never be empty
            raise ValueError(f"drain_excess must be greater than 0, and at most {_MAX_EXCESS}")
        if self.rehearsal_ms and not _LEAST_REHEARSAL_MS <= self.rehearsal_ms <= _MOST_REHEARSAL_MS:
            raise ValueError(
                f"rehearsal_ms must be 0, or lie between {_LEAST_REHEARSAL_MS:g} and {_MOST_REHEARSAL_MS:g}"
            )
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


def _check_keys(config: Config) -> None:
    """Every key says whose it is, by its role, and nobody has two."""
    seen: set[object] = set()
    for option in config.keys:
        of_node = config.role is Role.MOBILE_NODE
        whose: object = option.router if of_node else option.node
        if whose is None or (option.node if of_node else option.router) is not None:
            word = "router, and no node," if of_node else "node, and no router,"
            raise ValueError(f"keys: a key needs {word} where role = {config.role.value!r}")
        if option.node is not None:
            try:
                whose = _mac(option.node, "keys.node")
            except ConfigError as error:
                raise ValueError(str(error)) from error
        if whose in seen:
            raise ValueError(f"keys: two keys for {option.router or option.node}")
        seen.add(whose)


def mobile_node(
    config: Config,
    lla: bytes,
    first_sequence: int,
    secrets: Mapping[str, bytes],
    others: tuple[NodeLink, ...] = (),
) -> MobileNodeConfig:
    """The engine's configuration of a mobile node with that link-layer address; secrets: keys by name."""
    return MobileNodeConfig(
        link=config.link or "",
        lla=lla,
        interface_id=eui64(lla),
        mode=config.mode,
        insecure=config.insecure,
        keys={k.router: secrets[k.key] for k in config.keys if k.router is not None},
        dhcp=bool(config.dhcp),
        first_sequence=first_sequence,
        dad_transmits=config.dad_transmits,
        others=others,
    )


def router(
    config: Config,
    link_local: IPv6Address,
    lla: bytes,
    first_sequence: int = 0,
    secrets: Mapping[str, bytes] | None = None,
) -> AccessRouterConfig:
    """The engine's configuration of an access router; ConfigError names the key at fault.

    secrets: handover keys by name; None leaves them out.
    """
    neighbours = tuple(
        Neighbour(
            address=n.address,
            lla=_mac(n.lla, "neighbours.lla"),
            prefix=n.prefix,
            access_points=tuple(access_point_id(p) for p in n.access_points),
            fast_handover=n.fast_handover,
            protected=n.protected,
            dhcp=n.dhcp,
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
        keys={
            _mac(k.node, "keys.node"): secrets[k.key]
            for k in config.keys
            if k.node is not None and secrets is not None
        },
        first_sequence=first_sequence,
        advertise_interval_s=config.advertise_interval_s,
        announce=config.announce,
        duplicates=config.duplicates,
        dad_transmits=config.dad_transmits,
        dhcp=config.dhcp_link,
        max_bindings=config.max_bindings,
        max_expected=config.max_expected,
        max_expected_per_neighbour=config.max_expected_per_neighbour,
        max_known_nodes=config.max_known_nodes,
    )
