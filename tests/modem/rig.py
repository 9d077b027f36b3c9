"""The rigs: Debian's ModemManager on a bus of its own, with our modem; `python -m modem` starts one.

PluggedRig needs root or a user namespace: ModemManager runs in a mount namespace whose /sys and /dev have a
USB modem in them, probes it and takes its network port as it would a real one. SocketRig needs nothing:
ModemManager is told of two sockets by its own test interface. There is nothing to be cleared up after either
but processes, a folder and an interface, and `running` does that.
"""

import json
import os
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from netns_kit import ip
from polling import wait_until

from lies.runtime import monotonic_ns
from modem import sysfs
from modem.control import ModemControl
from modem.processes import PATIENCE_S, Bus, Process, module

NET = "wwan0"
_FAR_NET = "wwan0-air"  # the other end of the network port
_MANAGER = "/usr/sbin/ModemManager"
_TEST_OPTIONS = ("--no-auto-scan", "--test-no-udev", "--test-no-suspend-resume", "--test-no-qrtr")
_ENTER = """set -e
for device in null zero random urandom; do mount --bind /dev/$device "$1/dev/$device"; done
mount --rbind /dev/pts "$1/dev/pts"
mount --rbind "$1/sys" /sys
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


class Rig(ABC):
    """A bus with ModemManager and the modem on it, and what may be done to them."""

    def __init__(self, directory: Path, log_level: str) -> None:
        self.directory = directory
        self._log_level = log_level
        self.control = directory / "control"
        self.bus = Bus(directory, os.environ)
        self.address = self.bus.address
        self.env = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "DBUS_SESSION_BUS_ADDRESS": self.address,
            "LC_ALL": "C.UTF-8",
        }
        self._processes: list[Process] = []
        self.manager: Process | None = None
        self.modem: ModemControl

    @abstractmethod
    def _simulator_options(self) -> list[str | Path]:
        """What carries the modem's ports."""

    @abstractmethod
    def start_manager(self) -> None:
        """Start ModemManager."""

    def start(self) -> None:
        """Start all, and wait for the modem."""
        options = ["--control", self.control, "--log", self.directory / "at.log", *self._simulator_options()]
        self.bus.start()
        self._processes = [
            module("modem.simulator", *options, log=self.directory / "simulator.log", env=self.env),
            self._polkit(),
        ]
        self.modem = ModemControl(self.control)
        self.start_manager()
        self.wait_modem()

    def stop(self) -> None:
        """End every process."""
        if hasattr(self, "modem"):
            self.modem.close()
        for process in (*self._processes, *([self.manager] if self.manager else [])):
            process.kill()
        self.bus.kill()

    def renew(self) -> None:
        """Make it as new: all that a test may have done is undone, and the modem is there and disabled."""
        if not self.bus.alive:
            self.start_bus()
        self._plug_again()
        self.modem.mute(on=False)
        if self.manager is None or not self.manager.alive or not self._disabled():
            self.kill_manager()
            self.modem.renew()
            self.start_manager()
            self.wait_modem("disabled")
        self.modem.renew()

    def _disabled(self) -> bool:
        """Whether ModemManager can be brought to have nothing of a test in it."""
        if self.state in {"", "failed", "locked"}:
            return False
        self.mmcli("-m", "any", "--simple-disconnect", fails=True)
        for bearer in self.bearers:
            self.mmcli("-m", "any", f"--delete-bearer={bearer}", fails=True)
        self.mmcli("-m", "any", "--signal-setup=0", fails=True)
        self.mmcli("-m", "any", "--disable", fails=True)
        return self.state == "disabled" and not self.bearers

    def _plug_again(self) -> None:  # noqa: B027 - not every modem can be unplugged
        """See that the modem is plugged."""

    def kill_manager(self) -> int:
        """Kill ModemManager, as a crash would; when that was."""
        assert self.manager is not None
        t_ns = monotonic_ns()
        self.manager.kill()
        return t_ns

    def kill_bus(self) -> int:
        """Kill the bus; ModemManager and the stand-in for polkit end with it; when that was."""
        t_ns = monotonic_ns()
        self.bus.kill()
        return t_ns

    def start_bus(self) -> None:
        """Start the bus again at its address, and what lives on it."""
        self.bus.start()
        assert self.manager is not None
        self.manager.kill()
        self._processes[-1].kill()
        self._processes[-1] = self._polkit()
        self.start_manager()

    @property
    def modems(self) -> list[str]:
        """The object paths of ModemManager's modems; none while it is not there."""
        said = self.mmcli("-L", "-J", fails=True)
        if not said.startswith("{"):
            return []
        return list(json.loads(said)["modem-list"])

    def wait_modem(self, state: str | None = None) -> str:
        """Wait until there is one modem (in the state, as mmcli says it); its object path."""

        def there() -> bool:
            paths = self.modems
            return len(paths) == 1 and (state is None or self.state == state)

        try:
            wait_until(there, PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"no modem; {_MANAGER} says\n{self.manager_log[-3000:]}") from None
        return self.modems[0]

    @property
    def state(self) -> str:
        """The modem's state, as mmcli says it."""
        return str(self._generic.get("state", ""))

    def settle(self) -> None:
        """Wait until ModemManager has read what the modem has said until now.

        Of lines that come together it reads those with a place first: +CEREG: 0 is taken for the newer one.
        """
        self.mmcli("-L")

    @property
    def bearers(self) -> list[str]:
        """The object paths of the modem's bearers."""
        return list(self._generic.get("bearers", []))

    def wait_quality(self, percent: int) -> None:
        """Wait until the modem's signal quality is this."""
        wait_until(lambda: self._quality == str(percent), PATIENCE_S)

    @property
    def _quality(self) -> str:
        return str(self._generic.get("signal-quality", {}).get("value"))

    @property
    def _generic(self) -> dict[str, Any]:
        said = self.mmcli("-m", "any", "-J", fails=True)
        found: dict[str, Any] = json.loads(said)["modem"]["generic"] if said.startswith("{") else {}
        return found

    @property
    def manager_log(self) -> str:
        """What ModemManager has logged."""
        return (self.directory / "manager.log").read_text(errors="replace")

    def mmcli(self, *words: str, fails: bool = False) -> str:
        """What mmcli prints; it may fail if `fails`."""
        done = subprocess.run(
            ["mmcli", "--timeout=60", *words], env=self.env, capture_output=True, text=True, check=False
        )
        assert fails or done.returncode == 0, f"mmcli {words}: {done.stderr}"
        return done.stdout

    def enable(self) -> int:
        """Let ModemManager enable the modem, and wait until it is registered; when that began."""
        t_ns = monotonic_ns()
        self.mmcli("-m", "any", "--enable")
        self.wait_modem("registered")
        return t_ns

    def connect(self, **options: str) -> str:
        """Let ModemManager connect; the bearer's object path."""
        wanted = ",".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
        self.mmcli("-m", "any", f"--simple-connect={wanted or 'apn=internet,ip-type=ipv4'}")
        (path,) = [bearer for bearer in self.bearers if "connected: yes" in self.mmcli("-b", bearer)]
        return path

    def disconnect(self) -> int:
        """Let ModemManager disconnect every bearer; when that began."""
        t_ns = monotonic_ns()
        self.mmcli("-m", "any", "--simple-disconnect")
        return t_ns

    def setup_signal(self, rate_s: int) -> None:
        """Let ModemManager ask for raw levels every so often."""
        self.mmcli("-m", "any", f"--signal-setup={rate_s}")

    def setup_location(self) -> None:
        """Let ModemManager tell the cell."""
        self.mmcli("-m", "any", "--location-enable-3gpp")
        self.mmcli("-m", "any", "--location-set-enable-signal")

    def _polkit(self) -> Process:
        return module("modem.polkit", log=self.directory / "polkit.log", env=self.env)

    def _manage(self, words: list[str | Path]) -> None:
        options = [*_TEST_OPTIONS, f"--log-level={self._log_level}", "--log-relative-timestamps"]
        self.manager = Process([*words, *options], self.directory / "manager.log", self.env)


