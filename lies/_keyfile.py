"""Files of keys: mode 0600 in a directory of mode 0700, made once, and read only if nobody else may."""

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lies.errors import ConfigError, NotPermitted

MODE = 0o600
_MAX_FILE = 4096  # octets
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


def path_of(directory: Path, name: str, suffix: str) -> Path:
    """The file of a key; ConfigError if the name cannot be one."""
    if not _NAME.fullmatch(name):
        raise ConfigError("the name of a key is 1 to 64 letters, digits and . _ - @, not led by . or -")
    return directory / f"{name}{suffix}"


def names(directory: Path, suffix: str) -> tuple[str, ...]:
    """Names of the keys with that suffix, sorted; none if there is no directory."""
    try:
        found = [p.name.removesuffix(suffix) for p in directory.iterdir() if p.name.endswith(suffix)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        _not_usable(directory, "read", error)
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


def write(path: Path, text: str) -> None:
    """Make a key file; ConfigError if it is there already, whatever is in it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except FileExistsError as error:
        raise ConfigError(f"there is {path} already; a key that is in use is not replaced") from error
    except OSError as error:
        _not_usable(path, "made", error)
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), MODE)  # whatever the umask took away
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        _not_usable(path, "written", error)


def read(path: Path, missing: str) -> bytes:
    """The content of a key file; ConfigError with `missing` if there is none, or if it is open to others."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise ConfigError(missing) from error
    except OSError as error:
        _not_usable(path, "read", error)
    try:
        _check_kept(path, os.fstat(number))
        return os.read(number, _MAX_FILE + 1)
    finally:
        os.close(number)


def table(content: bytes) -> dict[str, Any]:
    """What is in a file; ValueError if that is no TOML in ASCII, or too much."""
    if len(content) > _MAX_FILE:
        raise ValueError
    return tomllib.loads(content.decode("ascii"))


@contextlib.contextmanager
def damaged(sentence: str, *more: type[Exception]) -> Iterator[None]:
    """Around the reading of a content: any fault becomes a ConfigError with that sentence, and no more."""
    faults: tuple[type[Exception], ...] = (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        *more,
    )
    try:
        yield
    except faults:
        raise ConfigError(sentence) from None


def _check_kept(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is no key file")
    if found.st_uid not in {0, os.geteuid()} and os.geteuid() != 0:  # root may look at a service's key
        raise NotPermitted(f"the key file {path} belongs to uid {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"the key file {path} is open to others: `chmod 600 {path}`")


def _not_usable(path: Path, done: str, error: OSError) -> NoReturn:
    kind = NotPermitted if isinstance(error, PermissionError) else ConfigError
    raise kind(f"{path} cannot be {done}: {error.strerror}") from error
