"""CSV and G-NetTrack traces: what they become, and the sentences about files that cannot be read."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_files import COLUMNS, csv_text, recorded, wifi_rows, write_csv

from lies.errors import TraceFormatError
from lies.events import Attached, Detached, DownReason, Neighbour, Sample, Technology
from lies.trace import UNNAMED, FileKind, open_trace, read_info, sniff

LTE = {
    "t_s": 0.5,
    "link_type": "lte",
    "poa": "7",
    "rsrp_dbm": -93,
    "rsrq_db": -10,
    "snr_db": 2.0,
    "rssi_dbm": -76,
}
GNETTRACK = (
    "Timestamp,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,RSSI,State,RAWCELLID,NRxRSRP,NRxRSRQ\n"
    "2019.12.01_12.11.21,36,B,2,LTE,-92,-11,2.0,-76,D,100,-,-\n"
    "2019.12.01_12.11.21,36,B,2,LTE,-93,-10,2.0,-,D,100,-99.0,-12\n"
    "2019.12.01_12.11.21,36,B,2,LTE,-94,-10,2.0,-76,D,100,-,-\n"
    "2019.12.01_12.11.25,0,B,2,5G,-103,-14,1.0,-75,D,200,-102.0,-16.0\n"
    "2019.12.01_12.11.26,0,B,2,HSPA+,-80,-8,-,-70,I,300,-,-\n"
    "2019.12.01_12.11.27,0,B,-,-,-,-,-,-,I,-,-,-\n"
)


def test_a_csv_row_is_a_sample(tmp_path: Path) -> None:
    """Every column of a row arrives in its sample; the first PoA is attached to before it."""
    path = write_csv(tmp_path / "t.csv.gz", [{**LTE, "speed_mps": 1.5, "nbr_rsrp_dbm": -99.0}])
    trace = open_trace(path)
    assert (trace.technology, trace.poas, trace.signal) == (Technology.LTE, ("7",), "rsrp_dbm")
    assert list(trace.items()) == [
        (500_000_000, Attached(500_000_000, "7")),
        (
            500_000_000,
            Sample(
                500_000_000,
                poa="7",
                rssi_dbm=-76.0,
                rsrp_dbm=-93.0,
                rsrq_db=-10.0,
                snr_db=2.0,
                speed_mps=1.5,
                neighbours=(Neighbour(UNNAMED, rsrp_dbm=-99.0),),
            ),
        ),
    ]


def test_a_change_of_cell_is_a_peers_doing_and_names_its_technology(tmp_path: Path) -> None:
    """A cellular change is Detached(PEER), Attached, Sample; another technology than the link's is said."""
    rows = [LTE, {**LTE, "t_s": 1, "link_type": "umts", "poa": "8"}]
    items = [i for _, i in open_trace(write_csv(tmp_path / "t.csv", rows)).items()]
    t_ns = 1_000_000_000
    assert items[2:4] == [Detached(t_ns, "7", DownReason.PEER), Attached(t_ns, "8")]
    assert [i.technology for i in items if isinstance(i, Sample)] == [None, "umts"]


def test_an_access_point_that_falls_silent_is_lost_after_two_seconds(tmp_path: Path) -> None:
    """Seconds without the PoA are samples without one; at the first row two seconds on the link is lost."""
    levels: dict[float, float | None] = {
        0: -60.0,
        1: None,
        2: -61.0,
        3: None,
        4: None,
        5: None,
        6: None,
        7: -62.0,
    }
    trace = open_trace(write_csv(tmp_path / "t.csv", wifi_rows("ap1", levels)))
    moves = [i for _, i in trace.items() if not isinstance(i, Sample)]
    assert moves == [
        Attached(0, "ap1"),
        Detached(5_000_000_000, "ap1", DownReason.SIGNAL_LOST),
        Attached(7_000_000_000, "ap1"),
    ]
    samples = [i for _, i in trace.items() if isinstance(i, Sample)]
    assert [s.poa for s in samples] == ["ap1", None, "ap1", None, None, None, None, "ap1"]


