"""The options of FMIPv6 as scapy classes: what scapy 2.8 has wrong or not at all (see scapy_layers)."""

from typing import Any, ClassVar

from scapy.fields import (
    ByteEnumField,
    ByteField,
    ConditionalField,
    FieldLenField,
    IntField,
    IP6Field,
    StrLenField,
)
from scapy.layers.inet6 import (
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    MIP6OptUnknown,
    _MIP6OptAlign,
    moboptcls,
)
from scapy.packet import Packet

from lies.errors import MalformedMessage
from lies.packet import unpack_identifier
from lies_fmipv6.messages import NaackStatus, OptionCode

_LLA_CODES = {
    0: "wildcard",
    1: "new access point",
    2: "mobile node",
    3: "new access router",
    4: "source",
    OptionCode.SAME_INTERFACE: "access point on the same interface",
    OptionCode.UNKNOWN: "access point unknown",
    OptionCode.NO_FAST_HANDOVER: "access point without fast handover",
}
_ADDRESS_CODES = {1: "old care-of address", 2: "new care-of address", 3: "NAR's address", 4: "NAR's prefix"}
_NAACK_STATUS = {int(status): status.name.lower() for status in NaackStatus}


# Mobility options


class MHLinkLayerAddress(_MIP6OptAlign):
    """MH-LLA, type 7 (RFC 5568 section 6.4.4); scapy's has an octet too much."""

    name = "MH Link-Layer Address"
    fields_desc: ClassVar = [
        ByteField("otype", 7),
        FieldLenField("olen", None, length_of="lla", fmt="B", adjust=lambda _, length: length + 1),
        ByteEnumField("ocode", 2, _LLA_CODES),
        StrLenField("lla", b"", length_from=lambda option: option.olen - 1),
    ]
    x = 0
    y = 0


class BADF(_MIP6OptAlign):
    """Binding Authorization Data for FMIPv6, type 21 (RFC 5568 section 6.4.5), its length with the SPI."""

    name = "Binding Authorization Data for FMIPv6"
    fields_desc: ClassVar = [
        ByteField("otype", 21),
        FieldLenField("olen", None, length_of="authenticator", fmt="B", adjust=lambda _, length: length + 4),
        IntField("spi", 1),
        StrLenField("authenticator", bytes(12), length_from=lambda option: option.olen - 4),
    ]
    x = 8
    y = 6


class MHAddress(_MIP6OptAlign):
    """Mobility Header IPv6 Address/Prefix, type 34 (RFC 5568 sections 6.4.2 and 11)."""

    name = "MH IPv6 Address/Prefix"
    fields_desc: ClassVar = [
        ByteField("otype", 34),
        ByteField("olen", 18),
        ByteEnumField("ocode", 1, _ADDRESS_CODES),
        ByteField("plen", 128),
        IP6Field("addr", "::"),
    ]
    x = 8
    y = 4


class AnyMobilityOption(MIP6OptUnknown):
    """Chooses our class for an option, or scapy's."""

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_: object, **__: object) -> type[Packet]:
        """The class for the octets; scapy asks."""
        ours: dict[int, type[Packet]] = {7: MHLinkLayerAddress, 21: BADF, 34: MHAddress}
        if not _pkt:
            return cls
        found: type[Packet] = ours.get(_pkt[0]) or moboptcls.get(_pkt[0], MIP6OptUnknown)
        return found


# Neighbour discovery options; in a list, where scapy makes each the payload of the one before


class _InList:
    """An option that leaves what follows it to the list."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class _PaddedField(StrLenField):
    """Octets padded with zeros to the option's end; `before` counts the option's octets in front of them."""

    __slots__ = ("before",)

    def __init__(self, name: str, before: int) -> None:
        super().__init__(name, b"", length_from=lambda option: 8 * option.len - before)
        self.before = before

    def i2m(self, pkt: Packet | None, x: Any) -> bytes:  # noqa: ANN401 - scapy's signature
        octets = bytes(super().i2m(pkt, x))
        return octets + bytes(-(self.before + len(octets)) % 8)

    def i2len(self, pkt: Packet | None, x: Any) -> int:  # noqa: ANN401 - scapy's signature
        return len(self.i2m(pkt, x))

    def m2i(self, pkt: Packet | None, x: bytes) -> bytes:  # noqa: ARG002 - scapy's signature
        try:
            return unpack_identifier(x)
        except MalformedMessage:  # the wildcard has no address; odd ones are shown as they are
            return x.rstrip(b"\x00")


def _units(before: int) -> FieldLenField:
    return FieldLenField(
        "len", None, length_of="lla", fmt="B", adjust=lambda _, length: (length + before) // 8
    )


class NDLinkLayerAddress(_InList, Packet):
    """LLA, type 19 (RFC 5568 section 6.4.3); scapy's is not padded to 8 octets."""

    name = "Link-Layer Address"
    fields_desc: ClassVar = [
        ByteField("type", 19),
        _units(3),
        ByteEnumField("optcode", 1, _LLA_CODES),
        _PaddedField("lla", 3),
    ]


class NDAddress(_InList, Packet):
    """IP Address/Prefix, type 17 (RFC 5568 section 6.4.1); scapy's does not know prefixes."""

    name = "IP Address/Prefix"
    fields_desc: ClassVar = [
        ByteField("type", 17),
        ByteField("len", 3),
        ByteEnumField("optcode", 3, _ADDRESS_CODES),
        ByteField("plen", 128),
        IntField("res", 0),
        IP6Field("addr", "::"),
    ]


class NAACK(_InList, Packet):
    """Neighbour Advertisement Acknowledgment, type 20 (RFC 5568 section 6.4.6)."""

    name = "Neighbour Advertisement Acknowledgment"
    fields_desc: ClassVar = [
        ByteField("type", 20),
        ByteField("len", 1),
        ByteField("optcode", 0),
        ByteEnumField("status", 1, _NAACK_STATUS),
        IntField("res", 0),
        ConditionalField(IP6Field("ncoa", "::"), lambda option: option.len == 3),
    ]


class SourceLinkLayerAddress(_InList, Packet):
    """Source Link-layer Address (RFC 4861 section 4.6.1), of any length."""

    name = "Source Link-layer Address"
    fields_desc: ClassVar = [ByteField("type", 1), _units(2), _PaddedField("lla", 2)]


class TargetLinkLayerAddress(_InList, Packet):
    """Target Link-layer Address (RFC 4861 section 4.6.1), of any length."""

    name = "Target Link-layer Address"
    fields_desc: ClassVar = [ByteField("type", 2), _units(2), _PaddedField("lla", 2)]


class Prefix(_InList, ICMPv6NDOptPrefixInfo):
    """Prefix Information (RFC 4861 section 4.6.2)."""


class MTU(_InList, ICMPv6NDOptMTU):
    """MTU (RFC 4861 section 4.6.4)."""


class _UnknownNDOption(_InList, Packet):
    """An option that we do not read."""

    name = "Unknown option"
    fields_desc: ClassVar = [
        ByteField("type", 0),
        ByteField("len", 1),
        StrLenField("data", b"", length_from=lambda option: max(0, 8 * option.len - 2)),
    ]


_ND_OPTIONS: dict[int, type[Packet]] = {
    1: SourceLinkLayerAddress,
    2: TargetLinkLayerAddress,
    3: Prefix,
    5: MTU,
    17: NDAddress,
    19: NDLinkLayerAddress,
    20: NAACK,
}


def any_nd_option(octets: bytes, **_: object) -> Packet:
    """The option that the octets begin with."""
    return _ND_OPTIONS.get(octets[0], _UnknownNDOption)(octets)
