"""The route netlink driver on the kernel's own links: every change seen, none invented."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from netns_kit import elsewhere, ip, namespace, netlink, wire
from polling import wait_until
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from rtnetlink_kit import LinksHost, dellink, following, newlink
from tools import die_with_parent

from lies.events import LinkStatusChanged, Quality, Technology
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies_rtnetlink import Rtnetlink
from lies_rtnetlink.messages import LinkTold, dump_request, read

pytestmark = pytest.mark.netns

FLAPS, BURST = 50, 10
NEAR = "port:near"


@pytest.fixture
def kernel() -> Iterator[Netlink]:
    """A namespace with the wire near - far, up."""
    with namespace(), netlink() as kernel:
        wire(kernel, "near", "far")
        yield kernel


def follow(scene: Callable[[LinksHost, Rtnetlink], Coroutine[Any, Any, None]], **options: Any) -> LinksHost:
    """Play a scene with a driver that follows this namespace."""

    async def play() -> LinksHost:
        async with following(**options) as (host, driver):
            await scene(host, driver)
            return host

    return asyncio.run(play())


def set_link(kernel: Netlink, name: str, **settings: Any) -> None:
    """Change a link's settings."""
    kernel.execute([m.set_link(socket.if_nametoindex(name), **settings)])


@pytest.mark.usefixtures("kernel")
def test_links_that_are_there(kernel: Netlink) -> None:
    """At the start every interface is a link with its state and speed; loopback and LIES' own are none."""
    wire(kernel, "lies-x0", "lies-x1")
    kernel.execute([m.set_link(socket.if_nametoindex("far"), up=False)])
    ip("tuntap", "add", "tun0", "mode", "tun")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        assert {link.name: link.technology for link in host.added} == {
            "near": Technology.ETHERNET,
            "far": Technology.ETHERNET,
            "tun0": Technology.OTHER,
        }
        assert host.story() == []
        set_link(kernel, "far", up=True)
        near, far = host.ports["near"].entity, host.ports["far"].entity
        await host.wait(lambda: near.status.condition.bandwidth_mbps is not None and far.status.up)
        assert near.status.condition.quality is Quality.EXCELLENT
        assert near.status.condition.bandwidth_mbps == 10_000  # what veth says of itself
        assert any(isinstance(i, LinkStatusChanged) for i in host.indications)

    follow(scene)


def test_only_what_is_named(kernel: Netlink) -> None:
    """Patterns choose links, also of those that come later."""

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        wire(kernel, "nearby", "nearly")
        await host.wait(lambda: "nearby" in host.served and host.ports["nearby"].entity.status.up)
        assert host.served == {"near", "nearby"}

    follow(scene, interfaces=("near*",), ignore=("*ly",))


def test_carrier_and_set_down(kernel: Netlink) -> None:
    """Each end knows why it went down: its own command, or the carrier that was lost by the other's."""

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for name, up in (("far", False), ("far", True), ("near", False), ("near", True)):
            before = len(host.story())
            set_link(kernel, name, up=up)
            await host.wait(lambda before=before: len(host.story()) == before + 2)  # type: ignore[misc]  # a default is no argument here

    host = follow(scene)
    assert host.story("near") == [
        ("up", NEAR),
        ("down", NEAR, "carrier"),
        ("up", NEAR),
        ("down", NEAR, "admin_down"),
        ("up", NEAR),
    ]
    assert host.story("far")[1] == ("down", "port:far", "admin_down")
    assert host.story("far")[3] == ("down", "port:far", "carrier")


def test_an_interface_without_operational_state(kernel: Netlink) -> None:
    """One that does not know its operational state (dummy, ifb) is up while it is set up."""
    kind = (
        "dummy"
        if subprocess.run(("ip", "link", "add", "d0", "type", "dummy"), check=False).returncode == 0
        else "ifb"
    )
    if kind == "ifb":
        ip("link", "add", "d0", "type", "ifb")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for up in (True, False, True):
            set_link(kernel, "d0", up=up)
        await host.wait(lambda: len(host.story("d0")) == 3)

    assert follow(scene).story("d0") == [
        ("up", "port:d0"),
        ("down", "port:d0", "admin_down"),
        ("up", "port:d0"),
    ]


def test_hot_plug_and_removal_while_up(kernel: Netlink) -> None:
    """A link comes, is up, and is removed while up: one Down, and the link is forgotten; again and again."""

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for _ in range(5):
            wire(kernel, "plug", "socket")
            await host.wait(lambda: host.story("plug")[-1:] == [("up", "port:plug")])
            kernel.execute([m.delete_link(socket.if_nametoindex("plug"))])
            await host.wait(lambda: host.served == {"near", "far"})

    story = follow(scene).story("plug")
    assert len(story) == 10
    # Removal begins with setting down: whoever reads that before the kernel goes on knows no more.
    assert {line[0] if line[0] == "up" else line[2] for line in story} <= {"up", "removed", "admin_down"}
    assert all(line[0] == ("up", "down")[n % 2] for n, line in enumerate(story))


