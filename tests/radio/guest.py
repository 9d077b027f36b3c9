"""What an experiment inside the machine is made of: radios in namespaces, the air, programs, results.

Nothing here cleans up: the machine is switched off after it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, frozen
from polling import wait_until

from lies.runtime import monotonic_ns, wall_ns
from radio import beacons

SHARE = Path("/run/share")
LOGS = Path("/run/logs")  # in memory while an experiment goes on: a write to the share waits for the host
PATIENCE_S = 60.0
PYTHON = sys.executable


@frozen
class Radio:
    """A simulated radio; hwsim: its address in scenarios; namespace: "" for the first one."""

    phy: str
    interface: str
    address: str
    namespace: str

    @property
    def hwsim(self) -> str:
        """Its address for the medium."""
        return f"{int(self.address[:2], 16) | 0x40:02x}{self.address[2:]}"


def run(*words: str, namespace: str = "", env: Mapping[str, str] | None = None) -> str:
    """A command's standard output; CalledProcessError, with what it said in our own output, if it fails."""
    done = subprocess.run(
        _in(namespace, words),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        env={**os.environ, **(env or {})},
    )
    return done.stdout


def start(
    name: str,
    *words: str,
    namespace: str = "",
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
) -> "subprocess.Popen[str]":
    """A process; what it says goes to the file NAME.log among the results."""
    with log(name).open("ab") as file:
        return subprocess.Popen(
            _in(namespace, words),
            stdin=stdin,
            stdout=file if stdout is None else stdout,
            stderr=file if stdout is None else None,
            text=True,
            env={**os.environ, **(env or {})},
        )


def log(name: str) -> Path:
    """The file of what a process says."""
    return LOGS / f"{name}.log"


def there(file: Path) -> None:
    """Wait for a file."""
    wait_until(file.exists, PATIENCE_S)


def said(name: str, text: str) -> None:
    """Wait until a process has said something."""
    wait_until(lambda: log(name).exists() and text in log(name).read_text(errors="replace"), PATIENCE_S)


def written(file: Path) -> None:
    """Wait until a file has something in it."""
    wait_until(lambda: file.exists() and file.stat().st_size > 0, PATIENCE_S)


def pause(s: float) -> None:
    """Let time pass: it is what the experiment is about, not a wait for something."""
    end_ns = monotonic_ns() + round(s * 1e9)
    wait_until(lambda: monotonic_ns() >= end_ns, s + PATIENCE_S)


def _in(namespace: str, words: Sequence[str]) -> list[str]:
    return ["ip", "netns", "exec", namespace, *words] if namespace else list(words)


# ---- radios


def make_radios(*names: str) -> dict[str, Radio]:
    """One radio for each name, in a namespace of that name."""
    run("modprobe", "mac80211_hwsim", f"radios={len(names)}")
    made = {}
    phys = sorted(Path("/sys/class/ieee80211").iterdir(), key=lambda p: int((p / "index").read_text()))
    assert len(phys) == len(names)
    for name, phy in zip(names, phys, strict=True):
        (device,) = (phy / "device/net").iterdir()
        radio = Radio(phy.name, device.name, (device / "address").read_text().strip(), name)
        run("ip", "netns", "add", name)
        run("iw", "phy", phy.name, "set", "netns", "name", name)
        run("ip", "link", "set", "lo", "up", namespace=name)
        made[name] = radio
    return made


