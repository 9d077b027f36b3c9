"""What a route netlink dump tells, as far as LIES has to understand it."""

import struct
from collections.abc import Iterator

from attrs import frozen

from lies.kernel import messages as m
from lies.kernel.netlink import Netlink

_HEADERS = {  # octets before the attributes: struct fib_rule_hdr, rtmsg, ifaddrmsg, ndmsg, ...
    m.RTM_NEWLINK: 16,
    m.RTM_NEWRULE: 12,
    m.RTM_NEWROUTE: 12,
    m.RTM_NEWADDR: 8,
    m.RTM_NEWNEIGH: 12,
    m.RTM_NEWADDRLABEL: 12,
}
_FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL = 6, 15, 21  # linux/fib_rules.h
_OWNERS = {m.RTM_NEWRULE: _FRA_PROTOCOL, m.RTM_NEWADDR: 11, m.RTM_NEWNEIGH: 12}  # IFA_PROTO, NDA_PROTOCOL
_IFLA_STATS64 = 23
_TX_DROPPED = struct.Struct("=56xQ")  # the eighth counter of struct rtnl_link_stats64
_ROUTE_OWNER_AT = 5  # rtm_protocol of struct rtmsg


@frozen
class Told:
    """One entry of a dump: RTM_NEWx, its body, and its attributes by number."""

    kind: int
    body: bytes
    attributes: dict[int, bytes]

    @property
    def owner(self) -> int | None:
        """Whose it is, None where the kernel does not say."""
        if self.kind == m.RTM_NEWROUTE:
            return self.body[_ROUTE_OWNER_AT]
        said = self.attributes.get(_OWNERS.get(self.kind, -1))
        return said[0] if said else None

    def number(self, attribute: int, default: int = 0) -> int:
        """An attribute of four octets."""
        value = self.attributes.get(attribute)
        return default if value is None else int(struct.unpack("=I", value[:4])[0])


@frozen
class Rule:
    """A policy rule as far as it matters to others; table 0: it has none."""

    preference: int
    table: int
    owner: int | None


def dump(netlink: Netlink, kind: int, *, proxies: bool = False) -> list[Told]:
    """Everything of IPv6 that RTM_GETRULE, RTM_GETROUTE, ... names."""
    return _told(netlink, m.dump(kind, proxies=proxies))


def _told(netlink: Netlink, request: bytes) -> list[Told]:
    return [
        Told(new, body, dict(attributes_in(body, _HEADERS[new])))
        for new, body in netlink.dump(request)
        if new in _HEADERS
    ]


def sent_dropped(netlink: Netlink, index: int) -> int:
    """How many packets that were to leave by an interface it has dropped."""
    for told in _told(netlink, m.get_link(index)):
        if (counters := told.attributes.get(_IFLA_STATS64)) is not None:
            return int(_TX_DROPPED.unpack_from(counters)[0])
    return 0


def rules(netlink: Netlink) -> list[Rule]:
    """Every IPv6 rule, in the kernel's order."""
    return [
        Rule(told.number(_FRA_PRIORITY), told.number(_FRA_TABLE), told.owner)
        for told in dump(netlink, m.RTM_GETRULE)
    ]


def attributes_in(body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The attributes behind so many octets, by number; the last one may be cut off."""
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