class PluggedRig(Rig):
    """A USB modem in a mount namespace of ModemManager's own."""

    def start(self) -> None:
        """Lay out /sys and /dev, then as every rig."""
        (self.directory / "sys").mkdir()
        (self.directory / "dev/pts").mkdir(parents=True)
        for name in ("null", "zero", "random", "urandom"):
            (self.directory / "dev" / name).touch()
        self._show()
        super().start()

    def stop(self) -> None:
        """Take the network port away as well."""
        super().stop()
        self._hide()

    def start_manager(self) -> None:
        """Start ModemManager, and show it the modem that is plugged."""
        events = self.directory / "events"
        events.write_text("".join(f"{self._event('add', *port)}\n" for port in self._ports))
        enter: list[str | Path] = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _ENTER,
            "sh",
            self.directory,
        ]
        self._manage([*enter, _MANAGER, f"--initial-kernel-events={events}"])

    def unplug(self) -> int:
        """Pull the modem out, and let ModemManager know as udev would; when that began."""
        t_ns = monotonic_ns()
        for port in self._ports:
            self.mmcli(f"--report-kernel-event={self._event('remove', *port)}")
        self.modem.ask("unplug")
        self._hide()
        return t_ns

    def plug(self) -> str:
        """Plug it in again; its new object path."""
        self._show()
        self.modem.ask("plug")
        for port in self._ports:
            self.mmcli(f"--report-kernel-event={self._event('add', *port)}")
        return self.wait_modem()

    def _plug_again(self) -> None:
        if NET not in {name for _, name in socket.if_nameindex()}:
            self.plug()

    @contextmanager
    def inhibited(self) -> Iterator[None]:
        """ModemManager leaves the device alone for the block."""
        words = ["mmcli", f"--inhibit-device={sysfs.UID}"]
        process = Process(words, self.directory / "inhibit.log", self.env)
        try:
            wait_until(lambda: not self.modems, PATIENCE_S)
            yield
        finally:
            process.kill()

    _ports = (*(("tty", name) for name in sysfs.SERIAL), ("net", NET))

    @staticmethod
    def _event(action: str, subsystem: str, name: str) -> str:
        return f"action={action},subsystem={subsystem},name={name}"

    def _simulator_options(self) -> list[str | Path]:
        return [word for name in sysfs.SERIAL for word in ("--pty", self.directory / "dev" / name)]

    def _show(self) -> None:
        sysfs.plug(self.directory / "sys", NET)
        ip("link", "add", NET, "type", "veth", "peer", "name", _FAR_NET)
        ip("link", "set", _FAR_NET, "up")

    def _hide(self) -> None:
        with suppress(FileNotFoundError):
            sysfs.unplug(self.directory / "sys")
        if NET in {name for _, name in socket.if_nameindex()}:
            ip("link", "delete", NET)