class Air:
    """The medium, which plays scenarios; radios: by the names that scenarios use."""

    def __init__(self, radios: Mapping[str, Radio]) -> None:
        self._radios = {name: radio.hwsim for name, radio in radios.items()}
        self._number = 0
        self._process = start(
            "medium", PYTHON, "-m", "radio.medium", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._line() == "ready"

    def play(self, paths: Sequence[Mapping[str, Any]], **settings: float) -> int:
        """Play a scenario (radio.scenario) from now on; when that is, in ns of CLOCK_MONOTONIC."""
        self._number += 1
        file = LOGS / f"scenario-{self._number}.toml"
        lines = [f"{key} = {value}" for key, value in settings.items()]
        lines += [
            "[radios]",
            *(f"{_toml(name)} = {_toml(address)}" for name, address in self._radios.items()),
        ]
        for path in paths:
            lines += ["[[paths]]", *(f"{key} = {_toml(value)}" for key, value in path.items())]
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return self._tell("play", file)

    def forge(self, radio: Radio, count: int, *, ssid: str, channel: int, seed: int) -> None:
        """Have a radio hear forged beacons (radio.beacons) on a channel, as fast as the medium can."""
        file = LOGS.parent / "forged"
        beacons.forge(file, radio.hwsim, count, ssid=ssid, channel=channel, seed=seed)
        assert self._tell("forge", file) >= count

    def _tell(self, word: str, file: Path) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {file}\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _toml(value: object) -> str:
    return json.dumps(value)  # strings, numbers, booleans and lists of them are written alike


def steady(sender: str, receiver: str, dbm: float, **more: object) -> dict[str, object]:
    """A path of a scenario that stays at one level, both ways."""
    return {"from": sender, "to": receiver, "dbm": [[0, dbm]], "both_ways": True, **more}


# ---- access points and stations


@define
class Control:
    """The control socket of hostapd or wpa_supplicant."""

    path: Path
    _socket: socket.socket | None = None

    def ask(self, command: str) -> str:
        """Its answer to a command; OSError where nobody is there."""
        if self._socket is None:
            own = LOGS / f"control-{os.getpid()}-{monotonic_ns()}"
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            opened.bind(str(own))
            opened.settimeout(PATIENCE_S)
            opened.connect(str(self.path))
            self._socket = opened
        self._socket.send(command.encode())
        return self._socket.recv(65536).decode(errors="replace").strip()

    def status(self) -> dict[str, str]:
        """STATUS, as keys and values."""
        return dict(line.split("=", 1) for line in self.ask("STATUS").splitlines() if "=" in line)

    def wait_there(self) -> None:
        """Wait until it answers."""

        def there() -> bool:
            try:
                return self.ask("PING") == "PONG"
            except OSError:
                self._socket = None
                return False

        wait_until(there, PATIENCE_S)


OPEN, WPA2 = "", "under the apple tree"  # what a network asks for


def access_point(
    radio: Radio, *, channel: int, ssid: str, passphrase: str = OPEN, name: str = "", more: str = ""
) -> tuple[Control, "subprocess.Popen[str]"]:
    """A hostapd on a radio, beaconing; its log, hostapd-NAME (by default the namespace's), has times."""
    name = f"hostapd-{name or radio.namespace}"
    control = LOGS.parent / name
    text = (
        f"interface={radio.interface}\ndriver=nl80211\nssid={ssid}\nhw_mode=g\nchannel={channel}\n"
        f"ctrl_interface={control}\n{more}"
    )
    if passphrase:
        text += f"wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase={passphrase}\n"
    file = LOGS / f"{name}.conf"
    file.write_text(text, encoding="utf-8")
    process = start(name, "hostapd", "-t", str(file), namespace=radio.namespace)
    found = Control(control / radio.interface)
    found.wait_there()
    wait_until(lambda: found.status().get("state") == "ENABLED", PATIENCE_S)
    return found, process


def station(
    radio: Radio, *, ssid: str, frequencies: Sequence[int], passphrase: str = OPEN, name: str = ""
) -> tuple[Control, "subprocess.Popen[str]"]:
    """A wpa_supplicant on a radio (log: supplicant-NAME); it joins the network by itself."""
    name = f"supplicant-{name or radio.namespace}"
    control = LOGS.parent / name
    heard = " ".join(map(str, frequencies))
    secret = f'psk="{passphrase}"' if passphrase else "key_mgmt=NONE"
    file = LOGS / f"{name}.conf"
    network = f'ssid="{ssid}"\nscan_freq={heard}\nfreq_list={heard}\n{secret}'
    file.write_text(f"ctrl_interface={control}\nnetwork={{\n{network}\n}}\n", encoding="utf-8")
    words = ("wpa_supplicant", "-t", "-D", "nl80211", "-i", radio.interface, "-c", str(file))
    process = start(name, *words, namespace=radio.namespace)
    found = Control(control / radio.interface)
    found.wait_there()
    return found, process


def hear(radio: Radio, *frequencies: int) -> None:
    """Scan as soon as the radio is free to, to the end."""
    _scan(radio, "scan", "freq", *map(str, frequencies))


def begin_scan(radio: Radio, *frequencies: int, passive: bool = False) -> None:
    """Begin to scan as soon as the radio is free to; passive: ask for nothing."""
    words = ("passive",) if passive else ()
    _scan(radio, "scan", "trigger", "freq", *map(str, frequencies), *words)


def _scan(radio: Radio, *words: str) -> None:
    command = _in(radio.namespace, ("iw", "dev", radio.interface, *words))

    def accepted() -> bool:
        return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False).returncode == 0

    wait_until(accepted, PATIENCE_S)


