"""The testbed's namespaces: who reaches whom by packets, names and addresses, and that nothing is left."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from descriptors import open_descriptors
from netns_kit import ip
from polling import wait_until

from lies.errors import NotPermitted
from lies.kernel.netns import entered
from lies.testbed import topology as t

ROUTERS = 4
PORT = 7001
IPV6_RECVERR = 25  # linux/in6.h


@pytest.fixture(scope="module")
def net() -> Iterator[t.Topology]:
    """A testbed of four routers."""
    net = t.Topology(ROUTERS)
    yield net
    net.close()


def _listeners(net: t.Topology, stack: ExitStack) -> dict[str, tuple[IPv6Address, socket.socket]]:
    """A UDP socket in every node that has a global address, bound to it."""
    nodes = {r.name: r.address for r in net.routers} | {"ha": t.HOME_AGENT, "cn": t.CORRESPONDENT}
    found = {}
    for name, address in nodes.items():
        with entered(net.descriptor(name)):
            sock = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            sock.setblocking(False)
            sock.bind((str(address), PORT))
            found[name] = (address, sock)
    return found


def _heard(sock: socket.socket) -> set[bytes]:
    found = set()
    while True:
        try:
            found.add(sock.recv(2048))
        except BlockingIOError:
            return found


@pytest.mark.netns
def test_every_router_home_agent_and_correspondent_reach_each_other(net: t.Topology) -> None:
    """A datagram gets from each of them to each other one, its source being the node's global address."""
    with ExitStack() as stack:
        nodes = _listeners(net, stack)
        heard: dict[str, set[bytes]] = {name: set() for name in nodes}

        def everybody_heard_everybody() -> bool:
            for name, (_, sock) in nodes.items():
                for other, (address, _) in nodes.items():
                    if other != name and name.encode() not in heard[other]:
                        sock.sendto(name.encode(), (str(address), PORT))
            for name, (_, sock) in nodes.items():
                heard[name] |= _heard(sock)
            return all(len(heard[name]) == len(nodes) - 1 for name in nodes)

        wait_until(everybody_heard_everybody, 20)


@pytest.mark.netns
def test_a_full_packet_with_three_headers_crosses_the_backbone(net: t.Topology) -> None:
    """The backbone's MTU carries 1,500 octets in three more IPv6 headers without fragmenting."""
    with ExitStack() as stack:
        nodes = _listeners(net, stack)
        (_, here), (there, sock) = nodes["ar1"], nodes["ar2"]
        here.setsockopt(socket.IPPROTO_IPV6, getattr(socket, "IPV6_DONTFRAG", 62), 1)
        data = bytes(1500 + 3 * 40 - 48)

        def arrived() -> bool:
            here.sendto(data, (str(there), PORT))
            return data in _heard(sock)

        wait_until(arrived, 20)


@pytest.mark.netns
def test_an_unregistered_home_address_is_unreachable(net: t.Topology) -> None:
    """Before any binding the home agent tells the correspondent that the home address cannot be reached."""
    with entered(net.descriptor("cn")), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        sock.connect((str(t.HOME_ADDRESS), PORT))
        sock.setblocking(False)

        def refused() -> bool:
            try:
                sock.send(b"hello")
                sock.recv(100)
            except BlockingIOError:
                return False
            except OSError as error:
                return error.errno == errno.ENETUNREACH
            return False

        wait_until(refused, 20)


@pytest.mark.netns
def test_names_and_addresses_are_as_documented(net: t.Topology) -> None:
    """Interfaces, MAC addresses and global addresses of every node are those of lies.testbed.topology."""
    for router in net.routers:
        with entered(net.descriptor(router.name)):
            links = "\n".join(ip("-o", "link", "show"))
            assert f"link/ether {t.mac_text(router.access_mac)}" in links
            assert f"link/ether {t.mac_text(router.backbone_mac)}" in links
            assert any(
                f" {router.address}/64 " in line for line in ip("-6", "-o", "addr", "show", "dev", "ap")
            )
            backbone = ip("-6", "-o", "addr", "show", "dev", "bb")
            assert any(f" {router.backbone_address}/64 " in line for line in backbone)
    with entered(net.descriptor("mn")):
        (node,) = ip("-o", "link", "show", "dev", t.MOBILE_LINK)
        assert f"link/ether {t.mac_text(t.MOBILE_MAC)}" in node
        assert not [line for line in ip("-6", "-o", "addr", "show") if "2001:" in line]
    with entered(net.descriptor("radio")):
        names = {line.split()[1].rstrip(":").partition("@")[0] for line in ip("-o", "link", "show")}
        assert names >= {"mn", *(f"air{r.number}" for r in net.routers), *(r.name for r in net.routers)}


