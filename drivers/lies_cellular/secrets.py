"""Files that hold a secret: one line, readable for their owner only; what is in them is never shown."""

import os
import stat
from pathlib import Path

from lies.errors import ConfigError

_MOST = 256  # octets


def read_secret(path: Path, what: str) -> str:
    """The first line of a file; ConfigError, without its content, if it is open to others or of no use."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"the file of the {what}, {path}, cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path} is no file")
        if found.st_uid not in {0, os.geteuid()}:
            raise ConfigError(f"the file of the {what}, {path}, belongs to uid {found.st_uid}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(f"the file of the {what} is open to others: `chmod 600 {path}`")
        content = os.read(number, _MOST + 1)
    finally:
        os.close(number)
    lines = content.decode("utf-8", "replace").splitlines() if len(content) <= _MOST else []
    secret = lines[0].strip() if lines else ""
    if not secret or not secret.isprintable() or "\ufffd" in secret:
        raise ConfigError(f"there is no {what} in {path}")
    return secret


def read_pin(path: Path) -> str:
    """A PIN: four to eight digits (TS 31.101 section 9.5.1)."""
    pin = read_secret(path, "PIN")
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise ConfigError(f"what is in {path} is no PIN of four to eight digits")
    return pin
