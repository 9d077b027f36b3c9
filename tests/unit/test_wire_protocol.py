"""spec/wire-protocol.md: a daemon says what the page says, octet by octet."""

import re
from pathlib import Path

import wire_example
from attrs import evolve
from bus_rig import Dealer, Port, on_loop, until

from lies.bus import BusCore, BusServer
from lies.bus.core import Event
from lies.bus.frames import decode
from lies.bus.messages import BUS_MESSAGES, Heartbeat
from lies.events import PRIMITIVES, LinkUp

PAGE = (Path(__file__).resolve().parents[2] / "spec" / "wire-protocol.md").read_text(encoding="utf-8")
OCTETS = PAGE.partition("```text\n")[2].partition("```")[0]


def test_page_holds_the_conversation() -> None:
    """The octets on the page are those of the conversation, frame by frame, and none is without a meaning."""
    said = [(who, frames) for who, _, frames in wire_example.conversation()]
    assert wire_example.parse(OCTETS) == said
    for line in OCTETS.splitlines():
        if line.startswith("frame"):
            assert line[58:].strip(), line


@on_loop
async def test_a_daemon_answers_so(tmp_path: Path) -> None:
    """To the consumer's octets on the page a daemon answers with the daemon's octets on the page."""
    directory = tmp_path / "run"
    core = BusCore(epoch=wire_example.DAEMON_EPOCH)
    header = evolve(wire_example.UP.header, sequence=0)
    publisher = core.open_publisher(wire_example.DRIVER, wire_example.DRIVER_EPOCH, 0, Port())
    core.announce(publisher, header, wire_example.STATE)
    async with BusServer(core, directory, heartbeat_s=wire_example.HEARTBEAT_MS / 1000):
        with Dealer(directory) as peer:
            for who, frames in wire_example.parse(OCTETS):
                if who == wire_example.CONSUMER:
                    peer.send(*frames)
                    continue
                message = decode(frames).message
                if isinstance(message, LinkUp) and not core.links["wlan0"].up:
                    core.publish(publisher, wire_example.UP.header, (Event(wire_example.UP),))
                assert await answer(peer, heartbeat=isinstance(message, Heartbeat)) == frames
            await until(lambda: not core.sessions)


async def answer(peer: Dealer, *, heartbeat: bool) -> list[bytes]:
    """The daemon's next message; the heartbeats that tell of a delivery are passed over unless wanted."""
    while True:
        await until(peer.readable)
        frames = peer.socket.recv_multipart()
        message = decode(frames).message
        if not isinstance(message, Heartbeat) or (heartbeat and message.last.get(1)):
            return frames


def test_page_names_every_message() -> None:
    """The page has every message of the bus, every primitive, and who sends what."""
    for cls, name in BUS_MESSAGES:
        assert f"`BUS:lies:{cls.value}:{name}`" in PAGE
    for primitive in PRIMITIVES.values():
        assert f"| `{primitive.name}` |" in PAGE
    assert set(wire_example._FROM) == {name for _, name in BUS_MESSAGES} - {"snapshot", "plugins"}


def test_every_kind_of_value_is_walked() -> None:
    """The walk through msgpack ends exactly at the end of each body."""
    for _, _, frames in wire_example.conversation():
        parts = list(wire_example._Body(frames[2]).parts(0))
        assert b"".join(octets for octets, _ in parts) == frames[2]


def test_links_of_the_page_lead_somewhere() -> None:
    """Files that the page names are there."""
    root = Path(__file__).resolve().parents[2]
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (root / "spec" / target).exists(), target
    for named in re.findall(r"`((?:lies|examples)/[\w./-]+)`", PAGE):
        assert (root / named).exists(), named