@pytest.mark.netns
def test_the_mobile_node_begins_attached_to_nothing(net: t.Topology) -> None:
    """Until a driver moves the port it is in no bridge."""
    with entered(net.descriptor("radio")):
        (port,) = ip("-d", "-o", "link", "show", "dev", "mn")
    assert " master " not in port


@pytest.mark.netns
def test_a_delayed_backbone_is_cut_where_the_delay_line_goes() -> None:
    """With a delay line to come, home agent and routers do not reach each other, the routers do."""
    net = t.Topology(2, delayed_backbone=True)
    try:
        with ExitStack() as stack:
            nodes = _listeners(net, stack)
            heard: set[bytes] = set()

            def routers_reach_each_other() -> bool:
                for name in ("ar1", "ha"):
                    nodes[name][1].sendto(name.encode(), (str(nodes["ar2"][0]), PORT))
                heard.update(_heard(nodes["ar2"][1]))
                return b"ar1" in heard

            wait_until(routers_reach_each_other, 20)
            assert heard == {b"ar1"}
    finally:
        net.close()


def test_64_routers_have_64_of_everything() -> None:
    """Prefix, addresses, MAC addresses and PoAs of up to 64 routers are all different."""
    routers = [t.Router(n) for n in range(1, t.MAX_ROUTERS + 1)]
    for what in ("name", "prefix", "address", "access_mac", "backbone_mac", "backbone_address", "bssid"):
        assert len({getattr(r, what) for r in routers}) == 64
    macs = {r.access_mac for r in routers} | {r.backbone_mac for r in routers}
    assert len(macs | {t.MOBILE_MAC, t.HOME_BACKBONE_MAC}) == 130
    assert not [r for r in routers if r.prefix in (t.HOME_PREFIX, t.CORRESPONDENT_PREFIX)]


@pytest.mark.parametrize("routers", [0, -1, 65])
def test_more_or_fewer_routers_are_refused(routers: int) -> None:
    """A testbed has 1 to 64 routers."""
    with pytest.raises(ValueError, match=r"1\.\.64 access routers"):
        t.Topology(routers)


@pytest.mark.netns
@pytest.mark.parametrize("routers", [1, 64])
def test_the_limits_can_be_built_and_leave_nothing(routers: int) -> None:
    """Testbeds of 1 and of 64 routers come up; closed, no namespace and no descriptor of them is left."""
    descriptors = open_descriptors()
    net = t.Topology(routers)
    names = ["cn", "ha", "core", "radio", "mn", *(f"ar{n + 1}" for n in range(routers))]
    inodes = {os.fstat(net.descriptor(name)).st_ino for name in names}
    assert len(inodes) == 5 + routers
    with entered(net.path("ha")):
        assert len([line for line in ip("-6", "route") if " dev bb " in line and "via" in line]) == routers
    net.close()
    net.close()  # twice is once
    assert open_descriptors() == descriptors
    assert not inodes & _namespaces()


def _namespaces() -> set[int]:
    """Network namespaces that this process is in or holds open; others' may get the same numbers."""
    found = set()
    for path in [*Path("/proc/self/task").glob("*/ns/net"), *Path("/proc/self/fd").iterdir()]:
        try:
            if path.parent.name == "ns" or str(path.readlink()).startswith("net:["):
                found.add(path.stat().st_ino)
        except OSError:
            continue
    return found


@pytest.mark.netns
def test_a_testbed_that_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while building closes every namespace that was made."""
    made: list[int] = []

    def fails(net: t.Topology) -> None:
        made.extend(os.fstat(net.descriptor(n)).st_ino for n in ("cn", "ha", "ar2"))
        raise OSError("no more")

    monkeypatch.setattr(t.Topology, "_build_home_agent", fails)
    descriptors = open_descriptors()
    with pytest.raises(OSError, match="no more"):
        t.Topology(2)
    assert open_descriptors() == descriptors
    assert not set(made) & _namespaces()


def test_without_namespaces_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where namespaces are refused or the kernel lacks seg6, NotPermitted says what to do; exit code 5."""

    def refuses() -> int:
        raise NotPermitted("network namespaces are not allowed here: run as root")

    monkeypatch.setattr(t, "new_namespace", refuses)
    with pytest.raises(NotPermitted, match="run as root") as caught:
        t.Topology(2)
    assert caught.value.exit_code == 5
    monkeypatch.setattr(t, "seg6_missing", lambda: "this kernel has no seg6")
    with pytest.raises(NotPermitted, match="the testbed cannot be built: this kernel has no seg6"):
        t.Topology(2)
