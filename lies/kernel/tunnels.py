"""Tunnels as routes, on any kernel with seg6 light-weight tunnels.

`Decapsulator` puts packets into tunnels and opens those of named peers (lies.kernel.encapsulation chooses it,
or the one for kernels with ip6tnl); `Hold` keeps packets until they may go. Both use a veth pair of this
namespace as a way back into IPv6 input.
"""

import errno
import fcntl
import socket
import struct
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from socket import if_nametoindex
from typing import ClassVar

from attrs import frozen

from lies.errors import LiesError
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import read_sysctl, sysctl
from lies.kernel.precedence import PREFERENCE_FIRST, PREFERENCE_LOCAL, claim, claimants, release
from lies.kernel.template import Template

DEFAULT = IPv6Network("::/0")
TABLE_DECAPSULATE = 51840
PREFERENCE_DECAPSULATE = PREFERENCE_FIRST  # before the local table
PREFERENCE_INNER = 1  # an opened packet that may pass
PREFERENCE_INNER_ELSE = 2  # any other, also one to this host itself
_IN, _OUT = "lies-d0", "lies-d1"
GONE = m.GONE
_NEXT_HOP = IPv6Address("fd51:84d0::d")  # unique local: End.DX6 looks it up without an interface
_HOLD_NEXT_HOP = IPv6Address("fe80::5184:0:0")  # and twice the table's number
IPV6_IN_IPV6 = 41
_SIOCGIFHWADDR = 0x8927
_NOBODY = m.OWNER_ADMINISTRATOR  # what goes with its device


def host(address: IPv6Address) -> IPv6Network:
    """The /128 of an address."""
    return IPv6Network((address, 128))


def seg6_missing() -> str | None:
    """Why this kernel cannot do tunnels as routes, or None."""
    if not Path("/proc/sys/net/ipv6/conf/all/seg6_enabled").exists():
        return "this kernel has no seg6 (CONFIG_IPV6_SEG6_LWTUNNEL)"
    return None


def _let_pass(name: str) -> None:
    """Have packets forwarded that come in by an interface of ours, without making this host a router.

    Before Linux 6.17 the kernel forwards for all interfaces or for none, and whether it may for all is to be
    decided by whom this host belongs to: LiesError where it forwards nothing.
    """
    try:
        sysctl(f"ipv6/conf/{name}/force_forwarding", 1)
    except FileNotFoundError:
        if read_sysctl("ipv6/conf/all/forwarding") == "0":
            raise LiesError(
                "what waits while a link changes goes out as forwarded packets, and this host forwards none: "
                "set net.ipv6.conf.all.forwarding = 1, and then net.ipv6.conf.LINK.forwarding = 0 "
                "for each link on which it is to stay a host (Linux 6.17 needs neither)"
            ) from None


def _veth(netlink: Netlink, one: str, other: str) -> tuple[int, int]:
    """A veth pair of this namespace, up; made if it is not there."""
    try:
        if_nametoindex(one)
    except OSError:
        made = m.new_veth(one, other, mtu=65535)
        netlink.execute([made], ignore=(errno.EEXIST,))  # another consumer of this node was faster
    for name in (one, other):
        sysctl(f"ipv6/conf/{name}/accept_dad", 0)
        sysctl(f"ipv6/conf/{name}/accept_ra", 0)
        with suppress(FileNotFoundError):  # a kernel without seg6, whose tunnels are devices
            sysctl(f"ipv6/conf/{name}/seg6_enabled", 1)
        sysctl(f"ipv6/conf/{name}/forwarding", 1)
    first, second = if_nametoindex(one), if_nametoindex(other)
    # the far end first: an interface that has carrier when it comes up sends at once, without it the kernel
    # drops what is sent until it has noticed the carrier
    netlink.execute([m.set_link(second, up=True), m.set_link(first, up=True)])
    return first, second


