"""What goes wrong with a station: everything that takes its link away, lost messages, forged beacons."""

import json
import signal
import struct
from pathlib import Path

from polling import wait_until

from lies.bus import BlockingClient
from radio.guest import (
    LOGS,
    PATIENCE_S,
    Air,
    Control,
    Lies,
    Radio,
    access_point,
    begin_scan,
    daemon,
    experiment,
    hear,
    joined,
    keep,
    listen,
    log,
    make_radios,
    mark,
    pause,
    run,
    said,
    start,
    station,
    steady,
)

CHANNELS = {"ap1": 1, "ap2": 6}
FREQUENCIES = (2412, 2417, 2437)
SSID = "orchard"
BEACONS = 10_000
SCANS = 8  # of 0.15 s: beacons of others are heard while the radio scans
SETTLE_S = 1.0
_RFKILL = struct.Struct("=IBBBB")  # number, type, operation, soft, hard (linux/rfkill.h)
_CHANGE, _WLAN = 2, 1
_BUFFER = Path("/proc/sys/net/core/rmem_max")


def main() -> None:
    """One after another; each ends with the link up again."""
    radios = make_radios(*CHANNELS, "sta")
    air = Air(radios)
    air.play([steady("ap1", "sta", -50), steady("ap2", "sta", -55)])
    start("iw-event", "iw", "event", "-t", namespace="sta")
    points = {n: access_point(radios[n], channel=c, ssid=SSID)[0] for n, c in CHANNELS.items()}
    lies = daemon("sta")
    listen(lies, "heard")
    bench = Bench(radios, air, points, lies)
    bench.supply()
    for phase in (
        bench.peer,
        bench.channel,
        bench.admin,
        bench.rfkill,
        bench.killed,
        bench.removed,
        bench.overrun,
        bench.flood,
    ):
        mark("begin", phase=phase.__name__)
        phase()
        joined(bench.sta)
        pause(SETTLE_S)
        mark("end", phase=phase.__name__)


