"""strongSwan beside LIES's barrier, with the configuration of docs/security.md; the peer never answers."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from netns_kit import frames, ip, waiting
from polling import wait_until
from strongswan_kit import CONTROL, DAEMON, Charon
from tools import die_with_parent, need
from tunnel_kit import ENDPOINT, PEER, STRANGER, Pair

from lies.kernel import xfrm
from lies.kernel.esp import MobilitySocket
from lies.kernel.netlink import Netlink
from lies.kernel.netns import entered
from lies_fmipv6.codec import encode
from lies_fmipv6.messages import HandoverAcknowledge

pytestmark = pytest.mark.netns

MOBILITY, UDP, ISAKMP = 135, 17, 500
LIMIT_S = 60.0


@pytest.fixture
def barred(pair: Pair) -> Iterator[list[str]]:
    """The policies of a barrier between our end point and the peer, as iproute2 shows them."""
    del pair
    both = ((ENDPOINT, PEER, False), (PEER, ENDPOINT, True))
    with closing(Netlink(xfrm.NETLINK_XFRM)) as kernel:
        kernel.execute([xfrm.barrier(a, b, incoming=i) for a, b, i in both])
        yield policies()
        kernel.execute([xfrm.delete_barrier(a, b, incoming=i) for a, b, i in both])


def policies() -> list[str]:
    """The policies of this namespace, without those of sockets; sorted."""
    found = "\n".join(ip("xfrm", "policy", "list", "nosock")).split("\nsrc ")
    return sorted(text.removeprefix("src ") for text in found)


@pytest.fixture
def charon() -> Iterator[Charon]:
    """The files of an IKE daemon of ours."""
    for tool in (DAEMON, CONTROL):
        need(tool)
    with tempfile.TemporaryDirectory(prefix="lies-ike-") as folder:
        yield Charon(Path(folder) / "charon", ENDPOINT, PEER, os.urandom(32))


def started(charon: Charon) -> "subprocess.Popen[bytes]":
    """The daemon, with its connections loaded."""
    env = {**os.environ, **charon.env}
    log = charon.socket.parent / "log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [need(DAEMON)],
            env=env,
            stderr=file,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )
    try:
        wait_until(lambda: charon.listens() or process.poll() is not None, LIMIT_S)
        done = subprocess.run(charon.load(), env=env, capture_output=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, (done.stderr, log.read_text())
    except BaseException:
        ended(process, signal.SIGKILL)
        raise
    return process


def ended(process: "subprocess.Popen[bytes]", number: int) -> None:
    """End it with a signal."""
    process.send_signal(number)
    process.wait(LIMIT_S)


def test_nothing_leaves_in_the_clear_whatever_becomes_of_the_ike_daemon(
    pair: Pair, barred: list[str], charon: Charon, caplog: pytest.LogCaptureFixture
) -> None:
    """No HAck before strongSwan runs, while it asks for associations, after it was killed and has ended."""
    with entered(pair.far):
        air = frames("v1")
    seen: list[bytes] = []

    def on_air(found: Callable[[bytes], bool], times: int = 1) -> bool:
        seen.extend(f[14:] for f in waiting(air))
        return sum(map(found, seen)) >= times

    def asked(packet: bytes) -> bool:
        """Whether it is one of IKE to the peer."""
        return packet[6] == UDP and packet[24:40] == PEER.packed and packet[42:44] == ISAKMP.to_bytes(2)

    with air, closing(MobilitySocket(ENDPOINT, frozenset(), seen.append)) as port:

        def refused(number: int) -> bool:
            """Send a HAck; whether the log says why it was not sent."""
            caplog.clear()
            port.send(encode(HandoverAcknowledge(number, 0), ENDPOINT, PEER), PEER)
            return f"not sent to {PEER}: no policy of an IKE daemon says how" in caplog.text

        assert refused(1)
        for number, last in ((2, signal.SIGKILL), (3, signal.SIGTERM)):
            process = started(charon)
            try:
                theirs = [p for p in policies() if p not in barred]
                assert len(theirs) == 2
                assert all("proto esp reqid 1 mode transport" in p for p in theirs)
                requests = 1 + sum(map(asked, seen))
                wait_until(partial(on_air, asked, requests), LIMIT_S)
                assert not refused(number)  # it has a policy, and no association
            finally:
                ended(process, last)
            assert set(barred) <= set(policies())
        assert policies() == barred
        assert refused(4)
        port.send(encode(HandoverAcknowledge(5, 0), ENDPOINT, STRANGER), STRANGER)
        wait_until(lambda: on_air(lambda packet: packet[6] == MOBILITY), LIMIT_S)
    assert [p[24:40] for p in seen if p[6] == MOBILITY] == [STRANGER.packed]
