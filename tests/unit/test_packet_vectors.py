"""The vectors of tests/vectors, through the struct codecs and through scapy."""

import subprocess
import sys
from typing import get_args

import pytest
import scapy_judge
from vectorfile import FOLDER, Vector, vectors

import lies_fmipv6.messages
import lies_mipv6.messages
from lies.errors import MalformedMessage
from lies.packet import parse_ipv6
from lies_fmipv6.codec import decode

ALL = [*vectors("fmipv6"), *vectors("mipv6")]
each = pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)


def test_every_message_has_vectors() -> None:
    """Every message class of both protocols is in the vectors."""
    classes = {type(vector.message) for vector in ALL}
    modules = (lies_fmipv6.messages, lies_mipv6.messages)
    assert classes == {cls for module in modules for cls in get_args(module.Message)}
    assert len(list(FOLDER.glob("*.toml"))) == len(classes)


def test_the_codecs_do_not_import_scapy() -> None:
    """The plugins and their codecs load without scapy, which is GPL-2.0-only and slow to import."""
    code = (
        "import sys, lies_fmipv6.codec, lies_mipv6.codec, lies.packet; "
        "sys.exit(any(name.split('.')[0] == 'scapy' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@each
def test_struct_encodes(vector: Vector) -> None:
    """The struct codec makes a vector's packet of its message."""
    assert vector.encode() == vector.packet


@each
def test_struct_decodes(vector: Vector) -> None:
    """The struct codec reads a vector's message, addresses and hop limit from its packet."""
    received = vector.decode(vector.packet)
    assert received.message == vector.message
    assert type(received.message) is type(vector.message)
    assert (received.source, received.destination) == (vector.source, vector.destination)
    assert received.hop_limit == vector.packet[7]


@each
def test_scapy_builds(vector: Vector) -> None:
    """The same octets are built by scapy, checksums and authenticator included."""
    assert scapy_judge.build(vector) == vector.packet


@each
def test_scapy_dissects(vector: Vector) -> None:
    """The same message is read by scapy."""
    assert scapy_judge.read(vector) == vector.message


@each
def test_scapy_rebuilds(vector: Vector) -> None:
    """A packet that scapy dissected is built anew with the same octets and checksum."""
    assert scapy_judge.rebuilt(vector) == vector.packet


@each
def test_truncation(vector: Vector) -> None:
    """A packet cut at any length is malformed."""
    for length in range(len(vector.packet)):
        with pytest.raises(MalformedMessage):
            vector.decode(vector.packet[:length])


@each
def test_truncation_with_a_fitting_payload_length(vector: Vector) -> None:
    """A packet cut at any length is malformed even if its IPv6 header agrees with the cut."""
    for length in range(40, len(vector.packet)):
        cut = vector.packet[:4] + (length - 40).to_bytes(2, "big") + vector.packet[6:length]
        with pytest.raises(MalformedMessage):
            vector.decode(cut)


@each
def test_trailing_octets(vector: Vector) -> None:
    """Octets behind the payload length are link padding and change nothing."""
    assert vector.decode(vector.packet + b"\xa5" * 7) == vector.decode(vector.packet)


@each
def test_bit_flips(vector: Vector) -> None:
    """One wrong bit raises nothing but MalformedMessage, and always does in what the checksum covers."""
    covered = len(vector.packet) - len(parse_ipv6(vector.packet).payload)
    for bit in range(8 * len(vector.packet)):
        octets = bytearray(vector.packet)
        octets[bit // 8] ^= 0x80 >> bit % 8
        if bit // 8 >= covered:
            with pytest.raises(MalformedMessage):
                vector.decode(bytes(octets))
        else:
            try:
                vector.decode(bytes(octets))
            except MalformedMessage:
                continue


@pytest.mark.parametrize(
    "vector", [vector for vector in ALL if vector.protocol == "fmipv6"], ids=lambda vector: vector.name
)
def test_badf(vector: Vector) -> None:
    """A message is authenticated with its key, and not without, with another, or without the option."""
    received = vector.decode(vector.packet)
    assert received.badf_present == received.authenticated == (vector.key is not None)
    assert not decode(vector.packet).authenticated
    assert not decode(vector.packet, key_for=lambda _: None).authenticated
    assert not decode(vector.packet, key_for=lambda _: b"another key").authenticated