def test_renamed_while_up(kernel: Netlink) -> None:
    """The old name is a link no more, the new one is up; and back."""

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        ip("link", "property", "add", "dev", "near", "altname", "other")
        for before, after in (("near", "lan0"), ("lan0", "near")):
            set_link(kernel, before, up=False)
            ip("link", "set", before, "name", after)
            set_link(kernel, after, up=True)
            await host.wait(lambda after=after: after in host.served and host.ports[after].entity.status.up)  # type: ignore[misc]  # a default is no argument here
            assert host.served == {after, "far"}

    host = follow(scene)
    assert host.story("lan0") == [("up", "port:lan0"), ("down", "port:lan0", "admin_down")]
    assert host.story("near") == [("up", NEAR), ("down", NEAR, "admin_down"), ("up", NEAR)]


def test_moved_to_another_namespace_and_back(kernel: Netlink) -> None:
    """There it is none of ours; when it comes back it is a new link."""

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        with elsewhere() as there:
            ip("link", "set", "near", "netns", f"/proc/{os.getpid()}/fd/{there}")
            await host.wait(lambda: host.served == {"far"})
            with entered(there), netlink() as other:
                set_link(other, "near", up=True)
            await host.wait(lambda: host.story("far")[-1] == ("up", "port:far"))
            with entered(there):
                ip("link", "set", "near", "netns", f"/proc/{os.getpid()}/fd/{home}")
            await host.wait(lambda: "near" in host.served)
            set_link(kernel, "near", up=True)
            await host.wait(lambda: host.story("near")[-1] == ("up", NEAR))

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        story = follow(scene).story("near")
    finally:
        os.close(home)
    assert [line[0] for line in story] == ["up", "down", "up"]
    assert story[1][2] in {"removed", "admin_down"}


def test_a_port_of_a_bridge(kernel: Netlink) -> None:
    """Its PoA is the bridge as `ip -d link` names it; in, carrier lost and back, out again."""
    kernel.execute([m.new_bridge("br0")])
    set_link(kernel, "br0", mac="02:00:00:00:00:01", up=True)
    bridge = socket.if_nametoindex("br0")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        async def until(*last: str) -> None:
            await host.wait(lambda: host.story("near")[-1] == last)

        set_link(kernel, "near", master=bridge)
        poa = "8000.02:00:00:00:00:01"
        await until("up", poa)
        (shown,) = [line for line in ip("-d", "link", "show", "near") if "designated_bridge" in line]
        words = shown.split()
        assert words[words.index("designated_bridge") + 1].replace("8000.2:0:0:0:0:1", poa) == poa
        set_link(kernel, "far", up=False)
        await until("down", poa, "carrier")
        set_link(kernel, "far", up=True)
        await until("up", poa)
        set_link(kernel, "near", master=0)
        await until("up", NEAR)

    story = follow(scene).story("near")
    poa = "8000.02:00:00:00:00:01"
    assert [line[:2] for line in story] == [
        (word, where) for where in (NEAR, poa, poa, NEAR) for word in ("up", "down")
    ][:-1]
    assert story[1] == ("down", NEAR, "admin_down")


def test_flaps_in_bursts(kernel: Netlink) -> None:
    """The other end goes down and up 50 times, ten while nobody reads: 50 Down, 50 Up, in turn."""
    far = socket.if_nametoindex("far")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for n in range(1, FLAPS + 1):
            for up, word in ((False, "LOWERLAYERDOWN"), (True, "UP")):
                kernel.execute([m.set_link(far, up=up)])
                wait_until(lambda word=word: ip("-br", "link", "show", "near")[0].split()[1] == word, 20)  # type: ignore[misc]  # a default is no argument here
            if n % BURST == 0:
                await host.wait(lambda n=n: len(host.story()) >= 2 + 4 * n)  # type: ignore[misc]  # a default is no argument here

    host = follow(scene)
    assert host.story("near") == [("up", NEAR), *[("down", NEAR, "carrier"), ("up", NEAR)] * FLAPS]
    assert host.story("far")[1:] == [("down", "port:far", "admin_down"), ("up", "port:far")] * FLAPS


