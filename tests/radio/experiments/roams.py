"""A station roams between access points: of an open network, beside a bare listener, then of a protected one.

One daemon is the station's, another an access point's.
"""

import subprocess

from radio.guest import (
    LOGS,
    OPEN,
    PYTHON,
    WPA2,
    Air,
    Control,
    Radio,
    access_point,
    daemon,
    experiment,
    hear,
    joined,
    listen,
    make_radios,
    mark,
    pause,
    start,
    station,
    steady,
    there,
    trace_kernel,
)

ROAMS = 20
DELAYS = 12
DWELL_S = 0.4  # at an access point: long enough that it is a roam and no failed attempt
CHANNELS = {"ap1": 1, "ap2": 6}
FREQUENCIES = (2412, 2437)
_PROBES = ("cfg80211/cfg80211_del_sta", "cfg80211/cfg80211_send_rx_assoc")


def main() -> None:
    """All of it."""
    radios = make_radios("ap1", "ap2", "sta")
    Air(radios).play([steady("ap1", "sta", -50), steady("ap2", "sta", -55)])
    start("iw-event", "iw", "event", "-t", namespace="sta")
    trace_kernel(*_PROBES)

    points, sta, programs = _network(radios, "orchard", OPEN)
    _beside_the_floor(radios, sta)
    lies = daemon("sta")
    listen(lies, "heard")
    _roams(radios, sta, "delay", DELAYS)
    here = daemon("ap1")
    listen(here, "cell")
    _roams(radios, sta, "open", ROAMS)
    _end(points, sta, programs)

    points, sta, programs = _network(radios, "cellar", WPA2)
    _roams(radios, sta, "protected", ROAMS)
    _end(points, sta, programs)


def _network(
    radios: dict[str, Radio], ssid: str, passphrase: str
) -> tuple[list[Control], Control, list["subprocess.Popen[str]"]]:
    """Two access points and a station that has joined one of them."""
    points, programs = [], []
    for name, channel in CHANNELS.items():
        control, process = access_point(
            radios[name], name=f"{ssid}-{name}", channel=channel, ssid=ssid, passphrase=passphrase
        )
        points.append(control)
        programs.append(process)
    sta, process = station(
        radios["sta"], name=f"{ssid}-sta", ssid=ssid, passphrase=passphrase, frequencies=FREQUENCIES
    )
    joined(sta)
    return points, sta, [*programs, process]


def _end(points: list[Control], sta: Control, programs: list["subprocess.Popen[str]"]) -> None:
    for control in (sta, *points):
        control.ask("TERMINATE")
    for process in programs:
        process.wait(60)


def _roams(radios: dict[str, Radio], sta: Control, phase: str, count: int) -> None:
    addresses = {radios[name].address for name in CHANNELS}
    pause(DWELL_S)
    mark("begin", phase=phase)
    for number in range(count):
        if number % 10 == 0:
            hear(radios["sta"], *FREQUENCIES)
        (to,) = addresses - {sta.status()["bssid"]}
        pause(DWELL_S)
        assert sta.ask(f"ROAM {to}") == "OK"
        joined(sta, to)
        mark("roamed", phase=phase, to=to)
    pause(DWELL_S)
    mark("end", phase=phase)


def _beside_the_floor(radios: dict[str, Radio], sta: Control) -> None:
    file = LOGS / "floor.ndjson"
    floor = start("floor", PYTHON, "-m", "radio.floor", str(file), namespace="sta")
    there(file)
    _roams(radios, sta, "floor", DELAYS)
    floor.kill()
    floor.wait()


if __name__ == "__main__":
    experiment(main)