def joined(station_control: Control, bssid: str = "") -> None:
    """Wait until a station is connected, with keys where the network has them; bssid: where."""

    def is_so() -> bool:
        status = station_control.status()
        return status.get("wpa_state") == "COMPLETED" and bssid in {"", status.get("bssid")}

    wait_until(is_so, PATIENCE_S)


# ---- LIES


@frozen
class Lies:
    """A daemon in a namespace, and commands that speak to it."""

    namespace: str
    directory: Path
    process: "subprocess.Popen[str]"

    @property
    def env(self) -> dict[str, str]:
        """The environment of its clients."""
        return {"LIES_RUNTIME_DIR": str(self.directory), "NO_COLOR": "1"}

    def begin(self, name: str, *words: str) -> "subprocess.Popen[str]":
        """Begin a command `lies WORDS`."""
        return start(name, PYTHON, "-m", "lies", *words, namespace=self.namespace, env=self.env)

    def run(self, *words: str) -> str:
        """What a command `lies WORDS` prints."""
        return run(PYTHON, "-m", "lies", *words, namespace=self.namespace, env=self.env)


def daemon(
    namespace: str, config: str = "[drivers.nl80211]\n", name: str = "", more: Mapping[str, str] | None = None
) -> Lies:
    """`lies run` in a namespace, ready for clients; its log: lies-NAME, by default the namespace's.

    more: for its environment.
    """
    name = f"lies-{name or namespace}"
    file = LOGS / f"{name}.toml"
    file.write_text(config, encoding="utf-8")
    directory = LOGS.parent / name
    env = {"LIES_RUNTIME_DIR": str(directory), "NO_COLOR": "1", **(more or {})}
    process = start(name, PYTHON, "-m", "lies", "run", "-c", str(file), namespace=namespace, env=env)
    wait_until(lambda: (directory / "publish").exists() or process.poll() is not None, PATIENCE_S)
    return Lies(namespace, directory, process)


def listen(daemon_: Lies, name: str, *links: str) -> None:
    """Have a consumer write every event and when it came (radio.listener); returns once it listens."""
    words = (PYTHON, "-m", "radio.listener", str(LOGS / f"{name}.ndjson"), *links)
    start(name, *words, namespace=daemon_.namespace, env=daemon_.env)
    there(LOGS / f"{name}.ndjson")


# ---- results


def mark(event: str, **values: object) -> None:
    """Note what the experiment does, with the time by both clocks."""
    line = json.dumps({"event": event, "mono_ns": monotonic_ns(), "wall_ns": wall_ns(), **values})
    with (LOGS / "marks.ndjson").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def keep(name: str, text: str) -> None:
    """A file among the results."""
    (LOGS / name).write_text(text, encoding="utf-8")


TRACING = Path("/sys/kernel/tracing")


def trace_kernel(*events: str) -> None:
    """Have the kernel note when it comes by these places, by CLOCK_MONOTONIC; the file `kernel` has it."""
    (TRACING / "trace_clock").write_text("mono")
    for event in events:
        (TRACING / "events" / event / "enable").write_text("1")


def experiment(main: Callable[[], None]) -> None:
    """Run it, and bring what was written out of the machine, however it ended."""
    LOGS.mkdir(parents=True)
    try:
        main()
    finally:
        shutil.copyfile(TRACING / "trace", SHARE / "kernel")
        for file in LOGS.iterdir():
            if file.is_file():
                shutil.copyfile(file, SHARE / file.name)
