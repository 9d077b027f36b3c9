"""The testbed of RFC 5184 appendix E in network namespaces: who is connected to whom, with which addresses.

    cn --- ha ---[ core: bridge ]--- ar1 ... arN        backbone, link-local next hops
                                      |       |
                 [ radio: one bridge per access point, and the mobile node's port ]
                                      :
                                      mn ---- cell ---- core     (with a cellular link only)

Every router has one global address, on its access side, so that whatever it sends has that source.
Nothing here moves: moving the port is the radio driver's business (lies.testbed.port).
"""

import os
import socket
from ipaddress import IPv6Address, IPv6Network

from attrs import frozen

from lies.errors import NotPermitted
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered, new_namespace, sysctl
from lies.kernel.offload import complete_checksums
from lies.kernel.tunnels import DEFAULT, seg6_missing

ACCESS_MTU = 1500
BACKBONE_MTU = 1700  # three levels of encapsulation beside a full packet
HOME_PREFIX = IPv6Network("2001:db8:1000::/64")
HOME_AGENT = IPv6Address("2001:db8:1000::1")
HOME_ADDRESS = IPv6Address("2001:db8:1000::99")
CORRESPONDENT_PREFIX = IPv6Network("2001:db8:2000::/64")
CORRESPONDENT = IPv6Address("2001:db8:2000::2")
MOBILE_MAC = bytes.fromhex("020000009900")
MOBILE_INTERFACE_ID = 0x0000_00FF_FE00_9900  # of that address (RFC 4291 appendix A)
MOBILE_LINK = "wlan0"
MAX_ROUTERS = 64
CELL_LINK = "wwan0"
CELL_MAC = bytes.fromhex("020000009901")
_OWNER = m.OWNER_ADMINISTRATOR  # no consumer's: what is here before them and after them


@frozen
class Router:
    """One access router with its access point; number counts from 1."""

    number: int

    @property
    def name(self) -> str:
        """Name of its namespace."""
        return f"ar{self.number}"

    @property
    def prefix(self) -> IPv6Network:
        """The subnet of its access link."""
        return IPv6Network((int(IPv6Address("2001:db8::")) | self.number << 64, 64))

    @property
    def address(self) -> IPv6Address:
        """Its global address, ::1 in its prefix."""
        return self.prefix[1]

    @property
    def access_mac(self) -> bytes:
        """MAC address of the access interface."""
        return bytes((2, 0, 0, 0, 2, self.number))

    @property
    def backbone_mac(self) -> bytes:
        """MAC address of the backbone interface."""
        return bytes((2, 0, 0, 0, 3, self.number))

    @property
    def backbone_address(self) -> IPv6Address:
        """Its link-local address on the backbone."""
        return IPv6Address(f"fe80::3:{self.number:x}")

    @property
    def bssid(self) -> str:
        """The PoA of its access point."""
        return mac_text(bytes((2, 0, 0, 0, 1, self.number)))


@frozen
class CellRouter(Router):
    """The router of the cellular network; what is no access point's has no PoA."""

    @property
    def name(self) -> str:
        """Name of its namespace."""
        return "cell"

    @property
    def node_address(self) -> IPv6Address:
        """The mobile node's address on its link."""
        return self.prefix[0x99]


HOME_BACKBONE_ADDRESS = IPv6Address("fe80::4:1")
HOME_BACKBONE_MAC = bytes((2, 0, 0, 0, 4, 1))


def mac_text(mac: bytes) -> str:
    """aa:bb:cc:dd:ee:ff."""
    return ":".join(f"{octet:02x}" for octet in mac)


