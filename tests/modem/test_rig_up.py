"""Both rigs come up with a modem that connects, hears and is dropped."""

import pytest

from modem.rig import PluggedRig, Rig, SocketRig

pytestmark = pytest.mark.modem


def test_plugged_modem_connects_and_is_dropped(plugged: PluggedRig) -> None:
    """ModemManager probes the plugged modem, connects it on its network port and sees the network drop it."""
    plugged.enable()
    bearer = plugged.connect()
    assert "interface: wwan0" in plugged.mmcli("-b", bearer)
    plugged.modem.drop()
    plugged.wait_modem("registered")


def test_socket_modem_connects(socketed: SocketRig) -> None:
    """ModemManager connects the modem behind two sockets."""
    socketed.enable()
    assert "connected: yes" in socketed.mmcli("-b", socketed.connect())


@pytest.mark.parametrize("name", ["plugged", "socketed"])
def test_modem_hears(name: str, request: pytest.FixtureRequest) -> None:
    """A change of level on the modem is a change of ModemManager's signal quality."""
    rig: Rig = request.getfixturevalue(name)
    rig.enable()
    rig.modem.signal(csq=31)
    rig.wait_quality(100)
