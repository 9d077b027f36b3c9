"""Where metrics are offered: `ADDRESS:PORT` or the path of a socket file, checked before anything starts."""

import ipaddress
import re
from pathlib import Path

from attrs import frozen

from lies.config import Config
from lies.errors import ConfigError

_TABLE = "daemon.metrics"
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[^:\[\]]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_LONGEST_PATH = 107  # sun_path of unix(7), less the final zero octet


@frozen
class Listen:
    """An address with a port (0: a free one), or a socket file."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def listen_of(config: Config) -> Listen | None:
    """Where a configuration wants its metrics offered, None for nowhere.

    ConfigError for what is no address, and for one that other hosts reach unless that is said.
    """
    metrics = config.daemon.metrics
    if metrics is None:
        return None

    def wrong(problem: str) -> ConfigError:
        return ConfigError(problem, file=config.file, table=_TABLE, key="listen")

    if "/" in metrics.listen:
        path = (config.base or Path()) / metrics.listen.removeprefix("unix:")
        if len(str(path).encode()) > _LONGEST_PATH:
            raise wrong(f"{path} is too long for a socket: at most {_LONGEST_PATH} octets")
        return Listen(path=path)
    found = _ADDRESS.fullmatch(metrics.listen)
    if found is None or int(found["port"]) > 65535:
        raise wrong(f"{metrics.listen!r} is neither ADDRESS:PORT nor the path of a socket, which has a slash")
    host = found["six"] or found["four"]
    if host == "localhost":
        host = "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise wrong(f"{host!r} is no address: a name may mean another one tomorrow") from error
    if (found["six"] is None) != (address.version == 4):
        raise wrong(f"{metrics.listen!r}: an IPv6 address is written in brackets")
    if not address.is_loopback and not metrics.allow_remote:
        raise wrong(
            f"other hosts reach {host}, and anybody there could read it; "
            "write allow_remote = true if that is meant"
        )
    return Listen(host, int(found["port"]))
