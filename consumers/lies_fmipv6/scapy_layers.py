"""FMIPv6 as scapy layers, for captures, crafting and as a second judge of the struct codec.

The only module here that imports scapy (GPL-2.0-only, and slow to import); the daemon never imports it. What
scapy 2.8 has right is used, what is missing or wrong has a class of its own, and none of scapy's tables is
changed: `FastIPv6` and the headers behind it choose our classes by themselves.

    FastIPv6(octets)                 dissects a packet
    FastIPv6(...) / DestinationOptions(options=[HAO(...)]) / FBU(...)    crafts one
"""

from enum import IntEnum
from typing import Any, ClassVar

from scapy.fields import (
    BitField,
    ByteEnumField,
    ByteField,
    FlagsField,
    IntField,
    IP6Field,
    PacketListField,
    ShortField,
    XShortField,
)
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrRouting,
    Pad1,
    PadN,
    _ICMPv6,
    _MobilityHeader,
    _OptionsField,
    _PhantomAutoPadField,
)
from scapy.packet import Packet, Raw

from lies_fmipv6.messages import FBackStatus, HAckCode, HICode, PrRtAdvCode
from lies_fmipv6.scapy_options import (
    BADF,
    MTU,
    NAACK,
    AnyMobilityOption,
    MHAddress,
    MHLinkLayerAddress,
    NDAddress,
    NDLinkLayerAddress,
    Prefix,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    any_nd_option,
)

__all__ = [
    "BADF",
    "FBU",
    "HI",
    "MTU",
    "NAACK",
    "DestinationOptions",
    "FBack",
    "FastIPv6",
    "HAck",
    "MHAddress",
    "MHLinkLayerAddress",
    "NDAddress",
    "NDLinkLayerAddress",
    "NeighbourAdvertisement",
    "PrRtAdv",
    "Prefix",
    "RouterAdvertisement",
    "RouterSolicitation",
    "Routing",
    "RtSolPr",
    "SourceLinkLayerAddress",
    "TargetLinkLayerAddress",
]


def _names(codes: type[IntEnum]) -> dict[int, str]:
    return {int(code): code.name.lower() for code in codes}


def _mobility_fields(kind: int, data: list[Any], options_at: int) -> list[Any]:
    return [
        ByteField("nh", 59),
        ByteField("len", None),
        ByteField("mhtype", kind),
        ByteField("res", 0),
        XShortField("cksum", None),
        *data,
        _PhantomAutoPadField("autopad", 1),
        _OptionsField(  # type: ignore[no-untyped-call]  # scapy leaves it untyped
            "options",
            [],
            AnyMobilityOption,
            options_at,
            length_from=lambda header: 8 * header.len + 8 - options_at,
        ),
    ]


class FBU(_MobilityHeader):
    """Fast Binding Update (RFC 5568 section 6.2.2); the lifetime is in seconds."""

    name = "Fast Binding Update"
    fields_desc: ClassVar = _mobility_fields(
        8,
        [
            ShortField("seq", 0),
            FlagsField("flags", 0xC, 4, "KLHA"),  # A and H
            BitField("reserved", 0, 12),
            ShortField("lifetime", 0),
        ],
        12,
    )


class FBack(_MobilityHeader):
    """Fast Binding Acknowledgment (RFC 5568 section 6.2.3); the lifetime is in seconds."""

    name = "Fast Binding Acknowledgment"
    fields_desc: ClassVar = _mobility_fields(
        9,
        [
            ByteEnumField("status", 0, _names(FBackStatus)),
            BitField("K", 0, 1),
            BitField("reserved", 0, 7),
            ShortField("seq", 0),
            ShortField("lifetime", 0),
        ],
        12,
    )


class HI(_MobilityHeader):
    """Handover Initiate (RFC 5568 section 6.2.1.1)."""

    name = "Handover Initiate"
    fields_desc: ClassVar = _mobility_fields(
        14,
        [
            ShortField("seq", 0),
            BitField("S", 0, 1),
            BitField("U", 0, 1),
            BitField("reserved", 0, 6),
            ByteEnumField("code", 0, _names(HICode)),
        ],
        10,
    )


class HAck(_MobilityHeader):
    """Handover Acknowledge (RFC 5568 section 6.2.1.2)."""

    name = "Handover Acknowledge"
    fields_desc: ClassVar = _mobility_fields(
        15,
        [ShortField("seq", 0), ByteField("reserved", 0), ByteEnumField("code", 0, _names(HAckCode))],
        10,
    )


def _nd_fields(kind: int, data: list[Any]) -> list[Any]:
    return [
        ByteField("type", kind),
        ByteField("code", 0),
        XShortField("cksum", None),
        *data,
        PacketListField("options", [], any_nd_option),
    ]


