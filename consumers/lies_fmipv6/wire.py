"""The numbers and fixed layouts of FMIPv6 and the neighbour discovery it uses."""

import struct

ICMPV6_RS = 133  # RFC 4861 section 4.1
ICMPV6_RA = 134  # section 4.2
ICMPV6_NS = 135  # section 4.3
ICMPV6_NA = 136  # section 4.4
ICMPV6_FMIPV6 = 154  # RFC 5568 section 6.1
SUBTYPE_RTSOLPR = 2  # section 6.1.1
SUBTYPE_PRRTADV = 3  # section 6.1.2

OPTION_SOURCE_LLA = 1  # RFC 4861 section 4.6.1
OPTION_TARGET_LLA = 2
OPTION_PREFIX = 3  # section 4.6.2
OPTION_MTU = 5  # section 4.6.4
OPTION_ADDRESS = 17  # RFC 5568 section 6.4.1
OPTION_LLA = 19  # section 6.4.3
OPTION_NAACK = 20  # section 6.4.6

LLA_WILDCARD = 0  # section 6.4.3, Option-Code
LLA_NEW_ACCESS_POINT = 1
LLA_NAR = 3
LLA_SOURCE = 4
ADDRESS_NEW_COA = 2  # section 6.4.1, Option-Code
ADDRESS_NAR = 3
ADDRESS_PREFIX = 4

FMIPV6 = struct.Struct("!BBH")  # subtype, reserved, identifier
ADDRESS = struct.Struct("!BBI16s")  # option-code, prefix length, reserved, address
ROUTER_ADVERTISEMENT = struct.Struct("!BBHII")  # hop limit, flags, lifetime, reachable, retransmission time
PREFIX = struct.Struct("!BBIII16s")  # length, flags, valid, preferred, reserved, prefix
MTU = struct.Struct("!HI")
PREFIX_L, PREFIX_A, PREFIX_R = 0x80, 0x40, 0x20  # RFC 4861 section 4.6.2, RFC 6275 section 7.2
NA_R, NA_S, NA_O = 0x80, 0x40, 0x20  # section 4.4
NA_FLAGS = NA_R | NA_S | NA_O

MH_FBU = 8  # RFC 5568 section 6.2.2
MH_FBACK = 9  # section 6.2.3
MH_HI = 14  # section 11
MH_HACK = 15  # section 11

MH_OPTION_ALTERNATE_COA = 3  # RFC 6275 section 6.2.5
MH_OPTION_LLA = 7  # RFC 5568 section 6.4.4
MH_OPTION_BADF = 21  # section 6.4.5
MH_OPTION_ADDRESS = 34  # section 11; section 6.4.2 says 17, which another option has

MH_OLD_COA = 1  # section 6.4.2, Option-Code
MH_NEW_COA = 2
MH_LLA_OF_MN = 2  # section 6.4.4

SPI_OF_SEND = 0  # section 6.4.5
AUTHENTICATOR_OCTETS = 12  # section 6.4.5: the first 96 bits of HMAC_SHA1

BINDING_UPDATE = struct.Struct("!HHH")  # sequence, flags, lifetime
BINDING_ACK = struct.Struct("!BBHH")  # status, flags, sequence, lifetime
HANDOVER = struct.Struct("!HBB")  # sequence, flags, code
BINDING_A, BINDING_H, BINDING_L, BINDING_K = 0x8000, 0x4000, 0x2000, 0x1000  # RFC 6275 section 6.1.7
BINDING_ACK_K = 0x80  # RFC 6275 section 6.1.8
HI_S, HI_U = 0x80, 0x40  # section 6.2.1.1
