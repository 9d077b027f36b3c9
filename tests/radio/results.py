"""What an experiment has left in its share, for the tests that judge it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

_IW = re.compile(r"(\d+)\.(\d{6}): (\S+?):? (?:\(phy #\d+\):? )?(.*)")
_KERNEL = re.compile(r".* (\d+)\.(\d{6}): (\w+): netdev:(\w+)\(\d+\), (?:mac: )?(\S+)")
_LOG = re.compile(r"(\d+)\.(\d{6}): (.*)")
_S = 1_000_000_000


@frozen
class Said:
    """A line of a judge: iw, hostapd or wpa_supplicant (wall clock), the kernel (CLOCK_MONOTONIC)."""

    t_ns: int
    what: str
    interface: str = ""
    address: str = ""


@frozen
class Span:
    """A part of an experiment, by both clocks."""

    began: dict[str, Any]
    ended: dict[str, Any]

    def holds(self, event: dict[str, Any]) -> bool:
        """Whether something with mono_ns happened in it."""
        return bool(self.began["mono_ns"] <= event["mono_ns"] <= self.ended["mono_ns"])

    def mono(self, said: Said) -> bool:
        """As `holds`, of the kernel's lines."""
        return bool(self.began["mono_ns"] <= said.t_ns <= self.ended["mono_ns"])

    def wall(self, said: Said) -> bool:
        """As `holds`, of lines by the wall clock."""
        return bool(self.began["wall_ns"] <= said.t_ns <= self.ended["wall_ns"])


@frozen
class Results:
    """The files of one machine."""

    folder: Path

    def lines(self, name: str) -> list[str]:
        """The lines of a text file."""
        return (self.folder / name).read_text(encoding="utf-8", errors="replace").splitlines()

    def objects(self, name: str) -> list[dict[str, Any]]:
        """The lines of NAME.ndjson, but for one that was being written at the end."""
        return [json.loads(line) for line in self.lines(f"{name}.ndjson") if line.endswith("}")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a recording, or of a listener."""
        return [o for o in self.objects(name) if "mono_ns" in o]

    def marks(self, event: str, **values: object) -> list[dict[str, Any]]:
        """What the experiment noted."""
        marks = self.objects("marks")
        return [m for m in marks if m["event"] == event and all(m.get(k) == v for k, v in values.items())]

    def span(self, phase: str) -> Span:
        """What lies between the marks `begin` and `end` of a phase."""
        (began,) = self.marks("begin", phase=phase)
        (ended,) = self.marks("end", phase=phase)
        return Span(began, ended)

    def iw(self, interface: str) -> Iterator[Said]:
        """What `iw event -t` printed of an interface."""
        for line in self.lines("iw-event.log"):
            found = _IW.fullmatch(line)
            if found is not None and found[3] == interface:
                yield Said(_ns(found[1], found[2]), found[4], interface)

    def log(self, name: str) -> Iterator[Said]:
        """The lines of hostapd-... or supplicant-..., without the times that they begin with."""
        for line in self.lines(f"{name}.log"):
            found = _LOG.fullmatch(line)
            if found is not None:
                yield Said(_ns(found[1], found[2]), found[3])

    def kernel(self, interface: str) -> Iterator[Said]:
        """When the kernel came by the places that were traced."""
        for line in self.lines("kernel"):
            found = _KERNEL.fullmatch(line)
            if found is not None and found[4] == interface:
                yield Said(_ns(found[1], found[2]), found[3], interface, found[5])


def _ns(seconds: str, micros: str) -> int:
    return int(seconds) * _S + int(micros) * 1000