class _NeighbourDiscovery(_ICMPv6):
    """Sent with hop limit 255 (RFC 4861 section 4)."""

    overload_fields = {IPv6: {"nh": 58, "hlim": 255}}  # noqa: RUF012 - scapy's declaration


class RtSolPr(_NeighbourDiscovery):
    """Router Solicitation for Proxy Advertisement (RFC 5568 section 6.1.1)."""

    name = "RtSolPr"
    fields_desc: ClassVar = _nd_fields(
        154, [ByteField("subtype", 2), ByteField("res", 0), ShortField("id", 0)]
    )


class PrRtAdv(_NeighbourDiscovery):
    """Proxy Router Advertisement (RFC 5568 section 6.1.2)."""

    name = "PrRtAdv"
    fields_desc: ClassVar = _nd_fields(
        154, [ByteField("subtype", 3), ByteField("res", 0), ShortField("id", 0)]
    )
    fields_desc[1] = ByteEnumField("code", 0, _names(PrRtAdvCode))


class RouterSolicitation(_NeighbourDiscovery):
    """Router Solicitation (RFC 4861 section 4.1)."""

    name = "Router Solicitation"
    fields_desc: ClassVar = _nd_fields(133, [IntField("res", 0)])


class RouterAdvertisement(_NeighbourDiscovery):
    """Router Advertisement (RFC 4861 section 4.2); its options may hold a NAACK."""

    name = "Router Advertisement"
    fields_desc: ClassVar = _nd_fields(
        134,
        [
            ByteField("chlim", 64),
            ByteField("flags", 0),
            ShortField("routerlifetime", 1800),
            IntField("reachabletime", 0),
            IntField("retranstimer", 0),
        ],
    )


class NeighbourSolicitation(_NeighbourDiscovery):
    """Neighbour Solicitation (RFC 4861 section 4.3)."""

    name = "Neighbour Solicitation"
    fields_desc: ClassVar = _nd_fields(135, [IntField("res", 0), IP6Field("tgt", "::")])


class NeighbourAdvertisement(_NeighbourDiscovery):
    """Neighbour Advertisement (RFC 4861 section 4.4); a UNA has no flag (RFC 5568 section 6.3)."""

    name = "Neighbour Advertisement"
    fields_desc: ClassVar = _nd_fields(
        136,
        [
            BitField("R", 0, 1),
            BitField("S", 0, 1),
            BitField("O", 0, 1),
            BitField("res", 0, 29),
            IP6Field("tgt", "::"),
        ],
    )


# Headers that choose the classes above


class _OurUpperLayers:
    """Chooses our class for what follows, and leaves the rest to scapy."""

    nh: int

    def default_payload_class(self, p: bytes) -> type[Packet]:
        mobility: dict[int, type[Packet]] = {8: FBU, 9: FBack, 14: HI, 15: HAck}
        discovery: dict[int, type[Packet]] = {
            133: RouterSolicitation,
            134: RouterAdvertisement,
            135: NeighbourSolicitation,
            136: NeighbourAdvertisement,
        }
        found: type[Packet] | None = None
        if self.nh == 135 and len(p) > 2:
            found = mobility.get(p[2])
        elif self.nh == 58 and len(p) > 4:
            subtypes = {2: RtSolPr, 3: PrRtAdv}
            found = subtypes.get(p[4]) if p[0] == 154 else discovery.get(p[0])
        elif self.nh in {43, 60}:
            found = {43: Routing, 60: DestinationOptions}[self.nh]
        if found is not None:
            return found
        theirs: type[Packet] = super().default_payload_class(p)  # type: ignore[misc]  # mixin of scapy's
        return theirs if issubclass(theirs, Packet) else Raw


class FastIPv6(_OurUpperLayers, IPv6):
    """IPv6 that dissects FMIPv6."""

    name = "IPv6"
    aliastypes: ClassVar = [IPv6]


class DestinationOptions(_OurUpperLayers, IPv6ExtHdrDestOpt):
    """Destination options in front of an FMIPv6 message; padding is left out when dissecting.

    scapy computes checksums with the home address only if that is the one option of the list, so that a
    dissected packet, which has padding before it, would be rebuilt with a wrong one.
    """

    name = "Destination Options"
    overload_fields = {IPv6: {"nh": 60}}  # noqa: RUF012 - scapy's declaration

    def post_dissect(self, s: bytes) -> bytes:
        """Drop the padding; it is made anew when building."""
        options = self.getfieldval("options")
        self.setfieldval("options", [option for option in options if not isinstance(option, Pad1 | PadN)])
        return s


class Routing(_OurUpperLayers, IPv6ExtHdrRouting):
    """A routing header in front of an FMIPv6 message."""

    name = "Routing"
    overload_fields = {IPv6: {"nh": 43}}  # noqa: RUF012 - scapy's declaration
