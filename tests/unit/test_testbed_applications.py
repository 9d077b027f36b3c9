"""Reports of applications: what is read from them, and what is said of those that are none."""

import array
import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lies.cli._mode import AppChoice
from lies.testbed.application import ApplicationFailed
from lies.testbed.applications import APPLICATIONS
from lies.testbed.download import content, digest_of, read_download
from lies.testbed.iperf3 import Iperf3Missing, corrected, find_iperf3, read_report, stream_of

_MS = 1_000_000


def part(start: float, *, sender: bool = False, **counts: float) -> dict[str, Any]:
    """One stream of an interval of 100 ms, as iperf3 prints it."""
    return {"socket": 5, "start": start, "end": start + 0.1, "bytes": 187_200, "sender": sender, **counts}


def document(*rounds: list[dict[str, Any]], **more: Any) -> bytes:
    """A report of iperf3."""
    return json.dumps({"start": {}, "intervals": [{"streams": r} for r in rounds], **more}).encode()


def test_a_udp_report_is_read() -> None:
    """Of a test both ways the parts that were received and those that were sent are told apart."""
    text = document(
        [part(0.0, lost_packets=0, packets=156), part(0.0, sender=True, packets=156)],
        [part(0.1, lost_packets=3, packets=156), part(0.1, sender=True, packets=156)],
        end={
            "streams": [
                {"udp": {"sender": True}},
                {"udp": {"sender": False, "lost_packets": 3, "out_of_order": 2}},
            ]
        },
    )
    report = read_report(text, "iperf3")
    assert [r[2:] for r in report.received] == [(187_200, 0, 156), (187_200, 3, 156)]
    assert [r[2] for r in report.resent] == [0, 0]
    stream = stream_of("udp", "uplink", report, report, 10**9, dropped=1)
    assert (stream.packets, stream.lost, stream.dropped, stream.reordered) == (312, 3, 1, 2)
    assert (stream.resent, stream.congestion) == (None, None)
    assert stream.intervals[1].start_ns == 10**9 + 100 * _MS


def test_a_tcp_report_is_read() -> None:
    """Octets are the receiver's, segments sent again and the congestion control are the sender's."""
    receiver = read_report(document([part(0.0)], [part(0.1)]), "server")
    end = {"streams": [{"sender": {}, "receiver": {}}], "sender_tcp_congestion": "cubic"}
    sender = read_report(document([part(0.0, sender=True, retransmits=7)], end=end), "client")
    stream = stream_of("tcp", "downlink", receiver, sender, 0)
    assert (stream.retransmits, stream.congestion, stream.octets) == (7, "cubic", 374_400)
    assert (stream.packets, stream.lost, stream.error) == (None, None, None)


def test_an_early_end_is_told_in_its_own_words() -> None:
    """A report with `error` is a report: what was seen until then counts."""
    report = read_report(document([part(0.0)], error="control socket has closed unexpectedly", end={}), "x")
    assert stream_of("tcp", "uplink", report, report, 0).error == "control socket has closed unexpectedly"
    assert len(report.received) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "printed nothing"),
        (b"iperf3: error - the server is busy", "printed no report .*the server is busy"),
        (b"\xff\xfe\x00", "printed no report"),
        (b"[]", "printed no report"),
        (b'{"intervals": 5}', "printed no report"),
        (b'{"intervals": [{"streams": [{"start": 0}]}]}', "printed no report"),
        (document([part(0.0)])[:-5], "printed no report"),
        (document([part(0.5) | {"end": 0.1}]), "printed an interval with impossible numbers"),
        (document([part(-0.5)]), "printed an interval with impossible numbers"),
        (document([part(0.0) | {"bytes": 1e300}]), "printed an interval with impossible numbers"),
        (document([part(0.0) | {"lost_packets": -1e30}]), "printed an interval with impossible numbers"),
        (document([part(0.0) | {"bytes": None}]), "printed no report"),
    ],
)
def test_what_is_no_report(text: bytes, said: str) -> None:
    """One sentence that names whose report it is, for whatever iperf3 may have printed."""
    with pytest.raises(ApplicationFailed, match=f"^the iperf3 client at mn {said}") as caught:
        read_report(text, "the iperf3 client at mn")
    assert len(str(caught.value)) < 500


_KEYS = st.sampled_from(["intervals", "streams", "end", "udp", "start", "error", "sender"])
_TREES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
    max_leaves=20,
)


