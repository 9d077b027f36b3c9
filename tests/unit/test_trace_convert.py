"""Conversions: every record survives, CSV holds the samples, and Wireshark's tools read the captures."""

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from event_strategies import EVENTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_kit import Event, S, drive, events_of, header, types_of, write
from tools import need
from trace_files import csv_text, wifi_rows

from lies.errors import ConfigError, PluginUnavailable, TraceFormatError
from lies.events import Link, Neighbour, RawSample, RawState, Sample, Technology
from lies.trace import Converted, RecordingWriter, convert, open_trace, read_info, read_recording, records_of
from lies.trace._pcapng import EPB, IDB, LINKTYPE_USER0, Block, section_block
from lies.trace.recording import header_of

WHOLE = [".lies", ".ndjson", ".ndjson.gz", ".pcapng", ".parquet"]
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WALL_NS = 1_700_000_000 * S


@pytest.mark.parametrize("ending", WHOLE)
@SLOW
@given(events=st.lists(EVENTS, max_size=6), more=st.lists(EVENTS, max_size=3))
def test_there_and_back(tmp_path: Path, ending: str, events: list[Event], more: list[Event]) -> None:
    """Each whole form gives back every record: headers, snapshots and events of every class."""
    source = write(tmp_path / "in.lies", [events, more])
    with RecordingWriter(source) as writer:
        writer.snapshot({"links": [{"link": "wlan0", "up": False, "näme": "\u2603"}]})
    there, back = tmp_path / f"there{ending}", tmp_path / "back.lies"
    count = len(events) + len(more) + 4
    assert convert(source, there) == Converted(count, count)
    assert convert(there, back) == Converted(count, count)
    assert list(read_recording(back)) == list(read_recording(source))
    assert read_info(there).counts == read_info(source).counts


def test_a_long_record_is_kept_in_pieces(tmp_path: Path) -> None:
    """A record longer than a pcapng option goes into several comments of one packet, between characters."""
    event = RawState(header(1), bytes(range(256)) * 600)
    source = write(tmp_path / "in.lies", [[event]])
    with RecordingWriter(source) as writer:
        writer.snapshot({"text": "\u2603" * 70_000})
    convert(source, tmp_path / "x.pcapng")
    convert(tmp_path / "x.pcapng", tmp_path / "back.lies")
    assert list(read_recording(tmp_path / "back.lies")) == list(read_recording(source))


