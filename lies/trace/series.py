"""Rotated recordings: FILE is written, those before it are FILE with a number, and old ones are removed."""

import re
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge

from lies.errors import ConfigError
from lies.trace._append import cannot_write
from lies.trace.recording import ending_of

LEAST_SIZE = 4096  # octets; a file begins with a snapshot and the links' memories
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+)([KMG]?)(?:i?B)?", re.IGNORECASE)


@frozen
class Rotation:
    """When a recording goes on in another file; keep: how many files stay, None for all of them."""

    size: int = field(validator=ge(LEAST_SIZE))
    keep: int | None = None


def octets(text: str) -> int:
    """The number that `10M`, `500k`, `1G` or `65536` says; ConfigError if it is none."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no size such as 500K, 10M or 1G")
    return int(found[1]) * _UNITS[found[2].upper()]


class Series:
    """The files of one rotated recording: `drive.lies` is the newest, before it `drive.0002.lies`, and so on.

    A number is given once, so that a file keeps its name; files of earlier recordings of the same name count.
    """

    def __init__(self, path: Path, *, keep: int | None) -> None:
        self.path = path
        self._keep = keep
        self._ending = ending_of(path)
        self._stem = path.name.removesuffix(self._ending)

    def older(self) -> list[Path]:
        """The files before the newest, oldest first; LiesError if the folder cannot be read."""
        name = re.compile(re.escape(self._stem) + r"\.(\d{4,})" + re.escape(self._ending))
        try:
            found = [(int(m[1]), p) for p in self.path.parent.iterdir() if (m := name.fullmatch(p.name))]
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return [path for _, path in sorted(found)]

    def put_away(self) -> None:
        """Give the newest file its number, if it is there, and remove the oldest ones; LiesError."""
        older = self.older()
        last = int(older[-1].name.removesuffix(self._ending).rpartition(".")[2]) if older else 0
        target = self.path.with_name(f"{self._stem}.{last + 1:04}{self._ending}")
        try:
            if self.path.is_file():
                self.path.rename(target)
                older.append(target)
            if self._keep is not None:
                for path in older[: max(0, len(older) - self._keep + 1)]:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error
