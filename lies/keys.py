"""CURVE keys on disk: one file of mode 0600 for each pair, in a directory of mode 0700.

A public key is 40 characters of Z85 (ZeroMQ RFC 32) and may be shown to anybody. A secret key leaves its file
for libzmq only: it is in no repr, no error, no log and no argument of a command.
"""

import contextlib
import os
import re
import stat
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import zmq
from attrs import field, frozen
from zmq.utils import z85

from lies.errors import ConfigError, LiesError, NotPermitted

SUFFIX = ".key"
KEY_MODE = 0o600
PUBLIC_LENGTH = 40  # characters
_MAX_FILE = 4096  # octets
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")
_ABOUT = "# A CURVE key pair of LIES. Keep this file to yourself; `lies keys show` prints the public key."


@frozen
class KeyPair:
    """A CURVE key pair; name: of its file, public, secret: Z85."""

    name: str
    public: str
    secret: str = field(repr=False)


def is_public_key(text: str) -> bool:
    """Whether a text can be a public key: 40 characters of Z85 that stand for 32 octets."""
    try:
        return len(text) == PUBLIC_LENGTH and bool(z85.decode(text))
    except (ValueError, KeyError, struct.error):  # not ASCII, not of its alphabet, more than 32 bits
        return False


def new_key(directory: Path, name: str) -> KeyPair:
    """Make a key pair and its file; ConfigError if there is one of that name or the name is none."""
    path = key_file(directory, name)
    _need_curve()
    public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    text = f'{_ABOUT}\npublic = "{public}"\nsecret = "{secret}"\n'
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, KEY_MODE)
    except FileExistsError as error:
        raise ConfigError(f"there is {path} already; a key that is in use is not replaced") from error
    except OSError as error:
        _not_usable(path, "made", error)
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), KEY_MODE)  # whatever the umask took away
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        _not_usable(path, "written", error)
    return KeyPair(name, public, secret)


def load_key(directory: Path, name: str) -> KeyPair:
    """The key pair of a name.

    ConfigError if there is none or its file is damaged or open to others, NotPermitted if it may not be read.
    """
    path = key_file(directory, name)
    _need_curve()
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no key {name!r} in {directory}; make it with `lies keys new {name}`"
        ) from error
    except OSError as error:
        _not_usable(path, "read", error)
    try:
        _check_kept(path, os.fstat(number))
        content = os.read(number, _MAX_FILE + 1)
    finally:
        os.close(number)
    return _pair(path, name, content)


def key_names(directory: Path) -> tuple[str, ...]:
    """Names of the key pairs in a directory, sorted; none if there is no directory."""
    try:
        found = [p.name.removesuffix(SUFFIX) for p in directory.iterdir() if p.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        _not_usable(directory, "read", error)
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


def key_file(directory: Path, name: str) -> Path:
    """The file of a key pair; ConfigError if the name cannot be one."""
    if not _NAME.fullmatch(name):
        raise ConfigError("the name of a key is 1 to 64 letters, digits and . _ - @, not led by . or -")
    return directory / f"{name}{SUFFIX}"


def _check_kept(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is no key file")
    if found.st_uid not in {0, os.geteuid()} and os.geteuid() != 0:  # root may look at a service's key
        raise NotPermitted(f"the key file {path} belongs to uid {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"the key file {path} is open to others: `chmod 600 {path}`")


def _pair(path: Path, name: str, content: bytes) -> KeyPair:
    """The pair in a file's content; what is in it is in none of the errors."""
    with _damaged(path):
        if len(content) > _MAX_FILE:
            raise ValueError
        table = tomllib.loads(content.decode("ascii"))
        public, secret = table["public"], table["secret"]
        if zmq.curve_public(secret.encode("ascii")) != public.encode("ascii"):
            raise ValueError
    return KeyPair(name, public, secret)


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zmq.ZMQError):
        raise ConfigError(f"the key file {path} is damaged; a new pair is made by `lies keys new`") from None


def _need_curve() -> None:
    if not zmq.has("curve"):
        raise LiesError("this ZeroMQ library was built without CURVE; tcp needs it")


def _not_usable(path: Path, done: str, error: OSError) -> NoReturn:
    kind = NotPermitted if isinstance(error, PermissionError) else ConfigError
    raise kind(f"{path} cannot be {done}: {error.strerror}") from error
