"""Captures: packets from the IPv6 header on into a pcap file, and what tshark says of it."""

import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

LINKTYPE_IPV6 = 229  # the octets begin with an IPv6 header


def write_pcap(path: Path, packets: Iterable[bytes]) -> None:
    """A pcap file of the packets, all at time 0."""
    octets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_IPV6)]
    octets += [struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet for packet in packets]
    path.write_bytes(b"".join(octets))


def tshark_fields(
    tshark: str, path: Path, names: Sequence[str], *, display_filter: str | None = None
) -> list[dict[str, list[str]]]:
    """The values of the named fields for every packet of a capture that passes the filter, in order."""
    options = [part for name in names for part in ("-e", name)]
    shape = ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"]
    wanted = ["-Y", display_filter] if display_filter is not None else []
    command = [tshark, "-n", "-r", str(path), *wanted, *shape, *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.split("\t") for line in output.rstrip("\n").split("\n")] if output else []
    return [{name: value.split("|") for name, value in zip(names, row, strict=True) if value} for row in rows]
