"""The packed form of recordings: chunks, segments, index, tears and damage."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from event_strategies import EVENTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_kit import LINK, Event, S, drive, events_of, header, types_of, write

from lies.errors import LiesError, TraceFormatError
from lies.events import RawSample, Sample
from lies.trace import RecordingWriter, _packed, read_info, read_recording
from lies.trace._chunks import MAGIC, MAX_UNPACKED, Chunk, Kind, Unpacker, chunk_bytes, walk
from lies.trace.recording import has_index
from lies_replay.entries import Entry, RecordingPlayer

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of about eight events, as a long recording has many."""
    monkeypatch.setattr(_packed, "SEGMENT_SIZE", 1200)


def chunks_of(path: Path) -> list[Chunk]:
    """The chunks of a file."""
    with path.open("rb") as file:
        return [c for c in walk(file) if isinstance(c, Chunk)]


@SLOW
@given(st.lists(EVENTS, max_size=12), st.integers(0, 3))
def test_any_events_round_trip(tmp_path: Path, events: list[Event], flush_every: int) -> None:
    """Every event of every class is read as it was written, however it was cut into chunks."""
    assert events_of(write(tmp_path / "r.lies", [events], flush_every=flush_every)) == events


@SLOW
@given(st.lists(st.lists(EVENTS, max_size=6), min_size=1, max_size=3))
def test_sessions_are_appended(tmp_path: Path, sessions: list[list[Event]]) -> None:
    """Each session begins with a header; records are numbered through."""
    path = write(tmp_path / "r.lies", sessions)
    assert events_of(path) == [event for events in sessions for event in events]
    assert types_of(path) == ["header"] * len(sessions)
    assert [r.number for r in read_recording(path)] == list(
        range(1, 1 + len(sessions) + sum(len(events) for events in sessions))
    )
    assert has_index(path)


def test_it_is_a_tenth_of_the_lines(tmp_path: Path) -> None:
    """A drive's recording is at most a tenth of the same as NDJSON."""
    packed, lines = (write(tmp_path / name, [drive(3000)]) for name in ("r.lies", "r.ndjson"))
    assert packed.stat().st_size * 10 < lines.stat().st_size
    assert events_of(packed) == events_of(lines)


