"""The rigs as fixtures: one of each for all tests, as new for every test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from netns_kit import elsewhere
from tools import need, need_mounts

from lies.kernel.netns import entered
from modem.rig import PluggedRig, SocketRig, running
from modem.scene import DELAYS, Scene, scene, table

HERE = Path(__file__).parent
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


@pytest.fixture(scope="package")
def _plugged(plugged_kind: type[PluggedRig]) -> Iterator[tuple[PluggedRig, int]]:
    with elsewhere() as where, ExitStack() as stack:
        with entered(where):
            rig = stack.enter_context(running(plugged_kind))
        yield rig, where
        with entered(where):
            stack.close()


@pytest.fixture(scope="package")
def _socketed(socket_kind: type[SocketRig]) -> Iterator[SocketRig]:
    with running(socket_kind) as rig:
        yield rig


@pytest.fixture
def plugged(_plugged: tuple[PluggedRig, int]) -> Iterator[PluggedRig]:
    """The hot-plug rig with the modem disabled; the test is in its network namespace."""
    rig, where = _plugged
    with entered(where):
        rig.renew()
        yield rig


@pytest.fixture
def socketed(_socketed: SocketRig) -> SocketRig:
    """The rootless rig with the modem disabled."""
    _socketed.renew()
    return _socketed


@pytest.fixture
def registered(plugged: PluggedRig) -> Iterator[Scene]:
    """The hot-plug rig with the modem registered, a listener, and the driver following."""
    with scene(plugged, apn="internet", rest_s=1) as one:
        yield one


@pytest.fixture
def connected(registered: Scene) -> Scene:
    """The same, connected by somebody else."""
    registered.connect()
    return registered


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share rigs run one after the other, in whatever order."""
    here = [item for item in items if item.path.parent == HERE]
    if here:
        first = items.index(here[0])
        others = [item for item in items[first:] if item.path.parent != HERE]
        items[first:] = [*here, *others]


def pytest_itemcollected(item: pytest.Item) -> None:
    """The hot-plug rig needs namespaces."""
    if "plugged_kind" in getattr(item, "fixturenames", ()):
        item.add_marker("netns")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how long after each action D-Bus and LIES told of it."""
    if DELAYS:
        terminalreporter.section("from an action on the modem to what is told of it")
        table(terminalreporter.write_line)
