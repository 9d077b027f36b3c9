"""What an experiment has left in its share, for the tests that judge it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

_IW = re.compile(r"(?P<s>\d+)\.(?P<us>\d{6}): (?P<interface>\S+?):? (?:\(phy #\d+\):? )?(?P<what>.*)")


@frozen
class IwEvent:
    """One line of `iw event -t`."""

    wall_ns: int
    interface: str
    what: str


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

    def marks(self, event: str, **values: object) -> list[dict[str, Any]]:
        """What the experiment noted."""
        marks = self.objects("marks")
        return [m for m in marks if m["event"] == event and all(m[k] == v for k, v in values.items())]

    def iw(self, interface: str) -> Iterator[IwEvent]:
        """What `iw event -t` printed of an interface."""
        for line in self.lines("iw-event.log"):
            found = _IW.fullmatch(line)
            if found is not None and found["interface"] == interface:
                wall_ns = int(found["s"]) * 1_000_000_000 + int(found["us"]) * 1000
                yield IwEvent(wall_ns, interface, found["what"])
