"""Reads tests/vectors/*.toml: messages as tables, packets in hexadecimal."""

import tomllib
import types
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from attrs import field, frozen, has

import lies_fmipv6.codec
import lies_fmipv6.messages
import lies_mipv6.codec
import lies_mipv6.messages

FOLDER = Path(__file__).parent / "vectors"
_MESSAGES = {"fmipv6": lies_fmipv6.messages, "mipv6": lies_mipv6.messages}


@frozen
class Vector:
    """One packet and the message in it; equal to itself by its identifier."""

    protocol: str
    name: str
    rfc: str
    source: IPv6Address
    destination: IPv6Address
    message: Any = field(eq=False)
    packet: bytes = field(eq=False)
    key: bytes | None = None
    spi: int = 1

    def encode(self) -> bytes:
        """What the struct codec makes of the message."""
        if self.protocol == "mipv6":
            return lies_mipv6.codec.encode(self.message, self.source, self.destination)
        return lies_fmipv6.codec.encode(
            self.message, self.source, self.destination, key=self.key, spi=self.spi
        )

    def decode(self, packet: bytes) -> Any:
        """What the struct codec makes of a packet: its Received."""
        if self.protocol == "mipv6":
            return lies_mipv6.codec.decode(packet)
        return lies_fmipv6.codec.decode(packet, key_for=lambda _: self.key)


def structure(kind: Any, value: Any) -> Any:
    """A value of a type from what TOML has for it: strings for addresses, hexadecimal for octets."""
    if get_origin(kind) in {Union, types.UnionType}:
        (kind,) = (option for option in get_args(kind) if option is not types.NoneType)
    if has(kind):
        hints = get_type_hints(kind)
        return kind(**{name: structure(hints[name], item) for name, item in value.items()})
    if get_origin(kind) is tuple:
        return tuple(structure(get_args(kind)[0], item) for item in value)
    if kind is bytes:
        return bytes.fromhex(value)
    if kind in {IPv6Address, IPv6Network}:
        return kind(value)
    assert type(value) is kind, f"{value!r} is no {kind}"
    return value


def read(path: Path) -> list[Vector]:
    """The vectors of a file."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    protocol, kind = content["protocol"], content["message"]
    vectors = []
    for table in content["vector"]:
        key = table.get("key")
        vectors.append(
            Vector(
                protocol=protocol,
                name=f"{path.stem}: {table['name']}",
                rfc=table["rfc"],
                source=IPv6Address(table["source"]),
                destination=IPv6Address(table["destination"]),
                message=structure(getattr(_MESSAGES[protocol], kind), table["message"]),
                packet=bytes.fromhex(table["packet"]),
                key=None if key is None else bytes.fromhex(key),
                spi=table.get("spi", 1),
            )
        )
    return vectors


def vectors(protocol: str) -> list[Vector]:
    """All vectors of a protocol, `fmipv6` or `mipv6`."""
    return [vector for path in sorted(FOLDER.glob(f"{protocol}_*.toml")) for vector in read(path)]
