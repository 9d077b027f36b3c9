"""Mobile IPv6 as scapy layers, for captures, crafting and as a second judge of the struct codec.

The only module here that imports scapy (GPL-2.0-only, and slow to import); the daemon never imports it. scapy
2.8 has the messages right, and they only get shorter names here; what it has wrong is the checksum of a
dissected and rebuilt packet with a Home Address option, which `MobileIPv6` corrects.

    MobileIPv6(octets)                 dissects a packet
    MobileIPv6(...) / DestinationOptions(options=[HAO(hoa=...)]) / BU(...)    crafts one
"""

from typing import ClassVar

from scapy.layers.inet6 import (
    HAO,
    ICMPv6ND_NA,
    ICMPv6NDOptDstLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    Pad1,
    PadN,
)
from scapy.layers.inet6 import MIP6MH_BA as BA
from scapy.layers.inet6 import MIP6MH_BE as BE
from scapy.layers.inet6 import MIP6MH_BU as BU
from scapy.layers.inet6 import IPv6ExtHdrRouting as Routing
from scapy.layers.inet6 import MIP6OptAltCoA as AlternateCareOfAddress
from scapy.packet import Packet

__all__ = [
    "BA",
    "BE",
    "BU",
    "HAO",
    "AlternateCareOfAddress",
    "DestinationOptions",
    "ICMPv6NDOptDstLLAddr",
    "ICMPv6ND_NA",
    "MobileIPv6",
    "Routing",
]


class MobileIPv6(IPv6):
    """IPv6 that dissects Mobile IPv6."""

    name = "IPv6"
    aliastypes: ClassVar = [IPv6]

    def default_payload_class(self, p: bytes) -> type[Packet]:
        """Our destination options, and else what scapy chooses."""
        if self.nh == 60:
            return DestinationOptions
        theirs: type[Packet] = super().default_payload_class(p)  # type: ignore[no-untyped-call]  # scapy's
        return theirs


class DestinationOptions(IPv6ExtHdrDestOpt):
    """Destination options in front of a Mobility Header; padding is left out when dissecting.

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
