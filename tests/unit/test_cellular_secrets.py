"""The SIM's PIN: one try, from a file that nobody else may read, and never in a log."""

import asyncio
import logging
from pathlib import Path

import pytest
from cellular_kit import World
from dbus_kit import private_bus, until
from fake_modems import serve
from radio_host import RecordingHost

from lies.dbus import Variant
from lies.errors import ConfigError
from lies_cellular import Cellular, uapi
from lies_cellular.config import CellularConfig
from lies_cellular.secrets import read_pin


def locked(config: CellularConfig, tried: set[str] | None = None, *, left: int | None = None) -> World:
    """A modem that waits for a PIN; left: tries."""
    world = World(config, tried).begin()
    path = world.modems.plug(state=1)
    if left is not None:
        world.modems.tell(path, uapi.MODEM, UnlockRetries=Variant("a{uu}", {2: left}))
    world.modems.tell(path, uapi.MODEM, UnlockRequired=Variant("u", 2), State=Variant("i", 2))
    return world


@pytest.fixture
def with_pin(tmp_path: object) -> CellularConfig:
    """A configuration with a PIN."""
    return CellularConfig(pin_file=tmp_path / "pin")  # type: ignore[operator]  # pytest's Path


def test_a_pin_is_given_once(with_pin: CellularConfig) -> None:
    """The machine asks its shell to put it in, and never holds it."""
    world = locked(with_pin)
    assert world.modems.asked("SendPin") == [["1234"]]
    assert "1234" not in repr(world.actions)
    assert world.modems.objects[f"{uapi.ROOT}/Modem/0"][uapi.MODEM]["State"].value == 3


def test_a_wrong_pin_is_not_tried_again(with_pin: CellularConfig) -> None:
    """Neither when the modem comes back, nor by a driver that is started again in this process."""
    tried: set[str] = set()
    world = World(with_pin, tried).begin()
    world.pin = "9999"
    path = world.modems.plug(state=1)
    world.modems.tell(path, uapi.MODEM, UnlockRequired=Variant("u", 2), State=Variant("i", 2))
    world.run(60.0)
    assert world.modems.asked("SendPin") == [["9999"]]
    again = locked(with_pin, tried)
    assert again.modems.asked("SendPin") == []
    assert "was tried before" in again.said()[-1]


def test_a_pin_is_not_tried_after_a_wrong_one_of_somebody_else(with_pin: CellularConfig) -> None:
    """With two tries left it is left to people."""
    assert locked(with_pin, left=2).modems.asked("SendPin") == []
    assert locked(with_pin, left=3).modems.asked("SendPin") == [["1234"]]


def test_without_a_pin_nothing_is_tried() -> None:
    """People are told that the SIM is locked."""
    world = locked(CellularConfig())
    assert world.modems.asked("SendPin") == []
    assert "locked" in world.said()[-1]


# ---- over D-Bus


def pin_file(tmp_path: Path, pin: str, mode: int = 0o600) -> Path:
    """A file with a PIN."""
    path = tmp_path / "pin"
    path.write_text(f"{pin}\n")
    path.chmod(mode)
    return path


def test_the_pin_unlocks_once_and_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong PIN is tried once, also by a driver that is started again; no line holds it."""
    Cellular._tried.clear()

    async def main() -> None:
        service, modems = serve(bus.address)
        async with service, asyncio.timeout(120):
            for number in range(2):
                host = RecordingHost()
                driver = Cellular("cell", config, host)
                await driver.start()
                if number == 0:
                    path = modems.plug(state=1)
                    modems.tell(path, uapi.MODEM, UnlockRequired=Variant("u", 2), State=Variant("i", 2))
                words = ("not tried again", "was tried before")[number]
                await until(lambda words=words: words in caplog.text, words)  # type: ignore[misc]  # bound now
                await driver.stop()
        assert modems.asked("SendPin") == [["5678"]]

    with private_bus(tmp_path) as bus, caplog.at_level(logging.DEBUG):
        config = CellularConfig(bus=bus.address, pin_file=pin_file(tmp_path, "5678"))
        asyncio.run(main())
    Cellular._tried.clear()
    assert "5678" not in caplog.text


@pytest.mark.parametrize(
    ("pin", "mode", "why"),
    [
        ("1234", 0o644, "open to others"),
        ("12a4", 0o600, "no PIN"),
        ("123", 0o600, "no PIN"),
        ("", 0o600, "no PIN"),
    ],
)
def test_a_pin_file_that_is_no_good(tmp_path: Path, pin: str, mode: int, why: str) -> None:
    """It is refused in a sentence that does not hold what is in it."""
    path = pin_file(tmp_path, pin, mode)
    with pytest.raises(ConfigError, match=why) as found:
        read_pin(path)
    assert not pin or pin not in str(found.value).replace(str(path), "")


def test_a_pin_file_is_no_link_and_is_there(tmp_path: Path) -> None:
    """A symbolic link is not followed."""
    (tmp_path / "link").symlink_to(pin_file(tmp_path, "1234"))
    for name in ("link", "missing"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_pin(tmp_path / name)
