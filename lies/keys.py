"""CURVE keys on disk: one file of mode 0600 for each pair, in a directory of mode 0700.

A public key is 40 characters of Z85 (ZeroMQ RFC 32) and may be shown to anybody. A secret key leaves its file
for libzmq only: it is in no repr, no error, no log and no argument of a command.
"""

import struct
from pathlib import Path

import zmq
from attrs import field, frozen
from zmq.utils import z85

from lies import _keyfile
from lies.errors import LiesError

SUFFIX = ".key"
PUBLIC_LENGTH = 40  # characters
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
    _keyfile.write(path, f'{_ABOUT}\npublic = "{public}"\nsecret = "{secret}"\n')
    return KeyPair(name, public, secret)


def load_key(directory: Path, name: str) -> KeyPair:
    """The key pair of a name.

    ConfigError if there is none or its file is damaged or open to others, NotPermitted if it may not be read.
    """
    path = key_file(directory, name)
    _need_curve()
    missing = f"there is no key {name!r} in {directory}; make it with `lies keys new {name}`"
    return _pair(path, name, _keyfile.read(path, missing))


def key_names(directory: Path) -> tuple[str, ...]:
    """Names of the key pairs in a directory, sorted; none if there is no directory."""
    return _keyfile.names(directory, SUFFIX)


def key_file(directory: Path, name: str) -> Path:
    """The file of a key pair; ConfigError if the name cannot be one."""
    return _keyfile.path_of(directory, name, SUFFIX)


def _pair(path: Path, name: str, content: bytes) -> KeyPair:
    """The pair in a file's content; what is in it is in none of the errors."""
    sentence = f"the key file {path} is damaged; a new pair is made by `lies keys new`"
    with _keyfile.damaged(sentence, zmq.ZMQError):
        pair = _keyfile.table(content)
        public, secret = pair["public"], pair["secret"]
        if zmq.curve_public(secret.encode("ascii")) != public.encode("ascii"):
            raise ValueError
    return KeyPair(name, public, secret)


def _need_curve() -> None:
    if not zmq.has("curve"):
        raise LiesError("this ZeroMQ library was built without CURVE; tcp needs it")