def test_a_record_waits_half_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees what was written half a second before, and everything after a flush."""
    now_ns = 0
    monkeypatch.setattr(_packed, "monotonic_ns", lambda: now_ns)
    path, events = tmp_path / "r.lies", drive(20)
    with RecordingWriter(path, links=[LINK]) as writer:
        assert types_of(path) == ["header"]
        for n, event in enumerate(events[:11]):
            now_ns = n * S // 20
            writer.write(event)
        assert events_of(path) == events[:11]
        writer.write(events[11])
        assert events_of(path) == events[:11]
        writer.flush()
        assert events_of(path) == events[:12]


def test_a_cut_file_is_read_up_to_the_cut(tmp_path: Path, small_segments: None) -> None:
    """Cut at every octet: exactly the chunks before the cut are read, and a tear is reported."""
    del small_segments
    events = drive(20)
    path = write(tmp_path / "whole.lies", [events], flush_every=4)
    whole, ends = path.read_bytes(), [c.end for c in chunks_of(path)]
    records = [c.records if c.kind is not Kind.INDEX else 0 for c in chunks_of(path)]
    assert sum(records) == len(events)
    cut = tmp_path / "cut.lies"
    for size in range(ends[0], len(whole)):
        cut.write_bytes(whole[:size])
        whole_chunks = sum(end <= size for end in ends)
        assert events_of(cut) == events[: sum(records[:whole_chunks])]
        assert ("torn" in types_of(cut)) == (size not in ends)
        assert not has_index(cut)
    for size in range(ends[0]):
        cut.write_bytes(whole[:size])
        with pytest.raises(TraceFormatError):
            list(read_recording(cut))


def is_subsequence(some: list[Event], events: list[Event]) -> bool:
    """Whether `some` are events in their order."""
    rest: Iterator[Event] = iter(events)
    return all(any(event == other for other in rest) for event in some)


def test_a_flipped_bit_costs_one_segment_and_is_reported(tmp_path: Path, small_segments: None) -> None:
    """A bit flipped at any octet gives no wrong event, costs at most its segment, and is told."""
    del small_segments
    events = drive(30)
    path = write(tmp_path / "whole.lies", [events], flush_every=5)
    whole, bad = path.read_bytes(), tmp_path / "bad.lies"
    begins = [c.offset for c in chunks_of(path) if c.kind is not Kind.MORE]
    most = max(sum(c.records for c in chunks_of(path) if a <= c.offset < b) for a, b in pairwise(begins))
    assert len(begins) > 3
    for at in range(len(MAGIC), len(whole)):
        octets = bytearray(whole)
        octets[at] ^= 1 << at % 8
        bad.write_bytes(octets)
        records = list(read_recording(bad))
        found = [r.event for r in records if r.event is not None]
        assert records[0].type == "header"
        assert is_subsequence(found, events)
        assert len(found) >= len(events) - most
        told = {r.type for r in records} & {"torn", "damaged"}
        assert told
    for at in range(len(MAGIC)):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(TraceFormatError):
            list(read_recording(bad))


EDITS = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.integers(0, 40), st.binary(max_size=40)), min_size=1, max_size=4
)


@SLOW
@given(EDITS)
def test_any_damage_is_records_or_one_sentence(tmp_path: Path, edits: list[tuple[int, int, bytes]]) -> None:
    """Octets changed, inserted and removed anywhere give true records or TraceFormatError, never else."""
    events = drive(25)
    octets = bytearray(write(tmp_path / "r.lies", [events[:12], events[12:]], flush_every=3).read_bytes())
    for where, removed, inserted in edits:
        at = where % len(octets)
        octets[at : at + removed] = inserted
    bad = tmp_path / "bad.lies"
    bad.write_bytes(octets)
    try:
        found = events_of(bad)
        read_info(bad)
        list(read_recording(bad, start_ns=S))
    except TraceFormatError:
        return
    assert is_subsequence(found, events)


def test_damage_is_counted(tmp_path: Path, small_segments: None) -> None:
    """The summary says how many octets in the middle cannot be read, and that the end is torn."""
    del small_segments
    path = write(tmp_path / "r.lies", [drive(60)], flush_every=5)
    third = chunks_of(path)[2]
    octets = bytearray(path.read_bytes()[:-5])
    octets[third.offset + 30] ^= 1
    path.write_bytes(octets)
    info = read_info(path)
    assert info.damaged_octets >= third.size
    assert (info.torn, info.indexed) == (True, False)
    assert sum(info.counts.values()) < len(drive(60))


def test_continuing_cuts_the_torn_end(tmp_path: Path) -> None:
    """After a crash inside a chunk a further session follows the last whole one."""
    events = drive(30)
    path = write(tmp_path / "r.lies", [events], flush_every=5)
    *_, last, _index = chunks_of(path)
    path.write_bytes(path.read_bytes()[: last.end - 3])
    with RecordingWriter(path, links=[LINK]) as writer:
        writer.write(events[0])
    kept = len(events) - last.records
    assert events_of(path) == [*events[:kept], events[0]]
    assert types_of(path) == ["header", "header"]
    assert [r.number for r in read_recording(path)] == list(range(1, kept + 4))
    assert has_index(path)


def test_a_file_in_another_form_is_not_continued(tmp_path: Path) -> None:
    """A packed recording is not continued as lines, nor the other way round, and stays as it is."""
    for name, other in (("a.lies", "b.ndjson"), ("b.ndjson", "a.lies")):
        path = write(tmp_path / name, [drive(3)])
        moved = path.rename(tmp_path / other)
        before = moved.read_bytes()
        with pytest.raises(TraceFormatError, match="is not a recording in"):
            RecordingWriter(moved)
        assert moved.read_bytes() == before


def test_a_number_that_cannot_be_kept_is_one_sentence(tmp_path: Path) -> None:
    """An integer of more than 64 bits, or a record of more than 4 MiB, is refused; the file goes on."""
    path = tmp_path / "r.lies"
    with RecordingWriter(path) as writer:
        with pytest.raises(LiesError, match="more than 64 bits"):
            writer.snapshot({"n": 1 << 70})
        with pytest.raises(LiesError, match="cannot be kept"):
            writer.snapshot({"n": "x" * (5 << 20)})
        writer.write(drive(1)[0])
    assert events_of(path) == drive(1)[:1]


def test_a_bomb_is_not_unpacked() -> None:
    """A payload that unpacks to more than its head says is given up at once."""
    packed = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    chunk = Chunk(0, Kind.BEGIN, packed, MAX_UNPACKED, 1)
    assert Unpacker().unpack(chunk) is None


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x90", "without its beginning"),
        (b"\x91\x92\xa7segment\x80", "record 1: "),
        (b"\xc1", "record 1: "),
    ],
)
def test_a_whole_chunk_of_nonsense_is_named(tmp_path: Path, payload: bytes, said: str) -> None:
    """A chunk whose checksum is right and whose content is not is an error with its record."""
    path = tmp_path / "r.lies"
    packed = zstandard.ZstdCompressor().compress(payload)
    path.write_bytes(MAGIC + chunk_bytes(Kind.BEGIN, packed, len(payload), 0))
    with pytest.raises(TraceFormatError, match=said):
        list(read_recording(path))


def entries(path: Path, start_s: float) -> list[Entry]:
    """What a replay of a part feeds."""
    player = RecordingPlayer(path, link=None, start_s=start_s, duration_s=None, with_state=True)
    try:
        return list(player.entries())
    except TraceFormatError:  # nothing to play in that part
        return []


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=3),
    begins=st.lists(st.integers(0, 50 * S), min_size=3, max_size=3),
    start_s=st.floats(0, 20),
    closed=st.booleans(),
)
def test_a_part_is_the_same_by_the_index(
    tmp_path: Path,
    small_segments: None,
    counts: list[int],
    begins: list[int],
    start_s: float,
    closed: bool,
) -> None:
    """A replay that jumps to its part by the index, or by the segments, feeds what one without does."""
    del small_segments
    sessions = [drive(n, begin_ns=b) for n, b in zip(counts, begins, strict=False)]
    packed = write(tmp_path / "r.lies", sessions, flush_every=3)
    if not closed:
        packed.write_bytes(packed.read_bytes()[:-1])
    lines = write(tmp_path / "r.ndjson", sessions)
    assert entries(packed, start_s) == entries(lines, start_s)


def test_a_part_is_read_without_what_is_before(tmp_path: Path, small_segments: None) -> None:
    """Reading from an offset on leaves segments out, and says where it begins."""
    del small_segments
    path = write(tmp_path / "r.lies", [drive(400)], flush_every=5)
    records = list(read_recording(path, start_ns=30 * S))
    assert [r.type for r in records[:2]] == ["header", "skipped"]
    assert len(records) < 150
    position = records[1].data["position"]
    assert 28 * S < position.reached_ns <= 30 * S
    assert position.serving == {LINK: "ap14"}


MEMORY = """
import sys
from pathlib import Path
from recording_kit import LINK, drive
from lies.trace import RecordingWriter, read_recording

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

