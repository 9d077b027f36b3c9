"""Handover keys on disk: secrets that two nodes share, one file of mode 0600 each (RFC 5568 section 10).

RFC 5269 would have a mobile node and its access router agree on such a key; here it is provisioned: made on
one of them and carried to the other. A key is in no repr, no error, no log and no argument of a command;
its fingerprint tells whether two files have the same one.
"""

import hashlib
import secrets
from pathlib import Path

from attrs import field, frozen

from lies import _keyfile

SUFFIX = ".handover"
LENGTH = 32  # octets of a key that is made here
_LENGTHS = range(16, 65)  # octets of a key that is taken: from 128 bits to the block of HMAC-SHA1
_FINGERPRINT = 8  # octets
_ABOUT = "# A handover key of LIES: give this file to the one node that shares it, and to nobody else."


@frozen
class SharedKey:
    """A key that two nodes share; name: of its file."""

    name: str
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What may be shown: 16 hexadecimal digits of a digest, equal where the keys are."""
        return hashlib.sha256(b"lies handover key\0" + self.secret).digest()[:_FINGERPRINT].hex()


def new_shared_key(directory: Path, name: str) -> SharedKey:
    """Make a key and its file; ConfigError if there is one of that name or the name is none."""
    path = shared_key_file(directory, name)
    key = SharedKey(name, secrets.token_bytes(LENGTH))
    _keyfile.write(path, f'{_ABOUT}\nkey = "{key.secret.hex()}"\n')
    return key


def load_shared_key(directory: Path, name: str) -> SharedKey:
    """The key of a name.

    ConfigError if there is none or its file is damaged or open to others, NotPermitted if it may not be read.
    """
    path = shared_key_file(directory, name)
    missing = f"there is no handover key {name!r} in {directory}; make it with `lies keys handover {name}`"
    content = _keyfile.read(path, missing)
    with _keyfile.damaged(f"the key file {path} is damaged; a new key is made by `lies keys handover`"):
        secret = bytes.fromhex(_keyfile.table(content)["key"])
        if len(secret) not in _LENGTHS:
            raise ValueError
    return SharedKey(name, secret)


def shared_key_names(directory: Path) -> tuple[str, ...]:
    """Names of the handover keys in a directory, sorted; none if there is no directory."""
    return _keyfile.names(directory, SUFFIX)


def shared_key_file(directory: Path, name: str) -> Path:
    """The file of a handover key; ConfigError if the name cannot be one."""
    return _keyfile.path_of(directory, name, SUFFIX)
