"""A station roams between two access points of an open network."""

from radio.guest import (
    Air,
    access_point,
    daemon,
    experiment,
    joined,
    listen,
    make_radios,
    mark,
    pause,
    start,
    station,
    steady,
)

ROAMS = 4


def main() -> None:
    """Roam."""
    radios = make_radios("ap1", "ap2", "sta")
    Air(radios).play([steady("ap1", "sta", -50), steady("ap2", "sta", -55)])
    start("iw-event", "iw", "event", "-t", namespace="sta")
    for channel, name in ((1, "ap1"), (6, "ap2")):
        access_point(radios[name], channel=channel, ssid="orchard")
    lies = daemon("sta")
    listen(lies, "heard")
    sta = station(radios["sta"], ssid="orchard", frequencies=(2412, 2437))
    joined(sta)
    for _ in range(ROAMS):
        there = sta.status()["bssid"]
        (to,) = {radios["ap1"].address, radios["ap2"].address} - {there}
        sta.ask("SCAN freq=2412,2437")
        pause(1)
        assert sta.ask(f"ROAM {to}") == "OK"
        joined(sta, to)
        mark("roamed", to=to)
    pause(1)


if __name__ == "__main__":
    experiment(main)