class Decapsulator:
    """Opens IPv6-in-IPv6 packets for own end points, from named peers only (RFC 2473, RFC 6275 11.3.3).

    And says which route leads into a tunnel.

    The inner packet is sent through a veth pair back into IPv6 input, so that nested tunnels open one
    level at a time and every level is judged by its own rule. owner: of its rules; several owners in one
    namespace share the veth pair.
    """

    opened = _OUT  # the interface by which opened packets come in
    _opens: ClassVar[tuple[int | None, int | None]] = (TABLE_DECAPSULATE, None)  # a table, or rules to go to

    def __init__(self, netlink: Netlink, *, only_known_inner: bool, owner: int = m.OWNER_LIES) -> None:
        self._netlink = netlink
        self._owner = owner
        self._accept = {add: self._accepting(add=add) for add in (True, False)}
        self._forward = {add: _forwarding(self.opened, owner, add=add) for add in (True, False)}
        self._else = {
            add: m.rule(PREFERENCE_INNER_ELSE, table=None, iif=self.opened, owner=owner, add=add)
            for add in (True, False)
        }
        try:
            claim(netlink, owner)
            if only_known_inner:
                netlink.execute([self._else[True]], ignore=(errno.EEXIST,))
            self._prepare()
        except BaseException:
            self.close()
            raise

    def towards(
        self,
        destination: IPv6Network,
        peer: IPv6Address,
        *,
        local: IPv6Address,
        oif: int,
        table: int = m.TABLE_MAIN,
        mtu: int | None = None,
    ) -> bytes:
        """Message for the route that puts packets to a destination into a tunnel from `local` to `peer`.

        oif: the interface by which the tunnel's own packets leave. mtu of the inner packets, in octets.
        """
        del local  # the kernel chooses, by tunnel_source or because there is one address only
        return m.route(destination, oif=oif, encap=peer, table=table, mtu=mtu, owner=self._owner)

    def device(self, oif: str) -> str:
        """The interface that routes into tunnels lead to, where `oif` is that of the tunnel's own packets."""
        return oif

    def guard(self, endpoint: IPv6Address) -> list[bytes]:
        """Messages that have tunnels to an own address refused, but for those that `accept` names."""
        del endpoint  # nothing opens a tunnel that has not been accepted
        return []

    def accept(self, endpoint: IPv6Address, peer: IPv6Address, *, add: bool = True) -> bytes:
        """Message that opens (add) or no longer opens packets from `peer` to our address `endpoint`."""
        return self._accept[add](peer, endpoint)

    def forward_inner(self, source: IPv6Address, *, add: bool = True) -> bytes:
        """Message that lets opened packets with this inner source pass on (where only_known_inner).

        All others are dropped, whether they are for this host or for another (RFC 6275 section 10.4.5).
        """
        return self._forward[add](source)

    def forward_inner_to(self, destination: IPv6Address, *, add: bool = True) -> bytes:
        """Message that lets opened packets to this inner destination pass on, whoever sent them."""
        return m.rule(
            PREFERENCE_INNER,
            goto=PREFERENCE_LOCAL,
            destination=destination,
            iif=self.opened,
            owner=self._owner,
            add=add,
        )

    def close(self) -> None:
        """Remove what the constructor made, unless another owner has a decapsulator here."""
        self._netlink.execute([self._else[False]], ignore=GONE)
        release(self._netlink, self._owner)
        if not claimants(self._netlink):
            self._remove()

    def _accepting(self, *, add: bool) -> Template:
        table, goto = self._opens

        def build(peer: IPv6Address, endpoint: IPv6Address) -> bytes:
            return m.rule(
                PREFERENCE_DECAPSULATE,
                table=table,
                goto=goto,
                source=peer,
                destination=endpoint,
                ip_protocol=IPV6_IN_IPV6,
                owner=self._owner,
                add=add,
            )

        return Template(build, IPv6Address, IPv6Address)

    def _prepare(self) -> None:
        index, _ = _veth(self._netlink, _IN, _OUT)
        self._netlink.execute(
            [
                m.route(host(_NEXT_HOP), oif=index, owner=_NOBODY),
                m.neighbour(index, _NEXT_HOP, link_address(_OUT), owner=_NOBODY),
                m.route(DEFAULT, table=TABLE_DECAPSULATE, oif=index, decap_to=_NEXT_HOP, owner=_NOBODY),
            ],
            ignore=(errno.EEXIST,),
        )

    def _remove(self) -> None:
        remove_device(self._netlink, _IN)