class Bench:
    """Two access points, a station, and the daemon beside it."""

    def __init__(self, radios: dict[str, Radio], air: Air, points: dict[str, Control], lies: Lies) -> None:
        self.radios, self.air, self.points, self.lies = radios, air, points, lies
        self.radio = radios["sta"]
        self._supplicants = 0

    def supply(self) -> None:
        """Start a wpa_supplicant, and be at the first access point."""
        self._supplicants += 1
        name = f"sta{self._supplicants}"
        self.sta, self.supplicant = station(self.radio, ssid=SSID, frequencies=FREQUENCIES, name=name)
        joined(self.sta)
        self.at("ap1")

    def at(self, name: str) -> None:
        """Be at an access point."""
        address = self.radios[name].address
        if self.sta.status()["bssid"] != address:
            hear(self.radio, *FREQUENCIES)
            assert self.sta.ask(f"ROAM {address}") == "OK"
            joined(self.sta, address)
        pause(SETTLE_S)

    # ---- faults

    def peer(self) -> None:
        """The access point ends it."""
        self.points["ap1"].ask(f"DEAUTHENTICATE {self.radio.address} reason=5")
        pause(SETTLE_S)
        self.at("ap1")

    def channel(self) -> None:
        """The access point moves to another channel, and the station with it."""
        assert self.points["ap1"].ask("CHAN_SWITCH 5 2417") == "OK"
        wait_until(lambda: self.points["ap1"].status().get("freq") == "2417", PATIENCE_S)
        pause(SETTLE_S)

    def admin(self) -> None:
        """The interface is set down and up again."""
        self._set("down")
        pause(SETTLE_S)
        self._set("up")
        joined(self.sta)
        self.at("ap1")

    def rfkill(self) -> None:
        """The radio is switched off and on again."""
        self._block(1)
        pause(SETTLE_S)
        self._block(0)
        self._set("up")
        joined(self.sta)
        self.at("ap1")

    def killed(self) -> None:
        """wpa_supplicant dies; after a while another one is started."""
        self.supplicant.kill()
        self.supplicant.wait()
        pause(SETTLE_S)
        keep("link-killed.txt", run("iw", "dev", self.radio.interface, "link", namespace="sta"))
        mark("started again")
        self.supply()

    def removed(self) -> None:
        """The interface is deleted while it is up, and made anew."""
        run("iw", "dev", self.radio.interface, "del", namespace="sta")
        pause(SETTLE_S)
        self._links("removed")
        self.supplicant.kill()
        self.supplicant.wait()
        radio = self.radio
        words = ("phy", radio.phy, "interface", "add", radio.interface, "type", "managed")
        run("iw", *words, namespace="sta")
        mark("made anew")
        self.supply()

    def flood(self) -> None:
        """Ten thousand forged beacons, half of them malformed, while the station scans its own channel."""
        self._memory("before")
        self.air.forge(self.radio, BEACONS, ssid=SSID, channel=CHANNELS["ap2"], seed=1)
        for _ in range(SCANS):
            begin_scan(self.radio, FREQUENCIES[-1], passive=True)
        hear(self.radio, FREQUENCIES[-1])
        pause(SETTLE_S)
        dump = run("iw", "dev", self.radio.interface, "scan", "dump", namespace="sta")
        mark("forged", heard=sum(line.startswith("BSS ") for line in dump.splitlines()))
        with self._bus() as bus:
            poas = [p.poa for p in bus.poa_list(self.radio.interface).poas]
        keep("poas-flood.ndjson", json.dumps({"poas": poas}) + "\n")
        self._memory("after")

    def overrun(self) -> None:
        """The daemon, with a small buffer, is stopped while the station moves; then it goes on.

        Once so long that its consumer takes it for gone, with the station elsewhere at the end; once as
        short as can be, with the station where it was before.
        """
        self.lies.process.send_signal(signal.SIGTERM)
        mark("ended", code=self.lies.process.wait(PATIENCE_S))
        usual = _BUFFER.read_text()
        _BUFFER.write_text("4608")
        self.lies = daemon("sta", name="small")
        listen(self.lies, "late")
        said("lies-small", "attached to")  # with a socket of that size
        _BUFFER.write_text(usual)
        self._stopped("there", "ap2", "ap1", "ap2")
        self._stopped("back", "ap1", "ap2", "ap1", "ap2")

    def _stopped(self, case: str, *moves: str) -> None:
        gaps = self._gaps()
        self.lies.process.send_signal(signal.SIGSTOP)
        mark("stopped", case=case, lines=_lines("lies-small"))
        for name in moves:
            hear(self.radio, *FREQUENCIES[::2])
            assert self.sta.ask(f"ROAM {self.radios[name].address}") == "OK"
            joined(self.sta, self.radios[name].address)
        if case == "there":
            wait_until(lambda: self._gaps() > gaps, PATIENCE_S)  # the consumer's own, for a silent daemon
        mark("continued", case=case)
        self.lies.process.send_signal(signal.SIGCONT)
        pause(SETTLE_S)
        mark("settled", case=case, lines=_lines("lies-small"))
        self._links(case)

    def _gaps(self) -> int:
        return (LOGS / "late.ndjson").read_text(encoding="utf-8").count('"gap"')

    def _links(self, when: str) -> None:
        """What the daemon says of its links; not by `lies links`, whose start takes the machine a second."""
        with self._bus() as bus:
            lines = [json.dumps({"link": s.link.name, "up": s.up, "poa": s.poa}) for s in bus.links()]
        keep(f"links-{when}.ndjson", "".join(f"{line}\n" for line in lines))

    def _bus(self) -> BlockingClient:
        return BlockingClient.connect(self.lies.directory, name="experiment", timeout_s=PATIENCE_S)

    def _set(self, state: str) -> None:
        run("ip", "link", "set", self.radio.interface, state, namespace="sta")

    def _block(self, blocked: int) -> None:
        """Every radio's switch of this kind: the kernel's is not of a namespace."""
        index = run("sh", "-c", f"cat /sys/class/ieee80211/{self.radio.phy}/rfkill*/index", namespace="sta")
        with Path("/dev/rfkill").open("r+b", buffering=0) as switch:
            switch.write(_RFKILL.pack(int(index), _WLAN, _CHANGE, blocked, 0))

    def _memory(self, when: str) -> None:
        status = Path(f"/proc/{self.lies.process.pid}/status").read_text(encoding="ascii")
        (kb,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        mark("memory", when=when, kb=int(kb))


def _lines(name: str) -> int:
    return len(log(name).read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    experiment(main)
