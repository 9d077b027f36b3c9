"""Appending to a file all or nothing: a disk that fills up, or a crash, tears the last piece at most."""

import contextlib
import os
from pathlib import Path

from lies.errors import LiesError


class AppendFile:
    """A file that grows by whole pieces; LiesError, with the system's reason, if it cannot."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self.closed = False
        try:
            self._file = path.open("wb" if overwrite else "ab", buffering=0)
            self._seekable = self._file.seekable()
            self.size = self._file.seek(0, os.SEEK_END) if self._seekable else 0
        except OSError as error:
            raise self._failed(error) from error

    def append(self, data: bytes) -> None:
        """Write all of it; or none, and close the file, which then ends where it ended before."""
        if self.closed:
            raise LiesError(f"{self.path}: cannot be written: it is closed")
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.closed = True
            with contextlib.suppress(OSError):  # a device or pipe cannot be cut, and need not be
                self._file.truncate(self.size)
            with contextlib.suppress(OSError):
                self._file.close()
            raise self._failed(error) from error
        self.size += len(data)

    def close(self) -> None:
        """Close it; more than once is the same as once. LiesError if the system could not keep it."""
        if self.closed:
            return
        self.closed = True
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> LiesError:
        return cannot_write(self.path, error)


def cannot_write(path: Path, error: OSError) -> LiesError:
    """The sentence about a file that cannot be written."""
    return LiesError(f"{path}: cannot be written: {error.strerror or error}")
