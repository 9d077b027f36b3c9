"""Route netlink messages compiled to octets with pyroute2's encoders.

Every function returns one finished message for lies.kernel.netlink.Netlink.execute. Addresses are
ipaddress objects; interfaces are named by index; tables and preferences are numbers.

owner: whose a route, rule, address or neighbour entry is, a number of rtnetlink's rtm_protocol (`ip -6 route
show proto 51`). The kernel keeps equal rules of different owners apart, and lies.kernel.leftovers removes
what is one owner's. Consumers that may share a namespace need different ones.
"""

import errno
import struct
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from pyroute2.netlink import nla, nlmsg
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from lies.kernel.template import compiled_once

AF_INET6 = 10
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWADDRLABEL, RTM_DELADDRLABEL, RTM_GETADDRLABEL = 72, 73, 74

GONE = (errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV)  # removing what is not there
TABLE_MAIN, TABLE_LOCAL = 254, 255
OWNER_KERNEL, OWNER_ADMINISTRATOR = 2, 4  # RTPROT_KERNEL, RTPROT_STATIC
OWNER_LIES = 51  # nobody else's in linux/rtnetlink.h and /etc/iproute2/rt_protos

_LWTUNNEL_ENCAP_IP6, _LWTUNNEL_ENCAP_SEG6, _LWTUNNEL_ENCAP_SEG6_LOCAL = 4, 5, 7
_TUNNEL_HOP_LIMIT = 64
_SEG6_IPTUN_MODE_ENCAP_RED = 3  # linux/seg6_iptunnel.h; pyroute2 0.9 knows inline and encap
_IFA_F_NODAD, _IFA_F_HOMEADDRESS, _IFA_F_NOPREFIXROUTE = 0x02, 0x10, 0x200
NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, NUD_PERMANENT = 0x01, 0x02, 0x04, 0x80
_NTF_PROXY = 0x08
_RTN = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7}
_RTNH_F_ONLINK = 4
_FR_ACT_TO_TBL, _FR_ACT_GOTO, _FR_ACT_BLACKHOLE = 1, 2, 6
_IFF_UP = 0x1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id (linux/netlink.h)

rtmsg.seg6_encap_info.ipv6_sr_hdr.encapmodes["encap.red"] = _SEG6_IPTUN_MODE_ENCAP_RED


class ip6_encap_info(nla):  # type: ignore[misc]  # noqa: N801 - pyroute2 is untyped; named as its kin
    """LWTUNNEL_ENCAP_IP6 (linux/lwtunnel.h), which pyroute2 does not have."""

    __slots__ = ()
    prefix = "LWTUNNEL_IP6_"
    nla_map = (
        ("LWTUNNEL_IP6_UNSPEC", "none"),
        ("LWTUNNEL_IP6_ID", "be64"),
        ("LWTUNNEL_IP6_DST", "ip6addr"),
        ("LWTUNNEL_IP6_SRC", "ip6addr"),
        ("LWTUNNEL_IP6_HOPLIMIT", "uint8"),
        ("LWTUNNEL_IP6_TC", "uint8"),
        ("LWTUNNEL_IP6_FLAGS", "be16"),
    )


rtmsg.encaps = {**rtmsg.encaps, _LWTUNNEL_ENCAP_IP6: ip6_encap_info}


class ifaddrlblmsg(nlmsg):  # type: ignore[misc]  # noqa: N801 - pyroute2 is untyped; named as its kin
    """struct ifaddrlblmsg (linux/if_addrlabel.h), which pyroute2 does not have."""

    __slots__ = ()
    prefix = "IFAL_"
    fields = (
        ("family", "B"),
        ("__pad", "B"),
        ("prefixlen", "B"),
        ("flags", "B"),
        ("index", "I"),
        ("seq", "I"),
    )
    nla_map = (("IFAL_UNSPEC", "none"), ("IFAL_ADDRESS", "ip6addr"), ("IFAL_LABEL", "uint32"))


def _finish(message: Any, kind: int, flags: int) -> bytes:  # noqa: ANN401 - pyroute2 is untyped
    message["header"]["type"] = kind
    message["header"]["flags"] = flags | NLM_F_REQUEST
    message.encode()
    return bytes(message.data)


