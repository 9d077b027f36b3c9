"""The rigs as fixtures: one of each for a module, as new for every test."""

from collections.abc import Iterator

import pytest
from netns_kit import namespace
from tools import need

from modem.rig import PluggedRig, SocketRig, running

_TOOLS = ("/usr/sbin/ModemManager", "mmcli", "dbus-daemon")


@pytest.fixture(scope="module")
def _plugged() -> Iterator[PluggedRig]:
    for tool in (*_TOOLS, "unshare", "ip"):
        need(tool)
    with namespace(), running(PluggedRig) as rig:
        assert isinstance(rig, PluggedRig)
        yield rig


@pytest.fixture(scope="module")
def _socketed() -> Iterator[SocketRig]:
    for tool in (*_TOOLS, "gdbus"):
        need(tool)
    with running(SocketRig) as rig:
        assert isinstance(rig, SocketRig)
        yield rig


@pytest.fixture
def plugged(_plugged: PluggedRig) -> PluggedRig:
    """The hot-plug rig with the modem disabled; the test is in its network namespace."""
    _plugged.renew()
    return _plugged


@pytest.fixture
def socketed(_socketed: SocketRig) -> SocketRig:
    """The rootless rig with the modem disabled."""
    _socketed.renew()
    return _socketed
