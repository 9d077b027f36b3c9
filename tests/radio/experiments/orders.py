"""LinkConnect and LinkDisconnect through wpa_supplicant on D-Bus: followed, refused, and with it dead."""

import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
from polling import wait_until

from lies.bus import BlockingClient
from lies.errors import LinkError
from lies.events import Indication, LinkActionFailed, LinkDown, LinkUp, Raw
from lies.events.json import to_json_object
from lies.runtime import monotonic_ns
from radio.guest import (
    LOGS,
    OPEN,
    PATIENCE_S,
    WPA2,
    Air,
    Control,
    Radio,
    access_point,
    daemon,
    experiment,
    joined,
    keep,
    make_radios,
    mark,
    start,
    steady,
    there,
)

ROAMS = 5
HOME, AWAY = "orchard", "meadow"
CHANNELS = {"ap1": (1, HOME, WPA2), "ap2": (6, HOME, WPA2), "ap3": (11, AWAY, OPEN)}
BUS = LOGS.parent / "bus"
_ENV = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={BUS}"}
_SCANNED = "2412 2437 2462"
_NETWORKS = f"""
network={{
ssid="{HOME}"
psk="{WPA2}"
scan_freq={_SCANNED}
}}
network={{
ssid="{AWAY}"
key_mgmt=NONE
scan_freq={_SCANNED}
}}
"""


class Watch:
    """A consumer that gives orders and writes down what it is told, in the file `orders`."""

    def __init__(self, bus: BlockingClient) -> None:
        self.bus = bus
        self._file = (LOGS / "orders.ndjson").open("wb", buffering=0)

    def until(self, holds: Callable[[Indication | Raw], bool]) -> None:
        """Take events up to one for which it holds."""
        while True:
            event = self.bus.next_event(PATIENCE_S)
            assert event is not None
            line = {"came_ns": monotonic_ns(), **to_json_object(event)}
            self._file.write(msgspec.json.encode(line) + b"\n")
            if holds(event):
                return

    def connect(self, link: str, poa: str, **about: Any) -> None:
        """Order it, and wait for it to come true."""
        mark("ordered", poa=poa, **about)
        self.bus.link_connect(link, poa)
        self.until(lambda e: isinstance(e, LinkUp) and e.poa == poa)
        mark("followed", poa=poa, **about)


def main() -> None:
    """All of it."""
    radios = make_radios(*CHANNELS, "sta")
    Air(radios).play([steady(name, "sta", -50) for name in CHANNELS])
    points = {}
    for name, (channel, ssid, passphrase) in CHANNELS.items():
        points[name], _ = access_point(radios[name], channel=channel, ssid=ssid, passphrase=passphrase)
    start("bus", "dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address=unix:path={BUS}")
    there(BUS)
    sta, process = _supply(radios["sta"])
    joined(sta)
    lies = daemon("sta", more=_ENV)
    with BlockingClient.connect(lies.directory, name="orders", timeout_s=PATIENCE_S) as bus:
        for kind in ("link_up", "link_down", "link_action"):
            bus.register(kind)
        _scenes(Watch(bus), radios, points, sta, process)


def _scenes(
    watch: Watch,
    radios: dict[str, Radio],
    points: dict[str, Control],
    sta: Control,
    process: "subprocess.Popen[str]",
) -> None:
    link = radios["sta"].interface
    at = {name: radios[name].address for name in CHANNELS}
    bus = watch.bus
    wait_until(lambda: any(s.up and s.controllable for s in bus.links(link)), PATIENCE_S)
    wait_until(lambda: set(at.values()) <= {p.poa for p in bus.poa_list(link).poas}, PATIENCE_S)
    mark("begin", phase="roams")
    for _ in range(ROAMS):
        (to,) = {at["ap1"], at["ap2"]} - {sta.status()["bssid"]}
        watch.connect(link, to, phase="roams")
    mark("end", phase="roams")

    mark("begin", phase="networks")
    for name in ("ap3", "ap1"):
        watch.connect(link, at[name], phase="networks")
        wait_until(lambda: "DISABLED" not in sta.ask("LIST_NETWORKS"), PATIENCE_S)
        keep(f"networks-{name}.txt", "\n".join(sta.ask(f"GET_NETWORK {n} bssid") for n in range(2)))
    mark("end", phase="networks")

    mark("begin", phase="disconnected")
    bus.link_disconnect(link)
    watch.until(lambda e: isinstance(e, LinkDown))
    watch.connect(link, at["ap2"], phase="disconnected")
    mark("end", phase="disconnected")

    mark("begin", phase="refused")
    assert points["ap1"].ask(f"DENY_ACL ADD_MAC {radios['sta'].address}") == "OK"
    bus.link_connect(link, at["ap1"])
    watch.until(lambda e: isinstance(e, LinkActionFailed))
    mark("end", phase="refused")
    assert points["ap1"].ask(f"DENY_ACL DEL_MAC {radios['sta'].address}") == "OK"

    mark("begin", phase="killed")
    process.kill()
    process.wait()
    wait_until(lambda: not any(s.controllable for s in bus.links(link)), PATIENCE_S)
    try:
        bus.link_connect(link, at["ap1"])
    except LinkError as error:
        keep("killed.txt", str(error))
    sta, _ = _supply(radios["sta"], "again")
    joined(sta)
    wait_until(lambda: any(s.up and s.controllable for s in bus.links(link)), PATIENCE_S)
    (to,) = {at["ap1"], at["ap2"]} - {sta.status()["bssid"]}
    wait_until(lambda: to in {p.poa for p in bus.poa_list(link).poas}, PATIENCE_S)
    watch.connect(link, to, phase="killed")
    mark("end", phase="killed")


def _supply(radio: Radio, name: str = "first") -> tuple[Control, "subprocess.Popen[str]"]:
    """A wpa_supplicant with both networks, on the bus."""
    control = LOGS.parent / f"supplicant-{name}"
    file = LOGS / f"supplicant-{name}.conf"
    file.write_text(f"ctrl_interface={control}\n{_NETWORKS}", encoding="utf-8")
    words = ("wpa_supplicant", "-t", "-u", "-D", "nl80211", "-i", radio.interface, "-c", str(file))
    process = start(f"supplicant-{name}", *words, namespace=radio.namespace, env=_ENV)
    found = Control(control / radio.interface)
    found.wait_there()
    return found, process


if __name__ == "__main__":
    experiment(main)
