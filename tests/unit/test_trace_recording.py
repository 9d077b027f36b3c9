"""Recordings: written line by line, read back whole, torn, continued and damaged."""

import gzip
import json
from pathlib import Path

import pytest
from event_strategies import EVENTS, LINKS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lies.errors import LiesError, TraceFormatError
from lies.events import (
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkUp,
    Raw,
    RawSample,
    Sample,
    Technology,
)
from lies.trace import FileKind, RecordingWriter, read_info, read_recording, sniff

LINK = Link("wlan0", Technology.WIFI)


def header(n: int) -> Header:
    """A header at n seconds."""
    return Header("sim", 1, n, n * 1_000_000_000, n, LINK)


EVENT_LIST: list[Indication | Raw] = [
    LinkUp(header(1), "a"),
    RawSample(header(2), Sample(2_000_000_000, poa="a", rssi_dbm=-60.5)),
    LinkDown(header(3), "a", DownReason.SIGNAL_LOST),
]


def written(path: Path, events: list[Indication | Raw]) -> Path:
    """A recording of some events."""
    with RecordingWriter(path, links=[LINK], ae={"damping_s": 1.0}) as writer:
        writer.snapshot({"links": [{"link": "wlan0", "up": False}]})
        for event in events:
            writer.write(event)
    return path


def events_of(path: Path) -> list[Indication | Raw]:
    """The events of a recording."""
    return [r.event for r in read_recording(path) if r.event is not None]


@pytest.mark.parametrize("name", ["r.lies", "r.ndjson", "r.ndjson.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    """Header, snapshot and events come back in order, plain and compressed."""
    path = written(tmp_path / name, EVENT_LIST)
    records = list(read_recording(path))
    assert [r.type for r in records] == ["header", "snapshot", "link_up", "raw_sample", "link_down"]
    assert [r.number for r in records] == [1, 2, 3, 4, 5]
    assert records[0].data["links"] == [{"name": "wlan0", "technology": "wifi"}]
    assert records[0].data["ae"] == {"damping_s": 1.0}
    assert records[1].data["links"] == [{"link": "wlan0", "up": False}]
    assert events_of(path) == EVENT_LIST
    assert sniff(path) is FileKind.RECORDING


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=8), st.lists(LINKS, max_size=3), st.booleans())
def test_any_events_round_trip(
    tmp_path: Path, events: list[Indication | Raw], links: list[Link], packed: bool
) -> None:
    """Every event of every class survives a recording."""
    path = tmp_path / ("r.ndjson.gz" if packed else "r.ndjson")
    with RecordingWriter(path, links=links, overwrite=True) as writer:
        for event in events:
            writer.write(event)
    assert events_of(path) == events


@pytest.mark.parametrize("name", ["r.ndjson", "r.ndjson.gz"])
def test_every_line_is_there_as_soon_as_it_is_written(tmp_path: Path, name: str) -> None:
    """A reader sees a line before the writer closes."""
    path = tmp_path / name
    with RecordingWriter(path) as writer:
        writer.write(EVENT_LIST[0])
        assert events_of(path) == EVENT_LIST[:1]
        writer.write(EVENT_LIST[1])
        assert events_of(path) == EVENT_LIST[:2]


def test_a_recording_cut_anywhere_is_read_up_to_the_cut(tmp_path: Path) -> None:
    """Cut at every octet, the whole lines are read and the rest is reported as torn."""
    whole = written(tmp_path / "whole.ndjson", EVENT_LIST).read_bytes()
    first = whole.index(b"\n") + 1
    cut = tmp_path / "cut.ndjson"
    for size in range(first, len(whole)):
        cut.write_bytes(whole[:size])
        records = list(read_recording(cut))
        torn = size - whole.rindex(b"\n", 0, size) - 1
        assert [r.type for r in records if r.type == "torn"] == (["torn"] if torn else [])
        if torn:
            assert records[-1].data == {"octets": torn}
        assert len(records) == whole[:size].count(b"\n") + bool(torn)
        assert read_info(cut).torn == bool(torn)


def test_a_compressed_recording_cut_anywhere_is_read_up_to_the_cut(tmp_path: Path) -> None:
    """A compressed recording that ends too early gives its whole lines, then says it is torn."""
    whole = written(tmp_path / "whole.ndjson.gz", EVENT_LIST).read_bytes()
    cut = tmp_path / "cut.ndjson.gz"
    counts = set()
    for size in range(len(whole) - 1, 1, -1):
        cut.write_bytes(whole[:size])
        try:
            records = list(read_recording(cut))
        except TraceFormatError:  # not even the header is there
            break
        assert records[-1].type == "torn"
        assert sniff(cut) is FileKind.RECORDING
        counts.add(len(records))
    assert counts == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("name", ["r.lies", "r.ndjson", "r.ndjson.gz"])
def test_a_recording_is_continued_by_a_session(tmp_path: Path, name: str) -> None:
    """A second writer appends: a header of its own, and the earlier lines stay."""
    path = written(tmp_path / name, EVENT_LIST)
    with RecordingWriter(path) as writer:
        writer.write(EVENT_LIST[0])
    assert events_of(path) == [*EVENT_LIST, EVENT_LIST[0]]
    assert [r.type for r in read_recording(path)].count("header") == 2
    assert read_info(path).sessions == 2


def test_continuing_cuts_a_torn_line(tmp_path: Path) -> None:
    """A line torn by a crash is cut before the next session, so that the file stays readable."""
    path = written(tmp_path / "r.ndjson", EVENT_LIST)
    path.write_bytes(path.read_bytes()[:-7])
    with RecordingWriter(path) as writer:
        writer.write(EVENT_LIST[2])
    assert events_of(path) == [*EVENT_LIST[:2], EVENT_LIST[2]]


def test_continuing_a_torn_compressed_file_is_refused(tmp_path: Path) -> None:
    """Compressed data that ends too early cannot be continued, and is left as it is."""
    path = written(tmp_path / "r.ndjson.gz", EVENT_LIST)
    cut = path.read_bytes()[:-9]
    path.write_bytes(cut)
    with pytest.raises(TraceFormatError, match="cannot be continued"):
        RecordingWriter(path)
    assert path.read_bytes() == cut


@pytest.mark.parametrize("content", [b"t_s,link_type,poa\n", b"\x00\x01\x02", b'{"type":"link_up"}\n', b"{"])
def test_another_file_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    """A file that is no recording is refused and left as it is, whether appended to or begun anew."""
    path = tmp_path / "notes.csv"
    path.write_bytes(content)
    for overwrite in (False, True):
        with pytest.raises(TraceFormatError, match="left as it is"):
            RecordingWriter(path, overwrite=overwrite)
    assert path.read_bytes() == content


def test_a_recording_is_begun_anew(tmp_path: Path) -> None:
    """Overwriting takes the place of an earlier recording, also of a torn one."""
    path = written(tmp_path / "r.ndjson", EVENT_LIST)
    path.write_bytes(path.read_bytes()[:-7])
    RecordingWriter(path, overwrite=True).close()
    assert [r.type for r in read_recording(path)] == ["header"]


def test_a_full_disk_is_one_sentence() -> None:
    """Writing to a full device raises LiesError with the system's reason."""
    with pytest.raises(LiesError, match="/dev/full: cannot be written: No space left on device"):
        RecordingWriter("/dev/full")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """A path that cannot be opened raises LiesError with the system's reason."""
    with pytest.raises(LiesError, match="cannot be written: No such file or directory"):
        RecordingWriter(tmp_path / "no" / "r.ndjson")


def line(**change: object) -> bytes:
    """A header line with changes."""
    data = {"type": "header", "format": "lies-recording", "version": 1, "created": "2024-01-01", "links": []}
    return json.dumps({**data, **change}).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"{", "no whole line"),
        (b"[]\n", "record 1: not an object"),
        (b'{"type":"link_up"}\n', "record 1: not a recording"),
        (line(version=2), "version 2 is not known"),
        (line(format="pcap"), "format 'pcap'"),
        (line(links=3), "record 1: header"),
        (line() + b"{nonsense}\n", "record 2:"),
        (line() + b'{"type":"link_up"}\n', "record 2: link_up: link is missing"),
        (line() + b'{"type":"link_up"\n' + line(), "record 2:"),
        (line() + b"\xff\xfe\n", "record 2:"),
    ],
)
def test_what_is_no_recording_is_named_with_its_record(tmp_path: Path, content: bytes, said: str) -> None:
    """TraceFormatError names the file, the record and what is wrong with it."""
    path = tmp_path / "bad.ndjson"
    path.write_bytes(content)
    with pytest.raises(TraceFormatError, match=said) as info:
        list(read_recording(path))
    assert "bad.ndjson" in str(info.value)
    assert info.value.exit_code == 3


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    """A line of more than 4 MiB is refused."""
    path = tmp_path / "long.ndjson.gz"
    path.write_bytes(gzip.compress(line() + b'"' + b"a" * (5 << 20)))
    with pytest.raises(TraceFormatError, match="record 2: a line of more than"):
        list(read_recording(path))


