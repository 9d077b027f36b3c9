"""A daemon on TCP for a run: its keys, its addresses, and bare sockets that reach it."""

import re
from pathlib import Path

import zmq
from attrs import frozen
from daemon_kit import Daemon
from polling import wait_until

from lies.bus import TcpDaemon
from lies.keys import KeyPair, new_key
from soak.rig import PATIENCE_S

Dealer = zmq.Socket[bytes]


class Keys:
    """Key pairs of a run, made as they are asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._made: dict[str, KeyPair] = {}

    def __getitem__(self, name: str) -> KeyPair:
        if name not in self._made:
            self._made[name] = new_key(self.directory, name)
        return self._made[name]

    def config(self, **rights: str) -> str:
        """`[daemon.tcp]` on free ports, with these keys listed: name -> rights, with spaces between."""
        assert self["server"].public
        lines = ["[daemon.tcp]", 'bus = "tcp://127.0.0.1:0"', 'publish = "tcp://127.0.0.1:0"']
        lines += ['key = "server"', f'keys_dir = "{self.directory}"']
        for name, words in rights.items():
            listed = ", ".join(f'"{word}"' for word in words.split())
            lines += [f"[daemon.tcp.keys.{name}]", f"public = '{self[name].public}'", f"rights = [{listed}]"]
        return "\n".join(lines) + "\n"


@frozen
class Door:
    """One socket of the daemon; key: None on a socket file."""

    name: str
    address: str
    server_key: str = ""
    key: KeyPair | None = None

    @property
    def endpoint(self) -> str:
        """`bus` or `publish`."""
        return self.name.split()[-1]

    def dealer(self, **options: int) -> Dealer:
        """A bare DEALER that is let in as far as its key goes."""
        socket: Dealer = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        for option, value in options.items():
            socket.setsockopt(getattr(zmq, option), value)
        if self.key is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, self.server_key.encode())
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self.key.public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, self.key.secret.encode())
        return socket


class Doors:
    """The four sockets of a daemon for the holder of a key."""

    def __init__(self, daemon: Daemon, keys: Keys) -> None:
        self._daemon = daemon
        self._keys = keys
        addresses = re.compile(r"the bus is at \S+, (tcp://\S+), (tcp://\S+)")
        wait_until(lambda: addresses.search(daemon.log.read_text()) is not None, PATIENCE_S)
        found = addresses.search(daemon.log.read_text())
        assert found is not None
        self.bus, self.publish = found.groups()

    def where(self, key: KeyPair, *, server_key: str = "") -> TcpDaemon:
        """The daemon for the holder of this key."""
        return TcpDaemon(self.bus, server_key or self._keys["server"].public, key, publish=self.publish)

    def env(self, name: str) -> dict[str, str]:
        """The environment in which commands find the daemon on TCP with this key."""
        server = self._keys["server"].public
        return {
            "LIES_CONNECT": self.bus,
            "LIES_SERVER_KEY": server,
            "LIES_KEY": name,
            "LIES_KEYS_DIR": str(self._keys.directory),
        }

    def all(self, name: str) -> list[Door]:
        """Both socket files, and both ports with the key of this name."""
        server, key, directory = self._keys["server"].public, self._keys[name], self._daemon.run_dir
        return [
            Door("ipc bus", f"ipc://{directory / 'bus'}"),
            Door("ipc publish", f"ipc://{directory / 'publish'}"),
            Door("tcp bus", self.bus, server, key),
            Door("tcp publish", self.publish, server, key),
        ]
