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

_SPI = re.compile(r"^ +(in|out) +([0-9a-f]{8}),.*?(\d+) packets", re.MULTILINE)


@frozen
class Association:
    """An association of one direction as `swanctl --list-sas` shows it."""

    way: str
    spi: bytes
    packets: int


def associations(listed: str) -> list[Association]:
    """Those in the output of `swanctl --list-sas`."""
    return [Association(way, bytes.fromhex(spi), int(packets)) for way, spi, packets in _SPI.findall(listed)]


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

    def wait_for(self, before: AbstractSet[bytes], name: str) -> set[bytes]:
        """Wait for associations both ways, and none of those before is there any more; their SPIs.

        The list of them is among the results: NAME-NAMESPACE.sas.
        """
        found: list[Association] = []

        def there() -> bool:
            listed = self.note(name)
            found[:] = associations(listed)
            return {one.way for one in found} == {"in", "out"} and not {one.spi for one in found} & before

        wait_until(there, PATIENCE_S)
        return {one.spi for one in found}

    def note(self, name: str) -> str:
        """Keep its list of associations among the results, and return it."""
        listed = self.ask("--list-sas")
        keep(f"{name}-{self._namespace}.sas", listed)
        return listed

    def kill(self, number: int) -> None:
        """End it with a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_S)


def kernel_has(namespace: str) -> str:
    """Associations and policies of a namespace as iproute2 shows them, without those of sockets."""
    return run("ip", "xfrm", "state", namespace=namespace) + run("ip", "xfrm", "policy", namespace=namespace)


def results(folder: Path, name: str) -> list[Association]:
    """What `note` has kept."""
    return associations((folder / f"{name}.sas").read_text(encoding="utf-8"))