@given(data=st.binary(max_size=200), begin=st.sampled_from([b"", line(), b"\x1f\x8b", b'{"type":"header"']))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_a_format_error_and_nothing_else(tmp_path: Path, data: bytes, begin: bytes) -> None:
    """Any octets are records or TraceFormatError."""
    path = tmp_path / "garbage"
    path.write_bytes(begin + data)
    try:
        list(read_recording(path))
        read_info(path)
    except TraceFormatError:
        return


def test_info_of_a_recording(tmp_path: Path) -> None:
    """The summary has links, PoAs, lines by type, duration and gaps."""
    late = RawSample(header(30), Sample(30_000_000_000, poa="b"))
    info = read_info(written(tmp_path / "r.ndjson", [*EVENT_LIST, late]))
    assert info.links == (LINK,)
    assert info.poas == ("a", "b")
    assert info.counts == {"snapshot": 1, "link_up": 1, "raw_sample": 2, "link_down": 1}
    assert (info.duration_s, info.gaps, info.longest_gap_s) == (29.0, 1, 27.0)
    assert (info.torn, info.backwards, info.sessions, info.lost) == (False, 0, 1, 0)
    assert info.created.endswith("+00:00")


def test_info_says_what_the_recorder_missed(tmp_path: Path) -> None:
    """Each gap that the recorder was told of is counted, so that a loss is seen by whoever has the file."""
    path = tmp_path / "r.lies"
    with RecordingWriter(path, links=[LINK]) as writer:
        writer.snapshot({"links": []})
        for event in EVENT_LIST:
            writer.write(event)
            writer.snapshot({"gap": {"first": 1, "last": None}, "links": []})
    assert read_info(path).lost == len(EVENT_LIST)
