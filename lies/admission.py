"""Whom a configuration lets in: users, group, keys and TCP endpoints, checked before anything is opened."""

import grp
import pwd
from collections.abc import Mapping
from typing import NoReturn

from attrs import frozen

from lies.bus import ALL_RIGHTS, ListedKey, Right, Rights, TcpEndpoints
from lies.bus._transport import is_tcp_address
from lies.config import TCP_HOW, Config, TcpConfig
from lies.errors import ConfigError, LiesError
from lies.keys import is_public_key, load_key
from lies.paths import keys_dir

_TABLE = "daemon.tcp"


@frozen
class Admission:
    """What a configuration says about access; uid, gid: owner and group of the local endpoints."""

    rights: Rights
    uid: int | None = None
    gid: int | None = None
    tcp: TcpEndpoints | None = None


def admission(config: Config) -> Admission:
    """Resolve names and load the daemon's key; ConfigError or NotPermitted for what cannot be."""
    daemon = config.daemon
    by_uid = {_uid(user, config, "daemon.users", user): rights for user, rights in daemon.users.items()}
    uid = None if daemon.owner is None else _uid(daemon.owner, config, "daemon", "owner")
    if uid is not None:
        by_uid.setdefault(uid, tuple(ALL_RIGHTS))  # who can replace the socket files has them in any case
    return Admission(
        rights=Rights(
            by_uid,
            others=daemon.group_rights if daemon.group is not None else (),
            keys=_keys(daemon.tcp, config),
        ),
        uid=uid,
        gid=_gid(config),
        tcp=_tcp(daemon.tcp, config),
    )


def _tcp(tcp: TcpConfig | None, config: Config) -> TcpEndpoints | None:
    if tcp is None:
        return None
    for key, address in (("bus", tcp.bus), ("publish", tcp.publish)):
        if address is not None and not is_tcp_address(address):
            problem = f"{address!r} is not of the form tcp://ADDRESS:PORT (an IPv6 address in brackets)"
            _wrong(config, problem, key, _TABLE)
    if tcp.bus is None and tcp.publish is None:
        _wrong(config, 'names no endpoint: write bus = "tcp://ADDRESS:PORT"', "", _TABLE)
    if tcp.bus is not None and tcp.bus == tcp.publish and not tcp.bus.endswith(":0"):
        _wrong(config, "is the address of bus already", "publish", _TABLE)
    if tcp.key is None:
        _wrong(config, f"plain tcp is not offered, anybody could read and forge it: {TCP_HOW}", "key", _TABLE)
    if not tcp.keys:
        _wrong(config, f"lists nobody, so that nobody could come in: {TCP_HOW}", "keys", _TABLE)
    if tcp.publish is not None and not any(Right.PUBLISH in key.rights for key in tcp.keys.values()):
        _wrong(config, 'is there for nobody: give a key rights = ["publish"]', "publish", _TABLE)
    try:
        pair = load_key(tcp.keys_dir or keys_dir(), tcp.key)
    except ConfigError as error:
        _wrong(config, error.problem, "key", _TABLE, error)
    return TcpEndpoints(pair, tcp.bus, tcp.publish)


def _keys(tcp: TcpConfig | None, config: Config) -> Mapping[str, ListedKey]:
    listed: dict[str, ListedKey] = {}
    for name, key in ({} if tcp is None else tcp.keys).items():
        table = f"{_TABLE}.keys.{name}"
        if not is_public_key(key.public):  # whatever it is, it may be a secret: it is not repeated
            _wrong(config, "is no public key: 40 characters, from `lies keys show`", "public", table)
        if key.public in listed:
            _wrong(config, f"is the key of {listed[key.public].name} already", "public", table)
        listed[key.public] = ListedKey(name, frozenset(key.rights))
    return listed


def _uid(user: str, config: Config, table: str, key: str) -> int:
    if user.isascii() and user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        _wrong(config, f"no user {user!r} on this machine", key, table, error)


def _gid(config: Config) -> int | None:
    group = config.daemon.group
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        _wrong(config, f"no group {group!r} on this machine", "group", "daemon", error)


def _wrong(
    config: Config, problem: str, key: str, table: str = "daemon", cause: LiesError | KeyError | None = None
) -> NoReturn:
    raise ConfigError(problem, file=config.file, table=table, key=key) from cause