def _flags(*, add: bool, replace: bool) -> int:
    if not add:
        return NLM_F_ACK
    return NLM_F_ACK | NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)


@compiled_once
def route(
    destination: IPv6Network,
    *,
    table: int = TABLE_MAIN,
    oif: int | None = None,
    via: IPv6Address | None = None,
    encap: IPv6Address | None = None,
    encap_source: IPv6Address | None = None,
    decap_to: IPv6Address | None = None,
    kind: str = "unicast",
    metric: int = 1024,
    mtu: int | None = None,
    owner: int = OWNER_LIES,
    add: bool = True,
) -> bytes:
    """A route, replaced if it is there; a next hop `via` is taken to be on the link of `oif`.

    encap: put the packet into an IPv6 packet to that address (seg6 encap.red with one segment, which is
    plain RFC 2473 encapsulation; with encap_source by the ip6tnl device `oif`, from that address); decap_to:
    take the outer header off and send the inner packet to that next hop (seg6local End.DX6). mtu in octets.
    """
    m = rtmsg()
    m["family"] = AF_INET6
    m["dst_len"] = destination.prefixlen
    m["table"] = table if table < 256 else 0
    m["type"] = _RTN[kind]
    m["proto"] = owner
    attrs: list[tuple[str, Any]] = [("RTA_TABLE", table), ("RTA_PRIORITY", metric)]
    if destination.prefixlen:
        attrs.append(("RTA_DST", str(destination.network_address)))
    if oif is not None:
        attrs.append(("RTA_OIF", oif))
    if via is not None:
        m["flags"] = _RTNH_F_ONLINK
        attrs.append(("RTA_GATEWAY", str(via)))
    if mtu is not None:
        attrs.append(("RTA_METRICS", {"attrs": [("RTAX_MTU", mtu)]}))
    if encap is not None and encap_source is not None:
        attrs.append(("RTA_ENCAP_TYPE", _LWTUNNEL_ENCAP_IP6))
        header = [
            ("LWTUNNEL_IP6_DST", str(encap)),
            ("LWTUNNEL_IP6_SRC", str(encap_source)),
            ("LWTUNNEL_IP6_HOPLIMIT", _TUNNEL_HOP_LIMIT),
        ]
        attrs.append(("RTA_ENCAP", {"attrs": header}))
    elif encap is not None:
        attrs.append(("RTA_ENCAP_TYPE", _LWTUNNEL_ENCAP_SEG6))
        segments = {"mode": "encap.red", "segs": [str(encap)]}
        attrs.append(("RTA_ENCAP", {"attrs": [("SEG6_IPTUNNEL_SRH", segments)]}))
    if decap_to is not None:
        attrs.append(("RTA_ENCAP_TYPE", _LWTUNNEL_ENCAP_SEG6_LOCAL))
        action = [
            ("SEG6_LOCAL_ACTION", {"value": "End.DX6"}),
            ("SEG6_LOCAL_NH6", {"value": str(decap_to)}),
        ]
        attrs.append(("RTA_ENCAP", {"attrs": action}))
    m["attrs"] = attrs
    return _finish(m, RTM_NEWROUTE if add else RTM_DELROUTE, _flags(add=add, replace=True))


@compiled_once
def rule(
    preference: int,
    *,
    table: int | None = None,
    goto: int | None = None,
    source: IPv6Address | None = None,
    destination: IPv6Address | None = None,
    iif: str | None = None,
    ip_protocol: int | None = None,
    owner: int | None = OWNER_LIES,
    add: bool = True,
) -> bytes:
    """A policy rule; goto: on with the rules of that preference; neither table nor goto: drop what matches.

    owner None removes anybody's.
    """
    m = fibmsg()
    m["family"] = AF_INET6
    m["action"] = _FR_ACT_TO_TBL if table is not None else _FR_ACT_BLACKHOLE if goto is None else _FR_ACT_GOTO
    m["table"] = table if table is not None and table < 256 else 0
    attrs: list[tuple[str, Any]] = [("FRA_PRIORITY", preference)]
    if owner is not None:
        attrs.append(("FRA_PROTOCOL", owner))
    if table is not None:
        attrs.append(("FRA_TABLE", table))
    if goto is not None:
        attrs.append(("FRA_GOTO", goto))
    if source is not None:
        m["src_len"] = 128
        attrs.append(("FRA_SRC", str(source)))
    if destination is not None:
        m["dst_len"] = 128
        attrs.append(("FRA_DST", str(destination)))
    if iif is not None:
        attrs.append(("FRA_IIFNAME", iif))
    if ip_protocol is not None:
        attrs.append(("FRA_IP_PROTO", ip_protocol))
    m["attrs"] = attrs
    return _finish(m, RTM_NEWRULE if add else RTM_DELRULE, _flags(add=add, replace=False))


