"""ModemManager, the bus or the SIM fail: links say why they are down, and come back by themselves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lies_cellular import Cellular
from modem.driven import driving
from modem.listener import Calls
from modem.rig import Rig, SocketRig
from modem.scene import HERE, Scene, scene

pytestmark = pytest.mark.modem


@pytest.fixture(autouse=True)
def _no_pin_was_tried() -> Iterator[None]:
    """The driver tries a SIM once in a process; every test is one."""
    Cellular._tried.clear()
    yield
    Cellular._tried.clear()


def test_manager_killed(connected: Scene) -> None:
    """The link is down as soon as ModemManager has died, stays announced, and goes on with the new one."""
    lies, rig = connected.lies, connected.rig
    since_ns = rig.kill_manager()
    lies.wait("link_down", after_ns=since_ns)
    assert lies.story(since_ns) == [("link_down", HERE, "driver_lost")]
    assert lies.host.served == {"wwan0"}
    connected.bus.wait("NameOwnerChanged", after=since_ns)
    connected.compare("ModemManager killed", since_ns, "NameOwnerChanged", "link_down")
    rig.start_manager()
    rig.wait_modem()
    rig.enable()
    again_ns = lies.host.now_ns()
    rig.connect()
    lies.wait("link_up", after_ns=again_ns)
    assert len(lies.host.added) == 1


def test_bus_killed(connected: Scene) -> None:
    """The link is down when the bus has died, orders are refused, and all goes on with the new bus."""
    lies, rig = connected.lies, connected.rig
    since_ns = rig.kill_bus()
    lies.wait("link_down", after_ns=since_ns)
    assert lies.story(since_ns) == [("link_down", HERE, "driver_lost")]
    lies.order(lies.driver.link_connect, lies.link, HERE)
    rig.start_bus()
    rig.wait_modem()
    rig.enable()
    again_ns = lies.host.now_ns()
    rig.connect()
    lies.wait("link_up", after_ns=again_ns)


def test_manager_that_comes_later(socketed: SocketRig) -> None:
    """A driver that finds a bus without ModemManager waits for it; behind sockets there is a link as well."""
    socketed.kill_manager()
    with driving(socketed.address) as lies:
        assert lies.host.served == set()
        socketed.start_manager()
        socketed.wait_modem()
        lies.until(lambda: len(lies.host.served) == 1)
        socketed.enable()
        lies.wait("poa_found")
        socketed.connect()
        lies.wait("link_up", HERE)


def test_modem_that_fails(socketed: SocketRig) -> None:
    """Without a SIM card the modem has failed: a link that is down and of which nothing is heard."""
    _restart(socketed, "MISSING", "failed")
    with scene(socketed, enabled=False) as one:
        one.lies.until(lambda: len(one.lies.host.served) == 1)
        assert one.lies.story() == []
        _restart(socketed, "READY", "disabled")
        socketed.enable()
        one.lies.wait("poa_found")


def test_wrong_pin_is_tried_once(socketed: SocketRig, tmp_path: Path) -> None:
    """A wrong PIN costs one try, whatever restarts: the SIM is left to people, who unlock it."""
    _restart(socketed, "PIN", "locked")
    with scene(socketed, enabled=False, pin_file=_secret(tmp_path / "pin", "9999")) as one:
        one.lies.until(lambda: socketed.modem.state()["unlocks"] == 1)
        socketed.kill_manager()
        socketed.start_manager()
        socketed.wait_modem("locked")
        one.lies.until(lambda: "sim-pin (2)" in socketed.mmcli("-m", "any"))
    Cellular._tried.clear()  # as a daemon that is started again
    with scene(socketed, enabled=False, pin_file=_secret(tmp_path / "pin", "1234")) as one:
        one.lies.until(lambda: len(one.lies.host.served) == 1)
        state = socketed.modem.state()
        assert (state["unlocks"], state["tries"], state["card"]) == (1, 2, "PIN")
        socketed.mmcli("-i", "any", "--pin=1234")
        socketed.wait_modem("disabled")
        socketed.enable()
        one.lies.wait("poa_found")


def test_right_pin_unlocks(socketed: SocketRig, tmp_path: Path) -> None:
    """The file's PIN unlocks the SIM; the interface that ModemManager adds anew for it is no unplugging."""
    _restart(socketed, "PIN", "locked")
    with scene(socketed, enabled=False, pin_file=_secret(tmp_path / "pin", "1234")) as one:
        socketed.wait_modem("disabled")
        assert socketed.modem.state()["unlocks"] == 1
        socketed.enable()
        one.lies.wait("poa_found")
        assert len(one.lies.host.added) == 1