class SocketRig(Rig):
    """A modem on two sockets, of which ModemManager is told by its own test interface."""

    def start_manager(self) -> None:
        """Start ModemManager, and tell it of the sockets."""
        self._manage([_MANAGER, "--test-session", "--test-enable"])
        wait_until(self._told, PATIENCE_S)

    @property
    def _sockets(self) -> list[str]:
        return [f"abstract:lies-{self.directory.name}-{number}" for number in range(2)]

    def _simulator_options(self) -> list[str | Path]:
        return [word for name in self._sockets for word in ("--socket", name)]

    def _told(self) -> bool:
        where = ["--session", "--dest", "org.freedesktop.ModemManager1", "--object-path"]
        what = ["/org/freedesktop/ModemManager1", "--method", "org.freedesktop.ModemManager1.Test.SetProfile"]
        ports = str(self._sockets)
        words = ["gdbus", "call", *where, *what, "test1", "generic", ports]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
        return done.returncode == 0


RigT = TypeVar("RigT", bound=Rig)


@contextmanager
def running(kind: type[RigT], log_level: str = "INFO") -> Iterator[RigT]:
    """A rig, started; everything of it is gone after the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lies-modem-")))
        rig = kind(directory, log_level)
        stack.callback(rig.stop)
        rig.start()
        yield rig