def dump(kind: int, *, proxies: bool = False) -> bytes:
    """The request for everything of IPv6 that RTM_GETRULE, RTM_GETROUTE, ... names."""
    m = {
        RTM_GETRULE: fibmsg,
        RTM_GETROUTE: rtmsg,
        RTM_GETADDR: ifaddrmsg,
        RTM_GETNEIGH: ndmsg,
        RTM_GETADDRLABEL: ifaddrlblmsg,
    }[kind]()
    m["family"] = AF_INET6
    if proxies:
        m["flags"] = _NTF_PROXY
    return _finish(m, kind, NLM_F_DUMP)


def as_removal(kind: int, body: bytes) -> bytes:
    """The message that removes what a dump told: RTM_NEWx and its body."""
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind + 1, NLM_F_REQUEST | NLM_F_ACK, 0, 0) + body


def if_there(message: bytes) -> bytes:
    """A message that replaces a route, which the kernel refuses (ENOENT) instead of making a new one."""
    length, kind, flags, sequence, port = _HEADER.unpack_from(message)
    return _HEADER.pack(length, kind, flags & ~NLM_F_CREATE, sequence, port) + message[_HEADER.size :]


@compiled_once
def address(
    index: int,
    value: IPv6Address,
    *,
    prefix_length: int = 128,
    home: bool = False,
    prefix_route: bool = False,
    owner: int = OWNER_LIES,
    add: bool = True,
) -> bytes:
    """An address, usable at once (no duplicate address detection); home: RFC 6724 rule 4 prefers it."""
    m = ifaddrmsg()
    m["family"] = AF_INET6
    m["prefixlen"] = prefix_length
    m["index"] = index
    flags = _IFA_F_NODAD | (_IFA_F_HOMEADDRESS if home else 0) | (0 if prefix_route else _IFA_F_NOPREFIXROUTE)
    m["attrs"] = [
        ("IFA_LOCAL", str(value)),
        ("IFA_ADDRESS", str(value)),
        ("IFA_FLAGS", flags),
        ("IFA_PROTO", owner),
    ]
    return _finish(m, RTM_NEWADDR if add else RTM_DELADDR, _flags(add=add, replace=True))


@compiled_once
def neighbour(
    index: int,
    value: IPv6Address,
    lla: bytes | None = None,
    *,
    state: int = NUD_PERMANENT,
    proxy: bool = False,
    owner: int = OWNER_LIES,
    add: bool = True,
) -> bytes:
    """A neighbour entry (RFC 4861 section 5.1), or a proxy entry (we answer for it)."""
    m = ndmsg()
    m["family"] = AF_INET6
    m["ifindex"] = index
    m["state"] = 0 if proxy else state
    m["flags"] = _NTF_PROXY if proxy else 0
    attrs: list[tuple[str, Any]] = [("NDA_DST", str(value)), ("NDA_PROTOCOL", owner)]
    if lla is not None:
        attrs.append(("NDA_LLADDR", ":".join(f"{octet:02x}" for octet in lla)))
    m["attrs"] = attrs
    return _finish(m, RTM_NEWNEIGH if add else RTM_DELNEIGH, _flags(add=add, replace=True))


