"""Who is not let in, or not for this: connections without a word, wrong keys, other users of the machine."""

import asyncio
import grp
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import zmq
from polling import wait_until
from tools import die_with_parent

from lies.bus import Client, RemotePublisher, TcpDaemon, _monitor
from lies.bus.frames import bus_frames
from lies.bus.messages import Hello
from lies.errors import NotPermitted
from soak.forger import WAYS
from soak.metronome_config import metronome
from soak.rig import PATIENCE_S, Bed, Watched
from soak.tcp import Doors, Keys

NOBODY = 65534
_PATIENCE = struct.pack("@ll", int(PATIENCE_S), 0)  # struct timeval


def _bed(bed: Bed) -> tuple[Keys, str]:
    keys = Keys(bed.directory / "keys")
    orders = bed.directory / "orders"
    config = keys.config(friend="listen", listener="listen", driver="publish")
    return keys, config + metronome("a", rate_hz=100.0, link="tick0", order_file=orders)


def _knocks(where: tuple[str, int] | str, count: int) -> Iterator[None]:
    """Connect and leave, so many times."""
    for _ in range(count):
        kind = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        with socket.socket(kind) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _PATIENCE)  # of connect(2)
            connection.connect(where)
        yield


def connections(bed: Bed) -> None:
    """10,000 connections opened and dropped, on a socket file and on TCP: nothing of them is left."""
    keys, config = _bed(bed)
    one = bed.daemon(config)
    doors = Doors(one, keys)
    witness = bed.witness()
    far = bed.consumer("far", **doors.env("friend"))
    far.wait_events(1)
    watched = Watched(one.process.pid)
    descriptors, rss_mb = watched.descriptors, watched.rss_mb
    count = bed.part(10_000)
    _, _, port = doors.bus.rpartition(":")
    for where in (str(one.run_dir / "bus"), ("127.0.0.1", int(port))):
        for n, _ in enumerate(_knocks(where, count)):
            if n % (count // 10) == 0:
                witness.wait_events(1)
                far.wait_events(1)
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    grown_mb = watched.rss_mb - rss_mb
    bed.figures.check(grown_mb < 16, f"the daemon grew by {grown_mb:.1f} MB")
    seen = bed.nothing_missed(witness)
    seen_far = bed.nothing_missed(far)
    bed.figures.values.update(
        connections=2 * count,
        witness_events=seen["events"],
        witness_tcp_events=seen_far["events"],
        witness_missed=seen["told"] + seen_far["told"],
        grown_mb=grown_mb,
    )
    bed.end(one, far, witness)


def wrong_keys(bed: Bed) -> None:
    """Wrong, unlisted and absent CURVE keys, and listed ones without the right: none gets anywhere."""
    keys, config = _bed(bed)
    one = bed.daemon(config)
    doors = Doors(one, keys)
    witness = bed.witness(**doors.env("friend"))
    watched = Watched(one.process.pid)
    descriptors = watched.descriptors
    tries = bed.part(200, 5)
    refused = asyncio.run(_try_keys(doors, keys, tries))
    for n in range(tries):
        _without_curve(doors.publish if n % 2 else doors.bus)
        witness.wait_events(1)
        refused += 1
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    check = bed.figures.check
    check(refused == 5 * tries, f"{5 * tries - refused} of {5 * tries} attempts were not refused")
    check(not (bed.directory / "orders").exists(), "the link was moved")
    log = one.log.read_text()
    secrets = [keys[name].secret for name in ("server", "friend", "listener", "stranger", "other")]
    check(not any(secret in log for secret in secrets), "a secret key is in the log")
    check(len(log.splitlines()) < 30, f"{len(log.splitlines())} lines were logged")
    seen = bed.nothing_missed(witness)
    bed.figures.values.update(
        attempts=5 * tries,
        refused=refused,
        log_lines=len(log.splitlines()),
        witness_tcp_events=seen["events"],
        witness_missed=seen["told"],
    )
    bed.end(one, witness)


async def _try_keys(doors: Doors, keys: Keys, tries: int) -> int:
    """How many attempts were refused: four for each try."""
    refused = 0
    wrong_server = doors.where(keys["friend"], server_key=keys["other"].public)
    for _ in range(tries):
        for where in (wrong_server, doors.where(keys["stranger"])):
            refused += await _is_refused(where, act=False)
        refused += await _is_refused(doors.where(keys["listener"]), act=True)
        refused += await _may_not_publish(doors.where(keys["listener"]))
    return refused


async def _is_refused(where: TcpDaemon, *, act: bool) -> bool:
    try:
        async with await Client.connect(where, name="x", timeout_s=PATIENCE_S) as client:
            if act:
                await client.link_connect("tick0", "elsewhere")
    except NotPermitted:
        return True
    return False


async def _may_not_publish(where: TcpDaemon) -> bool:
    try:
        (await RemotePublisher.connect(where, name="a", timeout_s=PATIENCE_S)).close()
    except NotPermitted:
        return True
    return False


def _without_curve(address: str) -> None:
    """Knock without CURVE, until the connection is broken off."""
    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    failures = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    monitor = _monitor.Monitor(dealer, failures | int(zmq.EVENT_DISCONNECTED))
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.connect(address)
    dealer.send_multipart(bus_frames(Hello("x", "ipv6")), zmq.NOBLOCK)
    wait_until(lambda: monitor.next() is not None, PATIENCE_S)
    assert not dealer.poll(0)
    monitor.close()
    dealer.close()


def rights(bed: Bed) -> None:
    """A user who may only listen sends LinkConnect and forges LinkDown: nothing happens, he is told so."""
    become = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    if subprocess.run([sys.executable, "-c", become], stderr=subprocess.DEVNULL, check=False).returncode:
        bed.figures.values["skipped"] = "no process of another user can be made here"
        return
    orders = bed.directory / "orders"
    bed.directory.chmod(0o755)  # the other user has to get at the sockets
    one = bed.daemon(
        f'[daemon]\ngroup = "{grp.getgrgid(NOBODY).gr_name}"\n'
        + metronome("a", rate_hz=100.0, link="tick0", order_file=orders)
    )
    witness = bed.witness()
    watched = Watched(one.process.pid)
    descriptors = watched.descriptors
    tries = bed.part(200, 5)
    forger = subprocess.run(
        [sys.executable, "-m", "soak.forger", str(one.run_dir), str(tries), str(NOBODY)],
        env=one.env,
        stdout=subprocess.PIPE,
        check=False,
        preexec_fn=die_with_parent,
    )
    check = bed.figures.check
    check(forger.returncode == 0, f"the forger ended with {forger.returncode}")
    found = json.loads(forger.stdout or "{}")
    wanted = tries * WAYS
    check(found.get("refused") == wanted, f"of {wanted} attempts not all were refused: {found}")
    check(not orders.exists(), "the link was moved")
    witness.wait_events(1)
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    seen = bed.nothing_missed(witness)
    bed.figures.values.update(
        attempts=wanted,
        refused=found.get("refused"),
        log_lines=len(one.log.read_text().splitlines()),
        witness_events=seen["events"],
        witness_missed=seen["told"],
    )
    bed.end(one, witness)
