"""A link is noisy and goes nowhere, others come and go; then it fades until it breaks."""

from polling import wait_until

from radio.guest import (
    LOGS,
    PATIENCE_S,
    Air,
    Control,
    Lies,
    Radio,
    access_point,
    daemon,
    experiment,
    hear,
    joined,
    keep,
    make_radios,
    mark,
    pause,
    run,
    start,
    station,
    steady,
    written,
)

FLAT_S = 45.0
FLAT_DBM, NOISE_DB = -70, 6
FADES = 3
FADE_S = 10.0
FROM_DBM, TO_DBM = -40, -90  # no frame is heard at the latter
STILL_S = 2.0  # before it fades
FREQUENCIES = (2412, 2437)
NOISE_FLOOR_DBM = -92  # that the simulated radios report
# a fade of 5 dB/s is told anew every second: a claim of 4 s is half over when the next one may come else
CONFIG = f"""[drivers.nl80211.abstract]
renew_s = 1.0
[drivers.nl80211.abstract.wifi]
break_db = {TO_DBM - NOISE_FLOOR_DBM}
"""


def main() -> None:
    """All of it."""
    radios = make_radios("ap1", "ap2", "sta")
    air = Air(radios)
    flat = steady("ap1", "sta", FLAT_DBM, noise_db=NOISE_DB)
    air.play([flat, steady("ap2", "sta", -60)])
    start("iw-event", "iw", "event", "-t", namespace="sta")
    access_point(radios["ap1"], channel=1, ssid="orchard")
    access_point(radios["ap2"], channel=6, ssid="cellar")
    lies = daemon("sta", f"[drivers.nl80211]\n{CONFIG}")
    lies.begin("record", "record", "-o", str(LOGS / "signal.ndjson"))
    written(LOGS / "signal.ndjson")
    sta, _ = station(radios["sta"], ssid="orchard", frequencies=FREQUENCIES)
    joined(sta)
    hear(radios["sta"], *FREQUENCIES)
    pause(1)
    _compare("both", lies, radios["sta"])
    air.play([flat])
    mark("begin", phase="flat")
    pause(FLAT_S)
    mark("end", phase="flat")
    _compare("one", lies, radios["sta"])
    for _ in range(FADES):
        _fade(air, sta)


def _fade(air: Air, sta: Control) -> None:
    air.play([steady("ap1", "sta", FROM_DBM)])
    sta.ask("REASSOCIATE")  # nothing of the noise before
    joined(sta)
    pause(3)
    fall = [[0, FROM_DBM], [STILL_S, FROM_DBM], [STILL_S + FADE_S, TO_DBM]]
    began_ns = air.play([{"from": "ap1", "to": "sta", "dbm": fall, "both_ways": True}], floor_dbm=TO_DBM)
    mark("begin", phase="fade", began_ns=began_ns)
    wait_until(lambda: sta.status().get("wpa_state") != "COMPLETED", PATIENCE_S)
    pause(0.5)
    mark("end", phase="fade")


def _compare(name: str, lies: Lies, radio: Radio) -> None:
    """What the kernel lists, and what the daemon says is heard."""
    keep(f"scan-{name}.txt", run("iw", "dev", radio.interface, "scan", "dump", namespace=radio.namespace))
    keep(f"poas-{name}.ndjson", lies.run("poas", radio.interface, "-j"))
    mark("compared", name=name)


if __name__ == "__main__":
    experiment(main)
