"""strongSwan's IKE daemon in a router's namespace of the machine."""

import re
import subprocess
from collections.abc import Set as AbstractSet
from ipaddress import IPv6Address
from pathlib import Path

from attrs import frozen
from polling import wait_until
from strongswan_kit import DAEMON, Charon

from radio.guest import LOGS, PATIENCE_S, keep, run, start

_PAIR = re.compile(r" +\S+: #\d+, reqid \d+, (\w+),")
_SPI = re.compile(r" +(in|out) +([0-9a-f]{8}),.*?(\d+) packets")


@frozen
class Association:
    """An association of one direction as `swanctl --list-sas` shows it."""

    way: str
    spi: bytes
    packets: int


def associations(listed: str) -> list[Association]:
    """Those in the output of `swanctl --list-sas`, but for the renewed ones that only wait for their end."""
    found, installed = [], False
    for line in listed.splitlines():
        if (pair := _PAIR.match(line)) is not None:
            installed = pair[1] == "INSTALLED"
        elif installed and (one := _SPI.match(line)) is not None:
            found.append(Association(one[1], bytes.fromhex(one[2]), int(one[3])))
    return found


class Ike:
    """An IKE daemon between a router and its peer; its log: charon-NAMESPACE."""

    def __init__(self, namespace: str, own: IPv6Address, peer: IPv6Address, secret: bytes) -> None:
        self._namespace = namespace
        self._charon = Charon(LOGS.parent / f"charon-{namespace}", own, peer, secret)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin, and wait until it takes commands."""
        name = f"charon-{self._namespace}"
        self._process = start(name, DAEMON, namespace=self._namespace, env=self._charon.env)
        wait_until(self._charon.listens, PATIENCE_S)

    def load(self) -> None:
        """Give it the connections, which it starts."""
        run(*self._charon.load(), namespace=self._namespace, env=self._charon.env)

    def ask(self, *command: str) -> str:
        """What a swanctl command prints."""
        return run(*self._charon.words(*command), namespace=self._namespace, env=self._charon.env)

    def note(self, name: str) -> dict[str, set[bytes]]:
        """Its associations, the SPIs of each way; the list is among the results: NAME-NAMESPACE.sas."""
        text = self.ask("--list-sas")
        keep(f"{name}-{self._namespace}.sas", text)
        found = associations(text)
        return {way: {one.spi for one in found if one.way == way} for way in ("in", "out")}

    def kill(self, number: int) -> None:
        """End it with a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_S)


def agreed(one: Ike, other: Ike, name: str, before: AbstractSet[bytes] = frozenset()) -> set[bytes]:
    """Wait until two daemons have the same associations, none of them of those before; their SPIs.

    Their lists are among the results.
    """
    found: set[bytes] = set()

    def so() -> bool:
        ours, theirs = one.note(name), other.note(name)
        found.clear()
        found.update(ours["in"] | ours["out"])
        same = ours["in"] == theirs["out"] and ours["out"] == theirs["in"]
        return same and bool(ours["in"]) and bool(ours["out"]) and not found & before

    wait_until(so, PATIENCE_S)
    return found


def kernel_has(namespace: str) -> str:
    """Associations and policies of a namespace as iproute2 shows them, without those of sockets."""
    states = run("ip", "xfrm", "state", namespace=namespace)
    return states + run("ip", "xfrm", "policy", "list", "nosock", namespace=namespace)


def results(folder: Path, name: str) -> list[Association]:
    """What `note` has kept."""
    return associations((folder / f"{name}.sas").read_text(encoding="utf-8"))