SAMPLES: list[Event] = [
    RawSample(header(10), Sample(S, poa="a", rssi_dbm=-60.5, snr_db=30.0, speed_mps=1.25)),
    RawSample(header(11), Sample(S + S // 10, poa="a", rsrq_db=-9.5, rsrp_dbm=-101.0, technology="lte")),
    RawSample(
        header(12),
        Sample(
            S + S // 10 + 7,
            neighbours=(Neighbour("b", rsrp_dbm=-90.0), Neighbour("c", rsrp_dbm=-80.0), Neighbour("d")),
        ),
    ),
]


def test_csv_holds_the_samples(tmp_path: Path) -> None:
    """Each raw sample is a row, its time counted from the first raw item, to the nanosecond."""
    events = drive(0) + SAMPLES
    done = convert(write(tmp_path / "in.lies", [events]), tmp_path / "out.csv")
    assert done == Converted(len(events) + 1, 3)
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "t_s,link_type,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm",
        "0,wifi,a,-60.5,,,30.0,1.25,,",
        "0.1,lte,a,,-101.0,-9.5,,,,",
        "0.100000007,wifi,,,,,,,,-80.0",
    ]
    first, second, _ = open_trace(tmp_path / "out.csv").rows
    assert (first.t_s, first.poa, first.rssi_dbm, first.rsrp_dbm) == (0.0, "a", -60.5, None)
    assert (second.t_s, second.poa, second.rssi_dbm, second.rsrp_dbm) == (0.1, "a", None, -101.0)
    convert(tmp_path / "in.lies", tmp_path / "out.csv.gz")
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_a_trace_there_and_back(tmp_path: Path) -> None:
    """A CSV trace becomes a recording of what its replay feeds, and that the same trace, on its clock."""
    levels = {12.5: -50.0, 13.0: -60.25, 13.5: None, 14.0: -70.0}
    trace = tmp_path / "walk.csv"
    trace.write_text(csv_text(wifi_rows("ap1", levels)))
    convert(trace, tmp_path / "walk.lies")
    convert(tmp_path / "walk.lies", tmp_path / "back.csv")
    before, after = open_trace(trace), open_trace(tmp_path / "back.csv")
    assert [item for _, item in after.items()] == [item for _, item in before.items()]
    head, *records = read_recording(tmp_path / "walk.lies")
    assert header_of(head.data).t0_ns == 0
    fed = [r.event for r in records]
    assert [getattr(e, a) for e in fed for a in ("sample", "attached", "detached") if hasattr(e, a)] == [
        item for _, item in before.items()
    ]
    assert {e.header.link for e in fed if e is not None} == {Link("walk", Technology.WIFI)}
    convert(trace, tmp_path / "named.ndjson", link="wlan7")
    assert {e.header.link.name for e in events_of(tmp_path / "named.ndjson")} == {"wlan7"}


def test_csv_is_of_one_link(tmp_path: Path) -> None:
    """Of several links one must be chosen; a link without samples is an error; nothing is written."""
    lte = header(5, link=Link("lte0", Technology.LTE))
    other: list[Event] = [RawSample(lte, Sample(S // 2, poa="c", rsrp_dbm=-99.0))]
    source = write(tmp_path / "in.lies", [drive(3) + other])
    with pytest.raises(ConfigError, match=r"--link: wlan0, lte0: a CSV trace has one link"):
        convert(source, tmp_path / "out.csv")
    with pytest.raises(TraceFormatError, match=r"in\.lies: has no raw sample of eth0"):
        convert(source, tmp_path / "out.csv", link="eth0")
    assert [p.name for p in tmp_path.iterdir()] == ["in.lies"]
    assert convert(source, tmp_path / "out.csv", link="lte0").kept == 1
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "0.5,lte,c,,-99.0,,,,,"


def test_what_is_torn_or_damaged_is_told(tmp_path: Path) -> None:
    """What can be read of a broken recording is converted, and what cannot is counted."""
    events = drive(40)
    source = write(tmp_path / "in.lies", [events], flush_every=10)
    source.write_bytes(source.read_bytes()[:-3])
    done = convert(source, tmp_path / "out.ndjson")
    assert done.torn_octets > 0
    assert events_of(tmp_path / "out.ndjson") == events
    octets = bytearray(source.read_bytes())
    octets[-400] ^= 1
    source.write_bytes(octets)
    done = convert(source, tmp_path / "out.ndjson")
    assert done.damaged_octets > 0
    assert len(events_of(tmp_path / "out.ndjson")) == done.records - 1


def test_wrong_forms_are_one_sentence(tmp_path: Path) -> None:
    """An ending that says no form, packets for another form, and files that are none of ours."""
    source = write(tmp_path / "in.lies", [drive(3)])
    with pytest.raises(ConfigError, match=r"out\.txt: the ending says the form"):
        convert(source, tmp_path / "out.txt")
    with pytest.raises(ConfigError, match="--packets"):
        convert(source, tmp_path / "out.ndjson", packets=source)
    with pytest.raises(TraceFormatError, match="is not a pcapng capture"):
        convert(source, tmp_path / "out.pcapng", packets=source)
    (tmp_path / "empty.pcapng").write_bytes(section_block().encode())
    with pytest.raises(TraceFormatError, match="without events of LIES"):
        convert(tmp_path / "empty.pcapng", tmp_path / "out.lies")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(TraceFormatError, match="cannot be read"):
        convert(tmp_path / "bad.parquet", tmp_path / "out.lies")
    with pytest.raises(TraceFormatError, match=r"is pcapng; `lies convert`"):
        open_trace(tmp_path / "empty.pcapng")
    assert not (tmp_path / "out.lies").exists()


def test_without_pyarrow_it_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet without the extra ends with the sentence that names it."""
    monkeypatch.delitem(sys.modules, "lies.trace._parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PluginUnavailable, match=r'pip install "lies\[parquet\]"'):
        convert(write(tmp_path / "in.lies", [drive(3)]), tmp_path / "out.parquet")


def test_parquet_has_columns(tmp_path: Path) -> None:
    """What analyses ask for stands in columns of its own, typed."""
    pq = pytest.importorskip("pyarrow.parquet")
    convert(write(tmp_path / "in.lies", [drive(30)]), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet", columns=["type", "link", "mono_ns", "poa", "rssi_dbm"])
    samples = [row for row in table.to_pylist() if row["type"] == "raw_sample"]
    assert len(samples) == 30
    assert samples[29] == {
        "type": "raw_sample",
        "link": "wlan0",
        "mono_ns": 29 * S // 10,
        "poa": "ap1",
        "rssi_dbm": -59.0,
    }


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of a capture."""
    return Block(order, kind, body).encode()


def section(order: str) -> bytes:
    """A section header with a length, as some writers give it."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, 1 << 20), order)


def interface(order: str, resolution: int | None = None, offset_s: int | None = None) -> bytes:
    """An Ethernet interface."""
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHBxxx", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(order + "HHq", 14, 8, offset_s)
    return block(
        IDB, struct.pack(order + "HHI", 1, 0, 65535) + options + (bytes(4) if options else b""), order
    )


def packet(order: str, number: int, units: int, payload: bytes) -> bytes:
    """A packet with an Ethernet frame of 16 octets."""
    head = struct.pack(order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, 16, 16)
    return block(EPB, head + bytes(12) + b"\x88\xb5" + payload[:2], order)


def listed(capture: Path) -> list[tuple[str, int, str]]:
    """(interface, tenths of a second since the beginning, what it is) of each packet, as tshark reads it."""
    found = subprocess.run(
        [
            need("tshark"),
            *("-r", str(capture), "-T", "json", "-e", "frame.interface_name", "-e", "frame.interface_id"),
            *("-e", "frame.time_epoch", "-e", "frame.comment", "-e", "frame.len"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    out = []
    for one in json.loads(found):
        layer = one["_source"]["layers"]
        tenths = round((float(layer["frame.time_epoch"][0]) - WALL_NS / 1e9) * 10)
        comment = json.loads(layer.get("frame.comment", ["null"])[0])
        what = comment["type"] if comment else f"packet{layer['frame.interface_id'][0]}"
        out.append((layer.get("frame.interface_name", [""])[0], tenths, what))
    return out


@pytest.mark.tshark
def test_capinfos_and_tshark_read_a_capture_of_events(tmp_path: Path) -> None:
    """Wireshark's tools find each record as a comment on a packet of no octets, at its time to the ns."""
    source = write(tmp_path / "in.lies", [drive(5)])
    convert(source, tmp_path / "out.pcapng")
    info = subprocess.run(
        [need("capinfos"), "-M", "-c", "-d", "-E", "-I", str(tmp_path / "out.pcapng")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Number of packets:   9\n" in info
    assert "Data size:           0 bytes" in info
    assert "Name = lies" in info
    assert LINKTYPE_USER0 == 147
    whats = [what for _, _, what in listed(tmp_path / "out.pcapng")]
    assert whats == ["header", "raw_state", "raw_attached", "link_up", *["raw_sample"] * 5]


@pytest.mark.tshark
@pytest.mark.parametrize("order", ["<", ">"])
def test_events_stand_beside_the_packets(tmp_path: Path, order: str) -> None:
    """Packets of a capture stay, in both octet orders, with any resolution; the events come in by time."""
    us, base = WALL_NS // 1000, WALL_NS // S
    capture = b"".join(
        (
            section(order),
            interface(order),
            interface(order, 9, base),
            packet(order, 0, us + 50_000, b"ab"),
            packet(order, 1, 150_000_000, b"cd"),
            interface(order, 3),  # comes late: its number goes up by one
            packet(order, 2, WALL_NS // 10**6 + 250, b"ef"),
            block(5, struct.pack(order + "III", 2, 0, 0), order),  # interface statistics
            packet(order, 0, us + 350_000, b"gh"),
        )
    )
    (tmp_path / "in.pcapng").write_bytes(capture)
    source = write(tmp_path / "in.lies", [drive(5)[1:]])
    convert(source, tmp_path / "out.pcapng", packets=tmp_path / "in.pcapng")
    found = listed(tmp_path / "out.pcapng")
    assert [what for _, _, what in found if what != "header"] == [
        *("raw_attached", "link_up", "raw_sample", "packet0", "raw_sample", "packet1"),
        *("raw_sample", "packet3", "raw_sample", "packet0", "raw_sample"),
    ]
    convert(tmp_path / "out.pcapng", tmp_path / "back.lies")
    assert events_of(tmp_path / "back.lies") == events_of(source)
    octets = (tmp_path / "out.pcapng").read_bytes()
    assert all(octets.count(bytes(12) + b"\x88\xb5" + p) == 1 for p in (b"ab", b"cd", b"ef", b"gh"))


def test_a_torn_capture_is_told(tmp_path: Path) -> None:
    """A capture that ends inside a block is copied up to there; so is one that events are read from."""
    (tmp_path / "in.pcapng").write_bytes(section("<") + interface("<") + packet("<", 0, 5, b"ab")[:-6])
    source = write(tmp_path / "in.lies", [drive(5)])
    done = convert(source, tmp_path / "out.pcapng", packets=tmp_path / "in.pcapng")
    assert done.packets_torn_octets == 42
    whole = (tmp_path / "out.pcapng").read_bytes()
    (tmp_path / "out.pcapng").write_bytes(whole[:-5])
    done = convert(tmp_path / "out.pcapng", tmp_path / "back.lies")
    assert done.torn_octets > 0
    assert events_of(tmp_path / "back.lies") == events_of(source)[:-1]


@SLOW
@given(at=st.integers(0, 1 << 16), removed=st.integers(0, 30), inserted=st.binary(max_size=30))
def test_a_damaged_capture_is_records_or_one_sentence(
    tmp_path: Path, at: int, removed: int, inserted: bytes
) -> None:
    """A capture changed anywhere gives records or TraceFormatError, never else."""
    source = write(tmp_path / "in.lies", [drive(4)])
    convert(source, tmp_path / "x.pcapng")
    octets = bytearray((tmp_path / "x.pcapng").read_bytes())
    at %= len(octets)
    octets[at : at + removed] = inserted
    (tmp_path / "x.pcapng").write_bytes(octets)
    for use in (
        lambda: list(records_of(tmp_path / "x.pcapng")),
        lambda: convert(source, tmp_path / "y.pcapng", packets=tmp_path / "x.pcapng"),
    ):
        try:
            use()
        except TraceFormatError:
            continue


def test_types_of_a_trace_are_attachments_and_samples(tmp_path: Path) -> None:
    """What a trace's PoA column says comes as attachments, before the samples they belong to."""
    trace = tmp_path / "walk.csv"
    rows = wifi_rows("ap1", {0.0: -50.0, 1.0: -60.0}) + wifi_rows("ap2", {2.0: -55.0})
    trace.write_text(csv_text(rows))
    convert(trace, tmp_path / "walk.lies")
    found = [r.type for r in read_recording(tmp_path / "walk.lies")]
    assert found == [
        "header",
        "raw_attached",
        *["raw_sample"] * 2,
        "raw_detached",
        "raw_attached",
        "raw_sample",
    ]
    assert types_of(tmp_path / "walk.lies") == ["header"]
