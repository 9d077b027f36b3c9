"""strongSwan's configuration for two access routers as docs/security.md shows it, and its commands."""

import base64
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv6Address
from pathlib import Path

DAEMON, CONTROL = "charon-systemd", "swanctl"  # which need no systemd
_DOCUMENT = Path(__file__).resolve().parents[1] / "docs/security.md"
_BLOCK = re.compile(r"```\n(connections \{\n.*?\n)```", re.DOTALL)
_SECRET = re.compile(r"(?<=secret = 0s)\S+")
OWN, PEER = IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1")  # in the document
# each file of a distribution's loads one of these; nothing else is needed for a shared secret
_PLUGINS = "random nonce aes sha1 sha2 hmac kdf gmp kernel-netlink socket-default vici"


def connections(own: IPv6Address, peer: IPv6Address, secret: bytes) -> str:
    """The document's swanctl.conf for one of two routers."""
    found = _BLOCK.search(_DOCUMENT.read_text(encoding="utf-8"))
    assert found is not None, "docs/security.md has no swanctl.conf"
    text, secrets = _SECRET.subn(base64.b64encode(secret).decode(), found[1])
    assert secrets == 1
    parts = text.split(str(OWN))
    assert len(parts) > 1
    return str(own).join(part.replace(str(PEER), str(peer)) for part in parts)


class Charon:
    """The files of one IKE daemon in a directory of its own, and the words of its commands."""

    def __init__(self, directory: Path, own: IPv6Address, peer: IPv6Address, secret: bytes) -> None:
        directory.mkdir(mode=0o700)
        self.socket = directory / "vici"
        self._connections = directory / "swanctl.conf"
        settings = directory / "strongswan.conf"
        self.env = {"STRONGSWAN_CONF": str(settings), "SWANCTL_DIR": str(directory)}
        self._connections.write_text(connections(own, peer, secret), encoding="utf-8")
        settings.write_text(
            f"{DAEMON} {{\nload = {_PLUGINS}\nplugins {{ vici {{ socket = unix://{self.socket} }} }}\n"
            "filelog { stderr { default = 1\nflush_line = yes } }\n}\n"
            f"{CONTROL} {{ load = random }}\n",
            encoding="utf-8",
        )

    def listens(self) -> bool:
        """Whether the daemon takes commands."""
        with socket.socket(socket.AF_UNIX) as one:
            return one.connect_ex(str(self.socket)) == 0

    def words(self, *command: str) -> Sequence[str]:
        """Of a swanctl command; run it with `env`."""
        return (CONTROL, *command, "--uri", f"unix://{self.socket}")

    def load(self) -> Sequence[str]:
        """Of the command that loads the connections."""
        return self.words("--load-all", "--noprompt", "--file", str(self._connections))