@frozen
class Lane:
    """One routing table's place in a hold; finished messages, run in this order, `GONE` is no error.

    take: what goes by the table's default route waits from now on. let_go: what waits goes; what comes until
    the table has another route waits for that, so that it does not overtake. forget: what waits is dropped.
    """

    take: tuple[bytes, ...]
    let_go: tuple[bytes, ...]
    forget: tuple[bytes, ...]


class Hold:
    """Keeps packets in the kernel's own neighbour queues until they may go, in order; one lane per table.

    Letting go gives a lane's next hop a link-layer address, whereupon the kernel sends what waits through the
    veth pair back into IPv6 input (interface `out_name`). octets: how much may wait in one lane. names: of
    the pair, which one owner has for itself. LiesError on a host that forwards nothing at all.
    """

    def __init__(
        self,
        netlink: Netlink,
        *,
        octets: int,
        names: tuple[str, str] = ("lies-h0", "lies-h1"),
        owner: int = m.OWNER_LIES,
    ) -> None:
        self._netlink = netlink
        self._owner = owner
        self._in_name, self.out_name = names
        self._index, _ = _veth(netlink, *names)
        try:
            _let_pass(self.out_name)
        except LiesError:
            self.close()
            raise
        sysctl(f"ipv6/neigh/{self._in_name}/unres_qlen_bytes", octets)
        self._out_address = link_address(self.out_name)

    def lane(self, table: int, drain: int | None = None) -> Lane:
        """The lane of a routing table.

        drain: the table of what comes out. While the lane is taken that too leads into it: a packet of
        another lane that went into a tunnel, whose own packets are of this one. Who lets go sets it first.

        It has two next hops. While the kernel empties the first one's queue, it sends at once what comes
        anew: that takes the second one, whose queue stays short.
        """
        index, first, owner = self._index, _HOLD_NEXT_HOP + 2 * table, self._owner
        hops = (first, first + 1)
        to_first, to_second = (m.route(DEFAULT, table=table, oif=index, via=hop, owner=owner) for hop in hops)
        again = [] if drain is None else [m.route(DEFAULT, table=drain, oif=index, via=first, owner=owner)]
        # INCOMPLETE by our word: the kernel asks nobody and gives up never
        shut = (m.neighbour(index, hop, state=m.NUD_INCOMPLETE, owner=owner) for hop in hops)
        opened = (m.neighbour(index, hop, self._out_address, owner=owner) for hop in hops)
        return Lane(
            take=(*shut, *again, to_first),
            let_go=(to_second, *opened),
            forget=tuple(m.neighbour(index, hop, owner=owner, add=False) for hop in hops),
        )

    def close(self) -> None:
        """Remove the veth pair, and with it what waits."""
        remove_device(self._netlink, self._in_name)


def link_address(name: str) -> bytes:
    """The MAC address of an interface of this namespace (sysfs would show another namespace's)."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s24x", name.encode())
        answer = fcntl.ioctl(any_socket, _SIOCGIFHWADDR, request)
    return answer[18:24]


def _forwarding(opened: str, owner: int, *, add: bool) -> Template:
    def build(source: IPv6Address) -> bytes:
        return m.rule(
            PREFERENCE_INNER, goto=PREFERENCE_LOCAL, source=source, iif=opened, owner=owner, add=add
        )

    return Template(build, IPv6Address)


def remove_device(netlink: Netlink, name: str) -> None:
    """Remove an interface of this namespace, if it is there."""
    try:
        index = if_nametoindex(name)
    except OSError:
        return
    netlink.execute([m.delete_link(index)], ignore=GONE)
