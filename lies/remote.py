"""Which daemon a client turns to: this machine's, or the one that the environment names on TCP."""

import os
from collections.abc import Mapping

from lies.bus import TcpDaemon, Where
from lies.errors import ConfigError
from lies.keys import load_key
from lies.paths import (
    CONNECT_VARIABLE,
    KEY_VARIABLE,
    PUBLISH_VARIABLE,
    SERVER_KEY_VARIABLE,
    client_runtime_dir,
    keys_dir,
)


def find_daemon(environ: Mapping[str, str] = os.environ) -> Where:
    """The daemon at $LIES_CONNECT, with $LIES_SERVER_KEY and the pair $LIES_KEY, else this machine's.

    $LIES_PUBLISH: its endpoint for drivers. ConfigError where one of them is missing or is none, NotPermitted
    for a key pair that may not be read.
    """
    address = environ.get(CONNECT_VARIABLE)
    if not address:
        return client_runtime_dir(environ=environ)
    server_key, name = environ.get(SERVER_KEY_VARIABLE), environ.get(KEY_VARIABLE)
    if not server_key:
        raise ConfigError(
            f"{address} is reached with CURVE only: give its public key with --server-key or "
            f"{SERVER_KEY_VARIABLE}, as `lies keys show` prints it there"
        )
    if not name:
        raise ConfigError(
            f"{address} is reached with CURVE only: make a pair with `lies keys new NAME`, have its public "
            f"key listed there, and give --key NAME or {KEY_VARIABLE}"
        )
    return TcpDaemon(
        address, server_key, load_key(keys_dir(environ), name), publish=environ.get(PUBLISH_VARIABLE) or None
    )