def test_flaps_as_fast_as_can_be(kernel: Netlink) -> None:
    """The end that is set down tells each time; the other may not have come up in between."""
    far = socket.if_nametoindex("far")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for n in range(1, FLAPS + 1):
            kernel.execute([m.set_link(far, up=False), m.set_link(far, up=True)])
            if n % BURST == 0:
                await host.wait(lambda n=n: len(host.story("far")) >= 1 + 2 * n)  # type: ignore[misc]  # a default is no argument here
        await host.wait(lambda: host.ports["near"].entity.status.up)

    host = follow(scene)
    near = host.story("near")
    assert near == [("up", NEAR), *[("down", NEAR, "carrier"), ("up", NEAR)] * (len(near) // 2)]
    assert 1 <= len(near) // 2 <= FLAPS
    assert host.story("far")[1:] == [("down", "port:far", "admin_down"), ("up", "port:far")] * FLAPS


@pytest.mark.parametrize("ends_up", [True, False])
def test_overrun(kernel: Netlink, ends_up: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel drops messages: all is read anew, the state is right, and its counts tell of every flap."""
    far = socket.if_nametoindex("far")

    async def scene(host: LinksHost, _driver: Rtnetlink) -> None:
        for _ in range(FLAPS):
            kernel.execute([m.set_link(far, up=False), m.set_link(far, up=True)])
        kernel.execute([m.delete_link(socket.if_nametoindex("old"))])
        wire(kernel, "new", "newer")
        if not ends_up:
            kernel.execute([m.set_link(far, up=False)])
        expected = 1 + 2 * FLAPS + (not ends_up)
        await host.wait(lambda: len(host.story("near")) >= expected and host.served == served)
        assert host.ports["near"].entity.status.up is ends_up
        assert all(port.entity.refused == 0 for port in host.ports.values())

    served = {"near", "far", "new", "newer"}
    wire(kernel, "old", "older")
    story = follow(scene, receive_octets=4096).story("near")
    assert story[: 1 + 2 * FLAPS] == [("up", NEAR), *[("down", NEAR, "carrier"), ("up", NEAR)] * FLAPS]
    assert story[1 + 2 * FLAPS :] == ([] if ends_up else [("down", NEAR, "carrier")])
    assert "some are lost; every interface is read anew" in caplog.text


def test_set_up_and_down_by_request(kernel: Netlink) -> None:
    """With `control`, LinkDisconnect sets the interface down (requested), LinkConnect up again."""
    del kernel

    async def scene(host: LinksHost, driver: Rtnetlink) -> None:
        assert host.ports["near"].controllable
        driver.link_disconnect("near", None)
        await host.wait(lambda: host.story("near")[-1] == ("down", NEAR, "requested"))
        driver.link_connect("near", "port:elsewhere")
        driver.link_connect("near", NEAR)
        await host.wait(lambda: host.story("near")[-1] == ("up", NEAR))
        ip("link", "set", "near", "down")
        await host.wait(lambda: len(host.story("near")) == 4)

    assert follow(scene, control=True).story("near")[-1] == ("down", NEAR, "admin_down")


def test_only_the_kernel_is_believed(kernel: Netlink) -> None:
    """A message that another process sends to the driver's socket is dropped."""

    async def scene(host: LinksHost, driver: Rtnetlink) -> None:
        assert driver._listener is not None
        to = driver._listener._socket.getsockname()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as liar:
            liar.sendto(dellink(socket.if_nametoindex("near"), "near"), to)
            liar.sendto(newlink(4711, "forged0"), to)
        set_link(kernel, "far", up=False)
        await host.wait(lambda: len(host.story("near")) == 2)
        assert host.served == {"near", "far"}

    assert follow(scene).story("near") == [("up", NEAR), ("down", NEAR, "carrier")]


NOBODY = """
import asyncio
from lies._privileges import keep_only
from lies_rtnetlink.device import may_administer
from polling import wait_until
from rtnetlink_kit import following

async def main():
    keep_only(())
    assert not may_administer()
    async with following(control=True) as (host, driver):
        assert not host.ports["near"].controllable
        print("ready", flush=True)
        driver.link_disconnect("near", None)
        await host.wait(lambda: len(host.story("near")) == 3)
        print(host.story("near"), flush=True)

asyncio.run(main())
"""


def test_no_permission_is_needed(kernel: Netlink) -> None:
    """A process without capabilities sees the same; what `control` would do is refused in a sentence."""
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])
    with subprocess.Popen(
        [sys.executable, "-c", NOBODY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            for up in (False, True):
                set_link(kernel, "far", up=up)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert out.strip() == str([("up", NEAR), ("down", NEAR, "carrier"), ("up", NEAR)])
    assert "eth has no CAP_NET_ADMIN: its links cannot be set up and down" in err
    assert "the kernel refused to set near down: Operation not permitted" in err


def test_what_is_read_is_what_pyroute2_reads(kernel: Netlink) -> None:
    """Of the kernel's own messages our reader and pyroute2's say the same."""
    kernel.execute([m.new_bridge("br0")])
    set_link(kernel, "near", master=socket.if_nametoindex("br0"))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.send(dump_request(1))
        data = b""
        while b"near\0" not in data:
            data += sock.recv(1 << 16)
    ours = {t.name: t for t in read(data) if isinstance(t, LinkTold)}
    theirs = {t.get("ifname"): t for t in MarshalRtnl().parse(data) if t.get("ifname")}
    assert set(ours) == set(theirs)
    for name, told in ours.items():
        other = theirs[name]
        assert (told.index, told.kind, told.flags) == (other["index"], other["ifi_type"], other["flags"])
        assert told.master == (other.get("master") or 0)
        assert (told.ups, told.downs) == (other.get("carrier_up_count"), other.get("carrier_down_count"))
    port = theirs["near"].get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA")
    assert ours["near"].port is not None
    assert ours["near"].port.state == port.get_attr("IFLA_BRPORT_STATE")
    assert ours["near"].port.bridge == f"8000.{port.get_attr('IFLA_BRPORT_BRIDGE_ID')['addr']}"