def test_the_past_of_a_trace_does_not_depend_on_its_future(tmp_path: Path) -> None:
    """A trace cut anywhere gives the same items up to the cut."""
    levels: dict[float, float | None] = {n: (None if n % 7 > 3 else -60.0 - n) for n in range(30)}
    rows = wifi_rows("a", levels)
    whole = list(open_trace(write_csv(tmp_path / "w.csv", rows)).items())
    for size in range(1, len(rows)):
        part = list(open_trace(write_csv(tmp_path / "p.csv", rows[:size])).items())
        assert part == whole[: len(part)]


def test_time_that_goes_back_is_sorted_in_and_counted(tmp_path: Path) -> None:
    """A clock set back is tolerated: rows are sorted by time, and the steps back are counted."""
    rows = [{**LTE, "t_s": t} for t in (0, 2, 1, 1, 3)]
    trace = open_trace(write_csv(tmp_path / "t.csv", rows))
    assert [r.t_s for r in trace.rows] == [0, 1, 1, 2, 3]
    assert trace.backwards == 1
    assert read_info(trace.path).backwards == 1


def test_a_window_keeps_the_traces_clock(tmp_path: Path) -> None:
    """A window has the rows between its ends; an empty one is an error."""
    trace = open_trace(write_csv(tmp_path / "t.csv", [{**LTE, "t_s": t} for t in range(10)]))
    assert [r.t_s for r in trace.window(3, 2).rows] == [3, 4, 5]
    assert trace.window(7, None).duration_s == 2
    with pytest.raises(TraceFormatError, match="nothing was recorded from 20 s"):
        trace.window(20, 5)


def test_gnettrack_seconds_are_spread_and_values_converted(tmp_path: Path) -> None:
    """Rows of one second share it evenly, km/h become m/s, "-" is missing, modes become technologies."""
    path = tmp_path / "g.csv"
    path.write_text(GNETTRACK)
    trace = open_trace(path)
    assert (trace.format, sniff(path)) == ("g-nettrack", FileKind.GNETTRACK)
    assert [r.t_s for r in trace.rows] == [0.0, 0.333, 0.667, 4.0, 5.0, 6.0]
    assert [str(r.technology) for r in trace.rows] == ["lte", "lte", "lte", "nr", "umts", "lte"]
    assert [r.poa for r in trace.rows] == ["100", "100", "100", "200", "300", None]
    assert [r.rssi_dbm for r in trace.rows] == [-76, None, -76, -75, -70, None]
    assert [r.nbr_rsrp_dbm for r in trace.rows] == [None, -99.0, None, -102.0, None, None]
    assert trace.rows[0].speed_mps == 10.0
    assert trace.rows[4].snr_db is None


