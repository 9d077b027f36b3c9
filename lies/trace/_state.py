"""Moving an abstract entity's exported memory onto another time line."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lies.errors import MalformedMessage


def rebase_state(state: bytes, by_ns: int, names: Mapping[str, str] | None = None) -> bytes:
    """The memory with every time moved by `by_ns` and PoAs renamed; MalformedMessage if it is no msgpack map.

    Works on the naming rule of LIES: a key that ends in `_ns` is a time on the driver's clock (`wall_ns`
    is not), `poa` a PoA, `poas` a map from PoAs.
    """
    try:
        data = msgspec.msgpack.decode(state)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"not the memory of an abstract entity: {error}") from error
    if not isinstance(data, dict):
        raise MalformedMessage("not the memory of an abstract entity")
    return msgspec.msgpack.encode(_rebased("", data, by_ns, names or {}))


def _rebased(key: str, value: Any, by_ns: int, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - msgpack's types
    if isinstance(value, dict):
        renamed = names if key == "poas" else {}
        return {renamed.get(k, k): _rebased(str(k), v, by_ns, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_rebased("", v, by_ns, names) for v in value]
    if key == "poa" and isinstance(value, str):
        return names.get(value, value)
    if key.endswith("_ns") and key != "wall_ns" and isinstance(value, int):
        return value + by_ns
    return value
