"""The route netlink driver's shell: what it serves, what it refuses, how it fails."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest
from rtnetlink_kit import ERROR, LinksHost, dellink, following, message, newlink

from lies._decode import decode
from lies.capabilities import Capability
from lies.errors import ConfigError, LiesError, LinkError, LinkErrorReason
from lies.events import Link, Sample, Technology
from lies.runtime import monotonic_ns
from lies_rtnetlink import Rtnetlink, device
from lies_rtnetlink.config import RtnetlinkConfig
from lies_rtnetlink.messages import LinkTold, read


class TakenHost(LinksHost):
    """A host on which eth0 is another driver's link."""

    def add_link(self, link: Link, *, controllable: bool) -> Any:
        """Refuse eth0."""
        if link.name == "eth0":
            raise LinkError(LinkErrorReason.INVALID, "eth0 is a link of 'car'")
        return super().add_link(link, controllable=controllable)


def deaf(host: LinksHost | None = None, **options: Any) -> Rtnetlink:
    """A driver without a socket: its messages are given to it."""
    driver = Rtnetlink("eth", RtnetlinkConfig(**options), host or LinksHost())
    driver._ask_speed = lambda *_: None  # type: ignore[method-assign]  # there is no loop here
    return driver


def test_options() -> None:
    """The table's keys; what makes no sense is refused with the key's name."""
    config = decode(RtnetlinkConfig, {"interfaces": ["eth*", "en*"], "ignore": ["eth9"]})
    assert [n for n in ("eth0", "enp3s0", "eth9", "wlan0") if config.names(n)] == ["eth0", "enp3s0"]
    everything = decode(RtnetlinkConfig, {})
    assert everything.names("br-lan")
    assert not everything.names("lies-t0")
    for wrong, words in (
        ({"interfaces": []}, "needs a pattern"),
        ({"ignore": [""]}, "no pattern is empty"),
        ({"receive_octets": 1}, "must be 4096 or more"),
        ({"interface": ["eth0"]}, "did you mean 'interfaces'"),
    ):
        with pytest.raises(ConfigError, match=words):
            decode(RtnetlinkConfig, wrong)


def test_needs_nothing_but_for_control() -> None:
    """Only `control = true` asks for CAP_NET_ADMIN."""
    assert Rtnetlink.needs(RtnetlinkConfig()) == set()
    assert Rtnetlink.needs(RtnetlinkConfig(control=True)) == {Capability.NET_ADMIN}


def test_technology() -> None:
    """What carries Ethernet frames is Ethernet, all else is other; loopback is no link."""
    host = LinksHost()
    driver = deaf(host)
    for data in (
        newlink(1, "lo", kind=772, loopback=True),
        newlink(2, "eth0"),
        newlink(3, "tun0", kind=65534),
    ):
        driver._take(read(data))
    assert host.added == [Link("eth0", Technology.ETHERNET), Link("tun0", Technology.OTHER)]


def test_wireless_is_left_to_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wireless interface is no plain link, and the log says once whose it is."""
    caplog.set_level("INFO")
    monkeypatch.setattr(device, "_CLASS", tmp_path)
    for name, number in (("wlan0", 7), ("wlan1", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(f"DEVTYPE=wlan\nINTERFACE={name}\nIFINDEX={number}\n")
    host = LinksHost()
    driver = deaf(host)
    for data in (newlink(7, "wlan0"), newlink(7, "wlan0"), newlink(8, "wlan1"), newlink(9, "mon0", kind=803)):
        driver._take(read(data))
    assert host.served == {"wlan1"}  # the files tell of another namespace's wlan1
    assert caplog.text.count("wlan0 is wireless: it is left to the driver nl80211") == 1


def test_a_link_of_another_driver_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Where another driver has the link, one sentence says so and the others are served."""
    host = TakenHost()
    driver = deaf(host)
    for data in (newlink(), newlink(up=False), newlink(8, "eth1"), dellink()):
        driver._take(read(data))
    assert host.story() == [("eth1", "up", "port:eth1")]
    assert [r.getMessage() for r in caplog.records] == ["eth0 is not served: eth0 is a link of 'car'"]


def test_a_socket_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no route netlink for us, start fails with one sentence, and stop is still good."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    async def begin() -> None:
        driver = Rtnetlink("eth", RtnetlinkConfig(), LinksHost())
        try:
            with monkeypatch.context() as patch:
                patch.setattr(socket, "socket", refuse)
                await driver.start()
        finally:
            await driver.stop()

    with pytest.raises(LiesError, match=r"messages about links cannot be read: Address family not supported"):
        asyncio.run(begin())


def test_the_kernel_refuses_to_tell() -> None:
    """An error in answer to the request for all links goes to the supervisor, once."""

    async def scene() -> Exception | None:
        host = LinksHost()
        driver = Rtnetlink("eth", RtnetlinkConfig(interfaces=("none",)), host)
        await driver.start()
        driver._tell_all()
        refusal = message(
            ERROR, (-errno.ENOMEM & 0xFFFFFFFF).to_bytes(4, "little"), sequence=driver._dump or 0
        )
        driver._take(read(refusal))
        await driver.stop()
        return host.error

    error = asyncio.run(scene())
    assert str(error) == "the kernel's messages about links cannot be read: Cannot allocate memory"


def test_speed_belongs_to_an_attachment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed is told once the driver's answer is there, and not of a link that went down meanwhile."""
    monkeypatch.setattr("lies_rtnetlink.driver.speed_mbps", lambda *_: 2500.0)

    async def scene() -> LinksHost:
        async with following(interfaces=("sound*",)) as (host, driver):
            driver._take(read(newlink(4711, "sound0")) + read(newlink(4712, "sound1")))
            driver._take(read(newlink(4712, "sound1", carrier=False)))
            await host.wait(lambda: len(host.ports["sound0"].items) == 2 and not driver._speeds)
            return host

    host = asyncio.run(scene())
    (sample,) = [i for port in host.ports.values() for i in port.items if isinstance(i, Sample)]
    assert (sample.poa, sample.bitrate_mbps) == ("port:sound0", 2500.0)
    assert sample.t_ns <= monotonic_ns()


def test_questions_about_nothing() -> None:
    """An interface that is not there has no speed, is not listed and is not wireless."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        assert device.speed_mbps(sock.fileno(), "nonexistent") is None
        assert not device.is_there(sock.fileno(), 1 << 30)
        assert device.is_there(sock.fileno(), socket.if_nametoindex("lo"))
    assert device.is_there(-1, 1)  # nobody says that it is gone
    assert device.speed_mbps(-1, "lo") is None
    assert not device.is_wireless(LinkTold(1 << 30, "nonexistent", 1, 0))


def test_control_of_what_is_not_there() -> None:
    """A request for a link that has gone meanwhile, or before the start, does nothing."""
    driver = deaf(control=True)
    driver.link_connect("eth0", "port:eth0")
    driver.link_disconnect("eth0", None)
    assert isinstance(driver.host, LinksHost)
    assert driver.host.error is None