@compiled_once
def address_label(prefix: IPv6Network, label: int, *, index: int = 0, add: bool = True) -> bytes:
    """A label of the source address selection's policy table (RFC 6724 section 2.1); index 0: everywhere."""
    m = ifaddrlblmsg()
    m["index"] = index
    m["family"] = AF_INET6
    m["prefixlen"] = prefix.prefixlen
    m["attrs"] = [("IFAL_ADDRESS", str(prefix.network_address)), ("IFAL_LABEL", label)]
    return _finish(m, RTM_NEWADDRLABEL if add else RTM_DELADDRLABEL, _flags(add=add, replace=True))


def get_link(index: int) -> bytes:
    """The request for one link, for lies.kernel.netlink.Netlink.dump."""
    m = ifinfmsg()
    m["index"] = index
    return _finish(m, RTM_GETLINK, NLM_F_ACK)


def set_link(
    index: int,
    *,
    up: bool | None = None,
    master: int | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    queue: int | None = None,
) -> bytes:
    """A link's settings; master 0 takes it out of its bridge; queue: packets that its device keeps."""
    m = ifinfmsg()
    m["index"] = index
    attrs: list[tuple[str, Any]] = []
    if up is not None:
        m["change"] = _IFF_UP
        m["flags"] = _IFF_UP if up else 0
    if mac is not None:
        attrs.append(("IFLA_ADDRESS", mac))
    if mtu is not None:
        attrs.append(("IFLA_MTU", mtu))
    if queue is not None:
        attrs.append(("IFLA_TXQLEN", queue))
    if master is not None:
        attrs.append(("IFLA_MASTER", master))
    m["attrs"] = attrs
    return _finish(m, RTM_SETLINK, NLM_F_ACK)


def new_veth(
    name: str,
    peer: str,
    *,
    mac: str | None = None,
    peer_mac: str | None = None,
    index: int = 0,
    peer_index: int = 0,
    peer_netns_fd: int | None = None,
    mtu: int | None = None,
) -> bytes:
    """A veth pair; the peer may be born in another network namespace, given by a descriptor."""
    far = ifinfmsg()
    far["index"] = peer_index
    far_attrs: list[tuple[str, Any]] = [("IFLA_IFNAME", peer)]
    near_attrs: list[tuple[str, Any]] = [("IFLA_IFNAME", name)]
    if peer_mac is not None:
        far_attrs.append(("IFLA_ADDRESS", peer_mac))
    if mac is not None:
        near_attrs.append(("IFLA_ADDRESS", mac))
    if mtu is not None:
        far_attrs.append(("IFLA_MTU", mtu))
        near_attrs.append(("IFLA_MTU", mtu))
    if peer_netns_fd is not None:
        far_attrs.append(("IFLA_NET_NS_FD", peer_netns_fd))
    data = {"attrs": [("VETH_INFO_PEER", {"index": peer_index, "attrs": far_attrs})]}
    near_attrs.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}))
    m = ifinfmsg()
    m["index"] = index
    m["attrs"] = near_attrs
    return _finish(m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)


def new_bridge(name: str, *, mtu: int | None = None) -> bytes:
    """A bridge without spanning tree and without multicast snooping: what comes in goes out at once."""
    bridge = [("IFLA_BR_STP_STATE", 0), ("IFLA_BR_FORWARD_DELAY", 0), ("IFLA_BR_MCAST_SNOOPING", 0)]
    attrs: list[tuple[str, Any]] = [("IFLA_IFNAME", name)]
    if mtu is not None:
        attrs.append(("IFLA_MTU", mtu))
    info = [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": bridge})]
    attrs.append(("IFLA_LINKINFO", {"attrs": info}))
    m = ifinfmsg()
    m["attrs"] = attrs
    return _finish(m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)


def new_ip6tnl(name: str) -> bytes:
    """An ip6tnl device in external mode, up: routes say where packets go to, and all that comes is taken."""
    external = {"attrs": [("IFLA_IP6TNL_COLLECT_METADATA", None)]}
    info = [("IFLA_INFO_KIND", "ip6tnl"), ("IFLA_INFO_DATA", external)]
    m = ifinfmsg()
    m["change"] = m["flags"] = _IFF_UP
    m["attrs"] = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", {"attrs": info})]
    return _finish(m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)


def delete_link(index: int) -> bytes:
    """Remove a link."""
    m = ifinfmsg()
    m["index"] = index
    return _finish(m, RTM_DELLINK, NLM_F_ACK)
