"""Where the daemon's endpoints, its configuration and its keys lie."""

import os
from collections.abc import Mapping
from pathlib import Path

RUNTIME_DIR_VARIABLE = "LIES_RUNTIME_DIR"
SYSTEM_RUNTIME_DIR = Path("/run/lies")
SYSTEM_CONFIG = Path("/etc/lies/lies.toml")
KEYS_DIR_VARIABLE = "LIES_KEYS_DIR"
CONNECT_VARIABLE = "LIES_CONNECT"  # a daemon on another host: its address, and
SERVER_KEY_VARIABLE = "LIES_SERVER_KEY"  # its public key, and
KEY_VARIABLE = "LIES_KEY"  # the name of our own key pair, and for drivers
PUBLISH_VARIABLE = "LIES_PUBLISH"  # its publish endpoint
LOG_LEVEL_VARIABLE = "LIES_LOG_LEVEL"  # of the daemon: they outweigh its file
LOG_FORMAT_VARIABLE = "LIES_LOG_FORMAT"
CLIENT_VARIABLES = frozenset(
    {
        RUNTIME_DIR_VARIABLE,
        KEYS_DIR_VARIABLE,
        CONNECT_VARIABLE,
        SERVER_KEY_VARIABLE,
        KEY_VARIABLE,
        PUBLISH_VARIABLE,
    }
)


def daemon_runtime_dir(
    explicit: Path | None = None, environ: Mapping[str, str] = os.environ, uid: int | None = None
) -> Path:
    """Where a daemon's endpoints lie: explicit, $LIES_RUNTIME_DIR, /run/lies (root), or the user's own."""
    if explicit is not None:
        return explicit
    if named := environ.get(RUNTIME_DIR_VARIABLE):
        return Path(named)
    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return SYSTEM_RUNTIME_DIR
    return _user_runtime_dir(environ, uid)


def client_runtime_dir(
    explicit: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    uid: int | None = None,
    system: Path = SYSTEM_RUNTIME_DIR,
) -> Path:
    """Where a client looks for a daemon: as the daemon does, and at the system's if the user has none."""
    own = daemon_runtime_dir(explicit, environ, uid)
    if explicit is not None or environ.get(RUNTIME_DIR_VARIABLE) or own.exists():
        return own
    return system if system.exists() else own


def default_config(environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Where `lies run` looks without -c: /etc/lies/lies.toml (root), else $XDG_CONFIG_HOME/lies/lies.toml."""
    return _config_dir(environ, uid) / "lies.toml"


def keys_dir(environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Where CURVE keys lie: $LIES_KEYS_DIR, /etc/lies/keys (root), else $XDG_CONFIG_HOME/lies/keys."""
    if named := environ.get(KEYS_DIR_VARIABLE):
        return Path(named)
    return _config_dir(environ, uid) / "keys"


def _config_dir(environ: Mapping[str, str], uid: int | None) -> Path:
    if (os.geteuid() if uid is None else uid) == 0:
        return SYSTEM_CONFIG.parent
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "/") / ".config")
    return Path(home) / "lies"


def _user_runtime_dir(environ: Mapping[str, str], uid: int) -> Path:
    if xdg := environ.get("XDG_RUNTIME_DIR"):
        return Path(xdg) / "lies"
    return Path("/tmp") / f"lies-{uid}"  # noqa: S108 - the bus refuses a directory that is not its user's own
