"""The consumer's TOML table, `[consumers.NAME]` with consumer = "mipv6"."""

from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from attrs import field, frozen

from lies.kernel.kinds import TunnelKind
from lies.links import OtherLink
from lies_mipv6.parameters import Parameters

OWNER = 62  # of what Mobile IPv6 has in the kernel (lies.kernel.messages); nobody else's in rtnetlink.h
_LEAST_MTU = 1280  # RFC 8200 section 5
_LARGEST_MTU = 65535


class Role(StrEnum):
    """What this host is."""

    MOBILE_NODE = "mobile-node"
    HOME_AGENT = "home-agent"


@frozen
class Config:
    """Options of the consumer.

    role; insecure: Binding Updates without IPsec, for a test network only; tunnels: how the kernel makes
    them. mobile-node: link, home_address, home_agent, mtu of what applications send; others: further links in
    order of preference, whose care-of addresses are those that the kernel has there; policy: between
    them. home-agent: address, home_prefix, backbone interface, grace_s (how long the previous care-of address
    may still tunnel after the BU that replaced it; 0 is strict RFC 6275 section 10.4.5).
    """

    role: Role
    insecure: bool = False
    link: str | None = None
    home_address: IPv6Address | None = None
    home_agent: IPv6Address | None = None
    mtu: int = 1420
    address: IPv6Address | None = None
    home_prefix: IPv6Network | None = None
    backbone: str | None = None
    tunnels: TunnelKind = TunnelKind.AUTO
    grace_s: float = 2.0
    parameters: Parameters = field(factory=Parameters)
    others: tuple[OtherLink, ...] = ()
    policy: dict[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        needed = {
            Role.MOBILE_NODE: ("link", "home_address", "home_agent"),
            Role.HOME_AGENT: ("address", "home_prefix", "backbone"),
        }[self.role]
        for name in needed:
            if getattr(self, name) in {None, ""}:
                raise ValueError(f"{name} is needed where role = {self.role.value!r}")
        links = [self.link, *(other.link for other in self.others)]
        if len(set(links)) < len(links) or not all(other.link for other in self.others):
            raise ValueError("link and others name each link once")
        for name in ("home_address", "home_agent", "address"):
            value: IPv6Address | None = getattr(self, name)
            if value is not None and (
                value.is_multicast or value.is_unspecified or value.is_loopback or value.is_link_local
            ):
                raise ValueError(f"{name}: {value} is no address of one node")
        if self.grace_s < 0:
            raise ValueError("grace_s must not be negative")
        if not _LEAST_MTU <= self.mtu <= _LARGEST_MTU:
            raise ValueError(f"mtu must lie between {_LEAST_MTU} and {_LARGEST_MTU}")