class Topology:
    """The namespaces of a testbed with N access routers; cellular: and the mobile node has a second link.

    They live as long as this object or a process in them.

    Raises NotPermitted where namespaces may not be made or the kernel lacks what tunnels need.
    """

    def __init__(self, routers: int, *, delayed_backbone: bool = False, cellular: bool = False) -> None:
        if not 1 <= routers <= MAX_ROUTERS:
            raise ValueError(f"1..{MAX_ROUTERS} access routers, not {routers}")
        if (missing := seg6_missing()) is not None:
            raise NotPermitted(f"the testbed cannot be built: {missing}")
        self.routers = tuple(Router(n + 1) for n in range(routers))
        self.cell = CellRouter(routers + 1) if cellular else None
        self._all = (*self.routers, *([self.cell] if self.cell is not None else []))
        self.delayed_backbone = delayed_backbone
        names = ["cn", "ha", "core", "radio", "mn", *(r.name for r in self._all)]
        self._descriptors: dict[str, int] = {}
        try:
            for name in names:
                self._descriptors[name] = new_namespace()
            self._build()
        except BaseException:
            self.close()
            raise

    def descriptor(self, name: str) -> int:
        """The namespace's descriptor."""
        return self._descriptors[name]

    def path(self, name: str) -> str:
        """A path by which this process's children and same-user processes can open the namespace."""
        return f"/proc/{os.getpid()}/fd/{self._descriptors[name]}"

    def close(self) -> None:
        """Let go of the namespaces; the kernel removes each with its last user."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _build(self) -> None:
        hosts = {"core", "radio", "cn"}
        for name, descriptor in self._descriptors.items():  # first, so that every interface is born quiet
            with entered(descriptor):
                _quiet_defaults(host_only=name in hosts)
        with entered(self.descriptor("core")):
            self._build_core()
        with entered(self.descriptor("radio")):
            self._build_radio()
        with entered(self.descriptor("ha")):
            self._build_home_agent()
        with entered(self.descriptor("cn")):
            self._build_correspondent()
        for router in self._all:
            with entered(self.descriptor(router.name)):
                if router is self.cell:
                    self._build_cell()
                self._build_router(router)
        with entered(self.descriptor("mn")):
            self._build_mobile_node()

    def _build_core(self) -> None:
        netlink = Netlink()
        netlink.execute([m.new_bridge("bb", mtu=BACKBONE_MTU)])
        home_bridge = "bb"
        if self.delayed_backbone:
            netlink.execute([m.new_bridge("home", mtu=BACKBONE_MTU)])
            netlink.execute(
                [
                    m.new_veth("dl-home", "dl-home-in", mtu=BACKBONE_MTU),
                    m.new_veth("dl-bb", "dl-bb-in", mtu=BACKBONE_MTU),
                ]
            )
            home_bridge = "home"
        ha = m.new_veth(
            "ha",
            "bb",
            peer_mac=mac_text(HOME_BACKBONE_MAC),
            peer_netns_fd=self.descriptor("ha"),
            index=100,
            peer_index=10,
            mtu=BACKBONE_MTU,
        )
        routers = [
            m.new_veth(
                r.name,
                "bb",
                peer_mac=mac_text(r.backbone_mac),
                peer_netns_fd=self.descriptor(r.name),
                index=100 + r.number,
                peer_index=10,
                mtu=BACKBONE_MTU,
            )
            for r in self._all
        ]
        netlink.execute([ha, *routers])
        bridge, home = socket.if_nametoindex("bb"), socket.if_nametoindex(home_bridge)
        ports = [(100, home)] + [(100 + r.number, bridge) for r in self._all]
        if self.delayed_backbone:
            ports += [(socket.if_nametoindex("dl-home"), home), (socket.if_nametoindex("dl-bb"), bridge)]
            alone = [socket.if_nametoindex(n) for n in ("dl-home-in", "dl-bb-in")]
            netlink.execute([m.set_link(index, up=True) for index in alone])
        netlink.execute([m.set_link(index, master=master, up=True) for index, master in ports])
        netlink.execute([m.set_link(index, up=True) for index in {bridge, home}])
        netlink.close()

    def _build_radio(self) -> None:
        netlink = Netlink()
        for r in self.routers:
            netlink.execute([m.new_bridge(f"air{r.number}", mtu=BACKBONE_MTU)])
            netlink.execute(
                [
                    m.new_veth(
                        r.name,
                        "ap",
                        peer_mac=mac_text(r.access_mac),
                        peer_netns_fd=self.descriptor(r.name),
                        index=200 + r.number,
                        peer_index=20,
                        mtu=BACKBONE_MTU,
                    )
                ]
            )
            air = socket.if_nametoindex(f"air{r.number}")
            netlink.execute([m.set_link(200 + r.number, master=air, up=True), m.set_link(air, up=True)])
        netlink.execute(
            [
                m.new_veth(
                    "mn",
                    MOBILE_LINK,
                    peer_mac=mac_text(MOBILE_MAC),
                    peer_netns_fd=self.descriptor("mn"),
                    index=199,
                    peer_index=30,
                    mtu=BACKBONE_MTU,
                )
            ]
        )
        netlink.close()

    def _build_home_agent(self) -> None:
        netlink = Netlink()
        netlink.execute(
            [
                m.new_veth(
                    "cn",
                    "eth0",
                    peer_netns_fd=self.descriptor("cn"),
                    index=20,
                    peer_index=11,
                    mtu=ACCESS_MTU,
                )
            ]
        )
        bb, cn = 10, 20
        netlink.execute(
            [
                m.set_link(bb, up=True),
                m.set_link(cn, up=True),
                m.address(bb, HOME_BACKBONE_ADDRESS, prefix_length=64, prefix_route=True, owner=_OWNER),
                m.address(bb, HOME_AGENT, owner=_OWNER),
                m.address(cn, CORRESPONDENT_PREFIX[1], prefix_length=64, prefix_route=True, owner=_OWNER),
                m.route(HOME_PREFIX, kind="unreachable", oif=1, owner=_OWNER),
            ]
        )
        for r in self._all:
            netlink.execute(_reach(bb, r.prefix, r.backbone_address, r.backbone_mac))
        netlink.close()

    def _build_correspondent(self) -> None:
        complete_checksums("eth0")
        netlink = Netlink()
        netlink.execute(
            [
                m.set_link(11, up=True),
                m.address(11, CORRESPONDENT, prefix_length=64, prefix_route=True, owner=_OWNER),
                m.route(DEFAULT, oif=11, via=CORRESPONDENT_PREFIX[1], owner=_OWNER),
            ]
        )
        netlink.close()

    def _build_cell(self) -> None:
        """The link to the mobile node, which is the access side of the cellular router."""
        netlink = Netlink()
        netlink.execute(
            [
                m.new_veth(
                    "ap",
                    CELL_LINK,
                    mac=mac_text(self.cell.access_mac) if self.cell is not None else None,
                    peer_mac=mac_text(CELL_MAC),
                    peer_netns_fd=self.descriptor("mn"),
                    index=20,
                    peer_index=31,
                    mtu=BACKBONE_MTU,
                )
            ]
        )
        netlink.close()

    def _build_router(self, router: Router) -> None:
        netlink = Netlink()
        bb, ap = 10, 20
        netlink.execute(
            [
                m.set_link(bb, up=True),
                m.set_link(ap, up=True),
                m.address(bb, router.backbone_address, prefix_length=64, prefix_route=True, owner=_OWNER),
                m.address(ap, router.address, prefix_length=64, prefix_route=True, owner=_OWNER),
            ]
        )
        for other in self._all:
            if other.number != router.number:
                netlink.execute(_reach(bb, other.prefix, other.backbone_address, other.backbone_mac))
        netlink.execute(_reach(bb, DEFAULT, HOME_BACKBONE_ADDRESS, HOME_BACKBONE_MAC))
        netlink.close()

    def _build_mobile_node(self) -> None:
        complete_checksums(MOBILE_LINK)
        sysctl(f"ipv6/conf/{MOBILE_LINK}/forwarding", 0)
        netlink = Netlink()
        netlink.execute([m.set_link(30, up=True)])
        if self.cell is not None:
            complete_checksums(CELL_LINK)
            sysctl(f"ipv6/conf/{CELL_LINK}/forwarding", 0)
            own = self.cell.node_address
            link = [m.set_link(31, up=True)]
            netlink.execute([*link, m.address(31, own, prefix_length=64, prefix_route=True, owner=_OWNER)])
        netlink.close()


def _reach(index: int, prefix: IPv6Network, via: IPv6Address, mac: bytes) -> list[bytes]:
    return [
        m.neighbour(index, via, mac, owner=_OWNER),
        m.route(prefix, oif=index, via=via, owner=_OWNER),
    ]


def _quiet_defaults(*, host_only: bool) -> None:
    """Loopback up; no duplicate address detection and no advertisements by the kernel."""
    netlink = Netlink()
    netlink.execute([m.set_link(1, up=True)])
    netlink.close()
    for which in ("all", "default"):
        sysctl(f"ipv6/conf/{which}/accept_dad", 0)
        sysctl(f"ipv6/conf/{which}/dad_transmits", 0)
        sysctl(f"ipv6/conf/{which}/accept_ra", 0)
        sysctl(f"ipv6/conf/{which}/router_solicitations", 0)
        sysctl(f"ipv6/conf/{which}/seg6_enabled", 1)
        if not host_only:
            sysctl(f"ipv6/conf/{which}/forwarding", 1)