def test_connections_piling_up(connected: Scene) -> None:
    """Connections that others leave behind pile up and are no matter; the driver takes its own away."""
    rig, lies = connected.rig, connected.lies
    others = rig.bearers
    lies.wait("link_down", after_ns=rig.disconnect())
    for number in range(3):
        since_ns = lies.order(lies.driver.link_connect, lies.link, HERE)
        lies.wait("link_up", after_ns=since_ns)
        since_ns = lies.order(lies.driver.link_disconnect, lies.link, None)
        down_ns = lies.wait_ns("link_down", after_ns=since_ns)
        others.append(rig.connect(apn=f"other{number}", ip_type="ipv4"))
        lies.wait("link_up", after_ns=down_ns)
        lies.wait("link_down", after_ns=rig.disconnect())
    lies.until(lambda: set(rig.bearers) <= set(others))
    assert len(set(others)) > 2


def test_no_calls_while_signals_serve(connected: Scene) -> None:
    """Changes of signal, cell and technology are told by signals alone: the driver calls nothing."""
    modem, lies = connected.rig.modem, connected.lies
    modem.signal(rsrp=-70, rsrq=-8)  # far from every threshold
    lies.until(lambda: any(s.rsrp_dbm == -70.0 for _, s in lies.samples()))
    with Calls(connected.rig.directory, connected.rig.env) as calls:
        for csq in (31, 19) * 10:
            since_ns = modem.signal(csq=csq)
            connected.bus.wait("Modem.SignalQuality", after=since_ns)
        since_ns = modem.cell("00C0FFEF")
        lies.wait("link_up", after_ns=since_ns)
        since_ns = modem.technology(2)
        lies.wait("link_status_changed", after_ns=since_ns)
        assert [call for call in calls.made if call[0] != "Hello"] == []
        connected.rig.mmcli("-L")
        lies.until(lambda: "GetManagedObjects" in {member for member, _ in calls.made})


def test_fifty_changes_of_signal(connected: Scene) -> None:
    """Fifty changes, each as soon as the bus has told the one before, are fifty samples."""
    modem = connected.rig.modem
    begun_ns = connected.lies.host.now_ns()
    for number in range(50):
        since_ns = modem.signal(csq=(6, 12, 19, 25, 31)[number % 5])
        connected.bus.wait("Modem.SignalQuality", after=since_ns)
    wanted = [20, 40, 60, 80, 100] * 10
    assert [value[0] for _, value in connected.bus.after(begun_ns, "Modem.SignalQuality")] == wanted
    dbm = [-113.0 + 0.62 * percent for percent in wanted]

    def levels() -> list[float]:
        found = [s.rssi_dbm for _, s in connected.lies.samples(begun_ns) if s.rssi_dbm is not None]
        return [level for n, level in enumerate(found) if n == 0 or level != found[n - 1]]

    connected.lies.until(lambda: levels()[-50:] == pytest.approx(dbm))


def test_ten_thousand_indicators(connected: Scene) -> None:
    """Ten thousand changes at once: what ModemManager makes of them is followed, and a drop behind them."""
    modem, lies = connected.rig.modem, connected.lies
    begun_ns = modem.burst(10_000)
    modem.drop()
    lies.wait("link_down", HERE, "peer", after_ns=begun_ns)
    modem.signal(csq=6)
    lies.until(lambda: any(s.rssi_dbm == pytest.approx(-100.6) for _, s in lies.samples(begun_ns)))


def _restart(rig: Rig, card: str, state: str) -> None:
    """ModemManager meets a modem with this card."""
    rig.kill_manager()
    rig.modem.card(card)
    rig.start_manager()
    rig.wait_modem(state)


def _secret(file: Path, text: str) -> Path:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write(text)
    return file
