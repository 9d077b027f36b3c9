"""What a recording holds of numbered events."""

from pathlib import Path

from attrs import define, field

from lies.events import DownReason, LinkDown, LinkUp
from lies.trace import read_recording
from soak.account import number_of


@define
class Recorded:
    """Counted while it is read; holes: numbers missing without a word."""

    sessions: int = 0
    events: int = 0
    holes: int = 0
    damaged: int = 0
    last_ns: int = 0
    _last: dict[str, tuple[int, int]] = field(factory=dict)

    def read(self, path: Path) -> "Recorded":
        """Read all of it; what was told to be missing is no hole."""
        for record in read_recording(path):
            match record.event:
                case LinkUp():
                    self._up(record.event)
                case LinkDown(header=header, reason=DownReason.DRIVER_LOST):
                    self._last.pop(header.link.name, None)
            if record.type in {"header", "snapshot"}:
                self._last.clear()
                self.sessions += record.type == "header"
            self.damaged += record.type == "damaged"
        return self

    def _up(self, event: LinkUp) -> None:
        number, epoch, link = number_of(event.poa), event.header.epoch, event.header.link.name
        assert number is not None
        last = self._last.get(link)
        self.holes += last is not None and last != (epoch, number - 1)
        self._last[link] = epoch, number
        self.events += 1
        self.last_ns = max(self.last_ns, event.header.mono_ns)
