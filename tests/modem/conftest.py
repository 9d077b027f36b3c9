"""The rigs as fixtures: one of each for a module, as new for every test."""

from collections.abc import Iterator

import pytest
from netns_kit import namespace
from tools import need, need_mounts

from modem.rig import PluggedRig, SocketRig, running
from modem.scene import DELAYS, Scene, scene, table

_TOOLS = ("/usr/sbin/ModemManager", "mmcli", "dbus-daemon")


@pytest.fixture(scope="session")
def plugged_kind() -> type[PluggedRig]:
    """The hot-plug rig, where it can be run."""
    for tool in (*_TOOLS, "ip"):
        need(tool)
    need_mounts()
    return PluggedRig


@pytest.fixture(scope="session")
def socket_kind() -> type[SocketRig]:
    """The rootless rig, where it can be run."""
    for tool in (*_TOOLS, "gdbus"):
        need(tool)
    return SocketRig


@pytest.fixture(scope="module")
def _plugged(plugged_kind: type[PluggedRig]) -> Iterator[PluggedRig]:
    with namespace(), running(plugged_kind) as rig:
        yield rig


@pytest.fixture(scope="module")
def _socketed(socket_kind: type[SocketRig]) -> Iterator[SocketRig]:
    with running(socket_kind) as rig:
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


@pytest.fixture
def registered(plugged: PluggedRig) -> Iterator[Scene]:
    """The hot-plug rig with the modem registered, a listener, and the driver following."""
    with scene(plugged, apn="internet") as one:
        yield one


@pytest.fixture
def connected(registered: Scene) -> Scene:
    """The same, connected by somebody else."""
    registered.connect()
    return registered


def pytest_itemcollected(item: pytest.Item) -> None:
    """The hot-plug rig needs namespaces."""
    if "plugged_kind" in getattr(item, "fixturenames", ()):
        item.add_marker("netns")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how long after each action D-Bus and LIES told of it."""
    if DELAYS:
        terminalreporter.section("from an action on the modem to what is told of it")
        table(terminalreporter.write_line)