@given(_TREES)
def test_no_document_raises_anything_else(tree: Any) -> None:
    """Any JSON is a report or ApplicationFailed."""
    try:
        read_report(json.dumps(tree).encode(), "iperf3")
    except ApplicationFailed:
        return


_WRAPPED = round(1.8446744073709552e19)  # as iperf3 3.12 prints -3


@pytest.mark.parametrize(
    ("missing", "total", "wanted"),
    [
        ([0, 3, 0], 3, [0, 3, 0]),
        ([0, 3, _WRAPPED], 0, [0, 0, 0]),
        ([1, 3, _WRAPPED, 5], 7, [1, 1, 0, 5]),
        ([4, 4, _WRAPPED, _WRAPPED, 2], 2, [0, 0, 0, 0, 2]),
        ([4, _WRAPPED], None, [4, 0]),
        ([0, _WRAPPED], 9, [0, 0]),
    ],
)
def test_datagrams_that_came_after_all_are_not_lost(
    missing: list[int], total: int | None, wanted: list[int]
) -> None:
    """Where iperf3 took losses back, the intervals before that have so many fewer."""
    assert corrected(missing, total) == wanted


def test_without_iperf3_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way out is in it: the package, and the application that needs nothing."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Iperf3Missing, match=r"apt-get install iperf3.*--app http") as caught:
        find_iperf3()
    assert caught.value.exit_code == 1


def test_every_application_can_be_asked_for() -> None:
    """What the command line takes is what there is."""
    assert {choice.value for choice in AppChoice} == set(APPLICATIONS)


# ---- the download


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 100_000])
def test_the_content_has_its_length_and_no_piece_twice(length: int) -> None:
    """So that a piece in another's place changes the digest."""
    pieces = list(content(length))
    assert sum(map(len, pieces)) == length
    assert len(set(pieces)) == len(pieces)
    assert hashlib.sha256(b"".join(pieces)).digest() == digest_of(length)


def client_report(arrivals: list[tuple[int, int]], **changed: Any) -> bytes:
    """What a client writes that had these octets at these times."""
    length = sum(octets for _, octets in arrivals)
    digest = digest_of(length)
    head = {
        "error": None,
        "length": length,
        "digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
        "sha256": digest.hex(),
        "end_ns": arrivals[-1][0],
        **changed,
    }
    flat = array.array("q", [number for pair in arrivals for number in pair])
    return json.dumps(head).encode() + b"\n" + flat.tobytes()


_ARRIVALS = [(0, 0), (10 * _MS, 5000), (200 * _MS, 7000), (290 * _MS, 1), (380 * _MS, 9)]
_SERVER = json.dumps({"resent": [[0, 0], [150 * _MS, 0], [250 * _MS, 12]], "congestion": "bbr"}).encode()


def test_a_download_is_read() -> None:
    """Octets per interval, stalls to the ms, segments sent again, and that the content is the one sent."""
    stream = read_download(client_report(_ARRIVALS), _SERVER)
    assert [i.octets for i in stream.intervals] == [5000, 0, 7001, 9]
    assert stream.stalls == ((10 * _MS, 200 * _MS), (200 * _MS, 290 * _MS), (290 * _MS, 380 * _MS))
    assert (stream.longest_stall_ms, stream.retransmits, stream.congestion) == (190.0, 12, "bbr")
    assert (stream.intact, stream.error, stream.least_stall_ms) == (True, None, 50.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": "00" * 32},
        {"length": 12_011},
        {"digest": ""},
        {"digest": "sha-256=:not base64:"},
        {"digest": "md5=:AAAA:"},
        {"error": "TimeoutError: it was not over when the drive was"},
    ],
)
def test_what_is_not_proved_is_not_intact(changed: dict[str, Any]) -> None:
    """Another digest, a missing octet, no digest, an early end: the content is not as sent."""
    stream = read_download(client_report(_ARRIVALS, **changed), None)
    assert stream.intact is False
    assert stream.resent is None


@pytest.mark.parametrize(
    "text", [b"", b"{}\n", b"5\n", b"[1]\n", client_report(_ARRIVALS)[:-3], b'{"end_ns": "x"}\n\0']
)
def test_a_broken_report_of_a_download(text: bytes) -> None:
    """One sentence."""
    with pytest.raises(ApplicationFailed, match="the download's report cannot be read"):
        read_download(text, None)


def test_a_broken_report_of_its_server() -> None:
    """One sentence as well."""
    with pytest.raises(ApplicationFailed, match="the download's report cannot be read"):
        read_download(client_report(_ARRIVALS), b'{"resent": [1]}')
