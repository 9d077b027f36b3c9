"""Which levels registrations ask for, told to the driver of the link: in this process and in another one."""

from pathlib import Path

import pytest
from bus_rig import LTE, Driver, daemon, join, on_loop, until

from lies.abstract import AeParameters, WifiParameters
from lies.bus import LocalClient
from lies.bus.core import BusCore
from lies.bus.messages import LevelsWanted
from lies.bus.publisher import LocalPublisher, RemotePublisher
from lies.bus.rights import Rights
from lies.driver import Driver as RealDriver
from lies.driver import Thresholds
from lies.driver_host import DriverHostBase, thresholds_of
from lies.events import (
    Crossing,
    Link,
    LinkGoingDownRequest,
    LinkStatusChangedRequest,
    LinkUpRequest,
    Quality,
    Technology,
)

ALL = (Quality.EXCELLENT, Quality.GOOD, Quality.FAIR, Quality.BAD)
BELOW_FAIR = LinkStatusChangedRequest(1, "wlan0", event=Crossing.BELOW, threshold=Quality.FAIR)


@pytest.fixture
def core() -> BusCore:
    """A core on which everyone may do everything."""
    return BusCore(epoch=42, rights=Rights(owner=0))


def test_driver_is_told_once(core: BusCore) -> None:
    """What registrations ask for together is told when it changes, and taken back with the last of them."""
    driver = Driver(core)
    first, _ = join(core)
    second, _ = join(core)
    core.request(first, LinkUpRequest(1, "*"))
    assert driver.port.levels == []
    core.request(first, BELOW_FAIR)
    core.request(second, BELOW_FAIR)
    assert driver.port.levels == [LevelsWanted("wlan0", (Quality.FAIR,))]
    core.request(second, LinkGoingDownRequest(2, "*"))
    core.request(second, LinkStatusChangedRequest(3, "*"))
    assert driver.port.levels[1:] == [
        LevelsWanted("wlan0", (Quality.FAIR,), going_down=True),
        LevelsWanted("wlan0", ALL, going_down=True),
    ]
    core.close_session(second)
    core.request(first, LinkStatusChangedRequest(4, "wlan0", enable=False))
    assert driver.port.levels[-1] == LevelsWanted("wlan0")


def test_change_of_a_registration_is_told(core: BusCore) -> None:
    """A registration whose parameters change asks for other levels from then on."""
    driver = Driver(core)
    session, _ = join(core)
    core.request(session, BELOW_FAIR)
    above = LinkStatusChangedRequest(2, "wlan0", event=Crossing.ABOVE, threshold=Quality.GOOD)
    core.request(session, above)
    assert driver.port.levels == [
        LevelsWanted("wlan0", (Quality.FAIR,)),
        LevelsWanted("wlan0", (Quality.GOOD,)),
    ]


def test_late_driver_is_told(core: BusCore) -> None:
    """A link that is announced later is asked what was registered for every link before."""
    session, _ = join(core)
    core.request(session, LinkStatusChangedRequest(1, "*"))
    driver = Driver(core)
    assert driver.port.levels == [LevelsWanted("wlan0", ALL)]
    core.announce(driver.publisher, driver.header(), driver.state)
    assert driver.port.levels == [LevelsWanted("wlan0", ALL)] * 2


@pytest.mark.parametrize(
    ("wanted", "technology", "thresholds"),
    [
        (LevelsWanted("x"), Technology.WIFI, Thresholds()),
        (LevelsWanted("x", ALL), Technology.WIFI, Thresholds((-80.0, -73.0, -68.0, -61.0))),
        (LevelsWanted("x", (), going_down=True), Technology.WIFI, Thresholds((), -80.0)),
        (LevelsWanted("x", (Quality.NONE,)), Technology.WIFI, Thresholds()),
        (LevelsWanted("x", (Quality.BAD,), going_down=True), Technology.LTE, Thresholds((-115.0,), -115.0)),
    ],
)
def test_levels_as_signal(wanted: LevelsWanted, technology: Technology, thresholds: Thresholds) -> None:
    """Levels are told in dBm: above the noise floor where that is the scale, as they are where it is dBm."""
    assert thresholds_of(wanted, AeParameters().of(technology), technology) == thresholds


def test_break_has_its_own_threshold() -> None:
    """Where the parameters say where a link breaks, LinkGoingDown asks for that."""
    p = WifiParameters(noise_floor_dbm=-90.0, break_db=3.0)
    asked = LevelsWanted("x", (), going_down=True)
    assert thresholds_of(asked, p, Technology.WIFI) == Thresholds((), -87.0)


class Radio(RealDriver):
    """A driver that notes what it is asked to watch."""

    Config = type(None)
    asked: list[tuple[str, Thresholds]]

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to clear."""

    def watch_levels(self, link: str, thresholds: Thresholds) -> None:
        """Note it."""
        self.asked.append((link, thresholds))


@pytest.mark.parametrize("remote", [False, True])
@on_loop
async def test_host_tells_its_driver(tmp_path: Path, remote: bool) -> None:
    """A driver hears what registrations ask of its links, and that nobody asks any more."""
    async with daemon(tmp_path / "run") as d:
        publisher: LocalPublisher | RemotePublisher
        if remote:
            publisher = await RemotePublisher.connect(d.directory, name="radio")
        else:
            publisher = LocalPublisher(d.core, "radio")
        host = DriverHostBase("radio", publisher)
        radio = Radio("radio", None, host)
        radio.asked = []
        host.attach(radio)
        consumer = LocalClient(d.core, "mn")
        await consumer.register("link_going_down")
        host.add_link(Link("wlan7", Technology.WIFI), controllable=False)
        host.add_link(LTE, controllable=False)
        await until(lambda: len(radio.asked) == 2)
        assert dict(radio.asked) == {"wlan7": Thresholds((), -80.0), "wwan0": Thresholds((), -115.0)}
        consumer.close()
        await until(lambda: len(radio.asked) == 4)
        assert dict(radio.asked[2:]) == {"wlan7": Thresholds(), "wwan0": Thresholds()}
        publisher.close()