path, events = Path(sys.argv[1]), drive(1000)
with RecordingWriter(path, links=[LINK]) as writer:
    for round in range(200):
        if round == 20:
            begin = resident_mb()
        for event in events:
            writer.write(event)
    written = resident_mb() - begin
for n, record in enumerate(read_recording(path)):
    if n == 20_000:
        begin = resident_mb()
print(n, written, resident_mb() - begin)
"""


def test_memory_is_flat(tmp_path: Path) -> None:
    """Two hundred thousand events are written and read with the memory that a tenth of them takes."""
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "long.lies")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    count, written, read = done.stdout.split()
    assert int(count) > 200_000
    assert float(written) < 3
    assert float(read) < 3


def test_a_clock_that_goes_back_hides_nothing(tmp_path: Path, small_segments: None) -> None:
    """Where times go back inside a session, the replay of a part finds all that is later than its begin."""
    del small_segments
    events = [*drive(60, begin_ns=20 * S), *drive(60), *drive(200, begin_ns=5 * S)]
    packed = write(tmp_path / "r.lies", [events], flush_every=3)
    lines = write(tmp_path / "r.ndjson", [events])
    for start_s in (0.5, 3.0, 5.9, 6.0, 15.0):
        assert entries(packed, start_s) == entries(lines, start_s)


def test_times_that_no_clock_shows_are_kept(tmp_path: Path) -> None:
    """Times at both ends of 64 bits are kept, though sums of them are more than that."""
    far = [
        RawSample(header(n, t_ns), Sample(t_ns))
        for n, t_ns in enumerate((-(2**63), 2**63 - 1, -(2**63), 2**63 - 1))
    ]
    path = write(tmp_path / "r.lies", [far[:2], far[2:], far[:1]])
    assert events_of(path) == [*far, far[0]]
