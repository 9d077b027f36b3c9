"""What is sent to the daemon's sockets that makes no sense, or too much of it."""

import asyncio

import zmq
from polling import wait_until

from lies.bus import _monitor
from lies.bus.frames import bus_frames, decode
from lies.bus.messages import Hello, Refused, Welcome
from soak.conversation import Message, converse
from soak.metronome_config import metronome
from soak.mutate import Mutator, with_hypothesis
from soak.rig import PATIENCE_S, Bed, Watched
from soak.tcp import Dealer, Door, Doors, Keys

HELLO_EVERY = 50
SENDING_MS = 5000  # after which a connection is taken for dead
ROUND = 2000  # messages after which the witness is asked


class Flood:
    """A peer of one socket that sends and sends, and reads what it is told."""

    def __init__(self, door: Door, hello: Message) -> None:
        self.sent = 0
        self._door = door
        self._hello = hello
        self._socket = self._open()
        self._put(hello)

    def send(self, message: Message) -> None:
        """Send one, and now and then a Hello, for what was sent before may have been a Goodbye."""
        self._put(message)
        self.sent += 1
        if self.sent % HELLO_EVERY == 0:
            self._put(self._hello)
            while self._socket.poll(0):
                self._socket.recv_multipart()

    def wait_taken(self) -> None:
        """Wait until all was looked at: an unknown version is answered by its number, and that comes last."""
        token = f"LIES{self.sent}".encode()
        self._put([token])

        def answered() -> bool:
            while self._socket.poll(0):
                message = decode(self._socket.recv_multipart(), max_body=1 << 26).message
                if isinstance(message, Refused) and token.decode() in message.reason:
                    return True
            self._put([token])
            return False

        wait_until(answered, PATIENCE_S)

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def _open(self) -> Dealer:
        socket = self._door.dealer(SNDHWM=1000, SNDTIMEO=SENDING_MS)
        socket.connect(self._door.address)
        return socket

    def _put(self, message: Message) -> None:
        """Send; libzmq gives a connection up for good after some errors, and a sender then waits for ever."""
        try:
            self._socket.send_multipart(message)
        except zmq.Again:
            self._socket.close()
            self._socket = self._open()
            self._socket.send_multipart(self._hello)


def _bed(bed: Bed) -> tuple[Keys, str]:
    keys = Keys(bed.directory / "keys")
    return keys, keys.config(friend="listen act publish") + metronome("a", rate_hz=100.0, link="tick0")


def mutated_frames(bed: Bed) -> None:
    """200,000 mutated frames on every socket: nothing but their senders notices."""
    keys, config = _bed(bed)
    one = bed.daemon(config)
    doors = Doors(one, keys)
    witness = bed.witness()
    (bed.directory / "tap").mkdir()
    conversations = asyncio.run(converse(bed.directory / "tap", one.run_dir))
    watched = Watched(one.process.pid)
    descriptors, rss_mb = watched.descriptors, watched.rss_mb
    lines = len(one.log.read_text().splitlines())
    number, sent = bed.part(200_000), 0
    for n, door in enumerate(doors.all("friend")):
        flood = Flood(door, conversations[door.endpoint][0])
        mutator = Mutator(conversations[door.endpoint], n)
        with_hypothesis(conversations[door.endpoint], number // 40, n, flood.send)
        while flood.sent < number:
            flood.send(mutator.message())
            if flood.sent % ROUND == 0:
                witness.wait_events(1)
        flood.wait_taken()
        flood.close()
        sent += flood.sent
    said = one.log.read_text().splitlines()[lines:]
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    grown_mb = watched.rss_mb - rss_mb
    check = bed.figures.check
    check(grown_mb < 48, f"the daemon grew by {grown_mb:.1f} MB")
    check(len(said) < 1000, f"{len(said)} lines were logged")
    check(max(map(len, said), default=0) < 400, "a line of the log is as long as the peer wants it")
    seen = bed.nothing_missed(witness)
    bed.figures.values.update(
        messages=sent,
        witness_events=seen["events"],
        witness_missed=seen["told"],
        grown_mb=grown_mb,
        log_lines=len(said),
    )
    bed.end(one, witness)


def big_frame(bed: Bed) -> None:
    """A frame of 100 MB on every socket: its sender is disconnected, and no memory is taken for it."""
    keys, config = _bed(bed)
    one = bed.daemon(config)
    witness = bed.witness()
    watched = Watched(one.process.pid)
    descriptors = watched.descriptors
    octets = bed.part(100_000_000)
    body = bytes(octets)
    watched.forget_peak()
    rss_mb = watched.rss_mb
    for n, door in enumerate(Doors(one, keys).all("friend")):
        _send_big(door, body, first=False)
        _send_big(door, body, first=True)
        _greet(door, f"after{n}")
        witness.wait_events(1)
    grown_mb = watched.peak_mb - rss_mb
    wait_until(lambda: watched.descriptors <= descriptors, PATIENCE_S)
    bed.figures.check(grown_mb < min(24, octets / 2e6), f"the daemon grew by {grown_mb:.1f} MB at most")
    seen = bed.nothing_missed(witness)
    bed.figures.values.update(
        octets=octets,
        frames=8,
        peak_growth_mb=grown_mb,
        witness_events=seen["events"],
        witness_missed=seen["told"],
    )
    bed.end(one, witness)


def _greet(door: Door, name: str) -> None:
    socket = door.dealer()
    socket.connect(door.address)
    socket.send_multipart(bus_frames(Hello(name, "ipv6", 1)))
    wait_until(lambda: socket.poll(0) != 0, PATIENCE_S)
    assert isinstance(decode(socket.recv_multipart()).message, Welcome)
    socket.close()


def _send_big(door: Door, body: bytes, *, first: bool) -> None:
    """Send it, as the first frame or after a Hello, and wait until the connection was closed for it."""
    socket = door.dealer(SNDTIMEO=0)
    monitor = _monitor.Monitor(socket, int(zmq.EVENT_DISCONNECTED))
    socket.connect(door.address)
    if not first:
        socket.send_multipart(bus_frames(Hello("big", "ipv6", 1)))
        wait_until(lambda: socket.poll(0) != 0, PATIENCE_S)
        frames = [*bus_frames(Hello("big", "ipv6", 1))[:2], body]
    else:
        frames = [body]
    socket.send_multipart(frames, copy=False)
    wait_until(lambda: monitor.next() is not None, PATIENCE_S)
    monitor.close()
    socket.close()
