"""What route netlink messages say of links: octets in, values out. Never raises on any octets."""

import struct

from attrs import frozen

from lies.kernel import messages as m
from lies.kernel.attributes import attributes_in

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x8, 0x40, 0x10000  # linux/if.h
OPER_UNKNOWN, OPER_DORMANT, OPER_UP = 0, 5, 6  # linux/if.h, RFC 2863 ifOperStatus
ARPHRD_ETHER = 1  # linux/if_arp.h
PORT_FORWARDING = 3  # linux/if_bridge.h, BR_STATE_FORWARDING
AF_BRIDGE = 7

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id (linux/netlink.h)
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_DUMP_INTR = 0x10
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_PROTINFO = 3, 10, 12  # linux/if_link.h
_IFLA_OPERSTATE, _IFLA_LINKINFO = 16, 18
_IFLA_CARRIER_UP_COUNT, _IFLA_CARRIER_DOWN_COUNT = 47, 48
_INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 4, 5
_BRPORT_STATE, _BRPORT_BRIDGE_ID = 1, 14


@frozen
class BridgePort:
    """A port of a bridge; state: of its spanning tree; bridge: the designated one, as `ip -d link` has it."""

    state: int
    bridge: str | None = None


@frozen
class LinkTold:
    """An interface as of one message.

    kind: ARPHRD_*; flags: IFF_*; operstate: of RFC 2863, None where it is not said; master: index of what it
    is enslaved to, 0 for nothing; ups, downs: how often its carrier came and went, None where the kernel does
    not count it; partial: a bridge's message, which knows no more than flags, operstate and port; torn: the
    list of interfaces changed while all were told, and one may have been left out.
    """

    index: int
    name: str
    kind: int
    flags: int
    operstate: int | None = None
    master: int = 0
    port: BridgePort | None = None
    ups: int | None = None
    downs: int | None = None
    partial: bool = False
    torn: bool = False


@frozen
class LinkGone:
    """An interface is no more in this namespace."""

    index: int


@frozen
class Answered:
    """The kernel's answer to a request; error: errno, 0 if it was carried out."""

    sequence: int
    error: int


@frozen
class DumpEnded:
    """All interfaces have been told; torn: as in LinkTold."""

    sequence: int
    torn: bool = False


Told = LinkTold | LinkGone | Answered | DumpEnded


def dump_request(sequence: int) -> bytes:
    """The request for every interface."""
    size = _HEADER.size + _LINK.size
    head = _HEADER.pack(size, m.RTM_GETLINK, m.NLM_F_REQUEST | m.NLM_F_DUMP, sequence, 0)
    return head + bytes(_LINK.size)


def numbered(message: bytes, sequence: int) -> bytes:
    """A finished message of lies.kernel.messages with its sequence number."""
    return message[:8] + struct.pack("=I", sequence) + message[12:]


def read(data: bytes) -> list[Told]:
    """What one datagram tells; what is cut off, or of another kind, is left out."""
    found: list[Told] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if not _HEADER.size <= length <= len(data) - offset:
            break
        told = _read(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        if told is not None:
            found.append(told)
        offset += (length + 3) & ~3
    return found


def _read(kind: int, flags: int, sequence: int, body: bytes) -> Told | None:
    if kind == m.RTM_NEWLINK and len(body) >= _LINK.size:
        return _link(body, torn=bool(flags & _NLM_F_DUMP_INTR))
    if kind == m.RTM_DELLINK and len(body) >= _LINK.size:
        family, _, index, _, _ = _LINK.unpack_from(body)
        return None if family == AF_BRIDGE else LinkGone(index)  # from a bridge: it only left that bridge
    error = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if kind == _NLMSG_DONE and error <= 0:
        return DumpEnded(sequence, torn=bool(flags & _NLM_F_DUMP_INTR))
    return Answered(sequence, error) if kind in {_NLMSG_ERROR, _NLMSG_DONE} else None


def _link(body: bytes, *, torn: bool) -> LinkTold | None:
    family, kind, index, flags, _ = _LINK.unpack_from(body)
    said = dict(attributes_in(body, _LINK.size))
    name = said.get(_IFLA_IFNAME, b"").partition(b"\0")[0].decode("utf-8", "backslashreplace")
    if index <= 0 or not name:
        return None
    operstate = said.get(_IFLA_OPERSTATE, b"")
    partial = family == AF_BRIDGE
    return LinkTold(
        index,
        name,
        kind,
        flags,
        operstate=operstate[0] if operstate else None,
        master=_number(said.get(_IFLA_MASTER)) or 0,
        port=_port(said.get(_IFLA_PROTINFO, b"")) if partial else _slave(said.get(_IFLA_LINKINFO, b"")),
        ups=_number(said.get(_IFLA_CARRIER_UP_COUNT)),
        downs=_number(said.get(_IFLA_CARRIER_DOWN_COUNT)),
        partial=partial,
        torn=torn,
    )


def _slave(linkinfo: bytes) -> BridgePort | None:
    said = dict(attributes_in(linkinfo, 0))
    if said.get(_INFO_SLAVE_KIND, b"").rstrip(b"\0") != b"bridge":
        return None
    return _port(said.get(_INFO_SLAVE_DATA, b""))


def _port(data: bytes) -> BridgePort | None:
    said = dict(attributes_in(data, 0))
    state, bridge = said.get(_BRPORT_STATE, b""), said.get(_BRPORT_BRIDGE_ID, b"")
    if not state:
        return None
    return BridgePort(state[0], f"{bridge[:2].hex()}.{bridge[2:8].hex(':')}" if len(bridge) >= 8 else None)


def _number(value: bytes | None) -> int | None:
    return int(struct.unpack_from("=I", value)[0]) if value is not None and len(value) >= 4 else None
