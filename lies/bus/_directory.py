"""The runtime directory: who may enter, and that only one daemon has it."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lies.errors import ConfigError, EndpointInUse, NotPermitted

BUS = "bus"
PUBLISH = "publish"
LOCK = "lock"
DIRECTORY_MODE = 0o750
SOCKET_MODE = 0o660
_LONGEST_PATH = 107  # sun_path of unix(7), less the final zero octet


def endpoint(directory: Path, name: str) -> str:
    """The ZeroMQ endpoint of a socket in the runtime directory; ConfigError if its path is too long."""
    path = directory / name
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigError(f"{path} is too long for a socket: at most {_LONGEST_PATH} octets")
    return f"ipc://{path}"


class RuntimeDirectory:
    """A directory of mode 0750 held by a lock; what a dead daemon left in it is cleared.

    uid: user that owns directory and sockets, gid: group that may enter and open them, None for those of the
    process. EndpointInUse if a live daemon has it, ConfigError if it is not a directory of ours, NotPermitted
    if it cannot be made or given to them.
    """

    def __init__(self, path: Path, *, uid: int | None = None, gid: int | None = None) -> None:
        self.path = path
        self._uid = -1 if uid is None else uid  # -1 leaves it, chown(2)
        self._gid = -1 if gid is None else gid
        self._lock: int | None = None
        self._made = False

    def take(self) -> None:
        """Make, lock and clear the directory."""
        endpoint(self.path, PUBLISH)
        try:
            self._make()
            self._lock = self._locked()
            os.chown(self.path, self._uid, self._gid)
            self.path.chmod(DIRECTORY_MODE)
            for name in (BUS, PUBLISH):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            self.release()
            kind = NotPermitted if isinstance(error, PermissionError) else ConfigError
            raise kind(f"the runtime directory {self.path} cannot be used: {error.strerror}") from error

    @contextlib.contextmanager
    def admitting(self, name: str) -> Iterator[None]:
        """Around the making of a socket file: it gets its owner, group and mode; OSError if it cannot."""
        before = os.umask(0o777 & ~SOCKET_MODE)  # libzmq makes it by the umask: it never has another mode
        try:
            yield
        finally:
            os.umask(before)
        # An owner who is not us may have put something else there meanwhile: nothing is followed.
        os.chown(self.path / name, self._uid, self._gid, follow_symlinks=False)

    def release(self) -> None:
        """Remove our files, and the directory if we made it."""
        if self._lock is None:
            return
        for name in (BUS, PUBLISH, LOCK):
            with contextlib.suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None
        if self._made:
            with contextlib.suppress(OSError):  # somebody else put something there
                self.path.rmdir()

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True)
            self._made = True
        except FileExistsError:
            self._check_ours()

    def _check_ours(self) -> None:
        found = self.path.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"the runtime directory {self.path} is not a directory")
        if found.st_uid not in {os.geteuid(), self._uid}:
            raise NotPermitted(f"the runtime directory {self.path} belongs to uid {found.st_uid}")
        strangers = {entry.name for entry in self.path.iterdir()} - {BUS, PUBLISH, LOCK}
        if stat.S_IMODE(found.st_mode) & 0o027 and strangers:
            raise ConfigError(
                f"the runtime directory {self.path} is open to others and holds {min(strangers)!r}; "
                "give LIES one of its own"
            )

    def _locked(self) -> int:
        path = self.path / LOCK
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.read(lock, 20).decode("ascii", "replace").strip()
                os.close(lock)
                raise EndpointInUse(
                    f"another daemon (pid {holder or 'unknown'}) has the runtime directory {self.path}"
                ) from error
            try:
                current = path.stat().st_ino == os.fstat(lock).st_ino
            except FileNotFoundError:
                current = False
            if current:  # and not the file that a daemon removed while it ended
                break
            os.close(lock)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode("ascii"))
        return lock