HEADER = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "t.csv: is empty"),
        (HEADER.encode(), "has a header but no row"),
        (b"\x7fELF\x00\x01", "neither a recording nor a trace"),
        (b"hello\nworld\n", "neither a recording nor a trace"),
        (b"t_s,link_type,poa,state\n0,wifi,a,x\n", "has no signal column: one of rssi_dbm"),
        (b"t_s,poa,rssi_dbm\n0,a,-50\n", "has no column link_type"),
        (
            csv_text([{**LTE, "rsrp_dbm": "", "snr_db": "", "rssi_dbm": ""}]).encode(),
            "no row has a signal value",
        ),
        (
            csv_text([LTE, {**LTE, "rsrp_dbm": "strong"}]).encode(),
            "record 2: rsrp_dbm is not a number: 'strong'",
        ),
        (csv_text([{**LTE, "t_s": "nan"}]).encode(), "record 1: t_s is not a number"),
        (csv_text([{**LTE, "t_s": ""}]).encode(), "record 1: t_s is missing"),
        (csv_text([{**LTE, "snr_db": "inf"}]).encode(), "record 1: snr_db is not a number"),
        (csv_text([{**LTE, "link_type": "pigeon"}]).encode(), "record 1: unknown link_type 'pigeon'"),
        (
            HEADER.encode() + b"0,lte\n" + csv_text([LTE]).encode(),
            "record 1: has 2 values, the header has 11",
        ),
        (HEADER.encode() + b"\xff\xfe\xfd\n", "not text"),
        (HEADER.encode() + b"0,lte,\0\n", "not text"),
        (gzip.compress(csv_text([LTE] * 50).encode())[:60], "truncated"),
        (gzip.compress(csv_text([LTE] * 50).encode())[:-3], "truncated"),
        (b"\x1f\x8b", "truncated"),
        (b"\x1f\x8b\x08\x00garbage that is no deflate stream", "damaged"),
        (GNETTRACK.replace("12.11.25", "12-11-25").encode(), "record 4: Timestamp is not"),
        (GNETTRACK.replace(",5G,", ",9G,").encode(), "record 4: unknown NetworkMode '9G'"),
        (GNETTRACK.replace(",-103,", ",x,").encode(), "record 4: RSRP is not a number"),
        (GNETTRACK.replace("RAWCELLID", "CELL").encode(), "has no column RAWCELLID"),
        (b'{"type":"header"}\n', "is a recording, where a trace is asked for"),
    ],
)
def test_what_is_no_trace_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    """TraceFormatError names the file, the record where there is one, and what is wrong; exit code 3."""
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(TraceFormatError) as info:
        open_trace(path)
    assert said in str(info.value)
    assert "t.csv" in str(info.value)
    assert "\n" not in str(info.value)
    assert info.value.exit_code == 3


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    """A missing file and a folder are TraceFormatErrors with the system's reason."""
    with pytest.raises(TraceFormatError, match="cannot be read: No such file"):
        open_trace(tmp_path / "absent.csv")
    with pytest.raises(TraceFormatError, match="cannot be read: Is a directory"):
        open_trace(tmp_path)


def test_a_last_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    """A recorder that was killed inside its last line loses that line only."""
    path = tmp_path / "t.csv"
    path.write_text(csv_text([LTE, {**LTE, "t_s": 1}]) + "2,lte")
    assert len(open_trace(path).rows) == 2


TEXT = st.text(st.sampled_from("0123456789.-,\n\"'abc \r\t"), max_size=150)


@given(st.sampled_from([HEADER, GNETTRACK, ""]), TEXT, st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_a_format_error_and_nothing_else(
    tmp_path: Path, begin: str, text: str, packed: bool
) -> None:
    """Any text is a trace or TraceFormatError; what is a trace is in order of time."""
    path = tmp_path / "g.csv"
    data = (begin + text).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    try:
        trace = open_trace(path)
    except TraceFormatError:
        return
    assert all(a <= b for (a, _), (b, _) in pairwise(trace.items()))


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_binary_garbage_is_a_format_error_and_nothing_else(tmp_path: Path, data: bytes) -> None:
    """Any octets are a trace or TraceFormatError."""
    path = tmp_path / "g"
    path.write_bytes(data)
    try:
        open_trace(path)
    except TraceFormatError:
        return


@pytest.mark.traces
def test_original_and_converted_files_are_the_same_drive() -> None:
    """A G-NetTrack file and its conversion to CSV give the same rows."""
    found = 0
    for raw in recorded("raw/gnettrack_B_*.csv"):
        stamp = raw.stem.removeprefix("gnettrack_B_").replace(".", "")
        converted = [p for p in recorded("dev/ucc5g_*.csv.gz") if p.name.split(".")[0].endswith(stamp[:13])]
        for path in converted:
            assert open_trace(raw).rows == open_trace(path).rows
            found += 1
    assert found


@pytest.mark.traces
def test_every_recorded_trace_is_read() -> None:
    """Every recorded trace opens, has a signal, and attaches as often as its PoA column changes."""
    for path in recorded("dev/*.csv.gz"):
        trace = open_trace(path)
        moves = [i for _, i in trace.items() if isinstance(i, Attached | Detached)]
        assert trace.signal
        assert all(isinstance(i, Attached) == (n % 2 == 0) for n, i in enumerate(moves))
        if trace.technology is not Technology.WIFI:
            changes = sum(a.poa != b.poa for a, b in pairwise(trace.rows))
            assert len(moves) == 2 * changes + 1
