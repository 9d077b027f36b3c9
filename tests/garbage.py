"""Messages that a peer without manners may send."""

import random

from bus_rig import LTE

from lies.bus.frames import Event, bus_frames, primitive_frames, publish_frames
from lies.bus.messages import Goodbye, Heartbeat, Hello, LinkState, Publish, PublishLink, Snapshot
from lies.events import Header, LinkUp, LinkUpConfirm, LinkUpRequest, Result


def garbage(seed: int, number: int) -> list[list[bytes]]:
    """Messages that a peer without manners may send, reproducible."""
    rng = random.Random(seed)
    link = LinkState(LTE, "sim")
    header = Header("sim", 1, 1, 1, 1, LTE)
    good = [
        bus_frames(Hello("x", "ipv6", 1)),
        bus_frames(Goodbye("x")),
        bus_frames(Heartbeat(1, {1: 1})),
        bus_frames(Snapshot(())),
        bus_frames(PublishLink(header, link)),
        primitive_frames(LinkUpRequest(1, "*"), layer="L2", protocol="*"),
        primitive_frames(LinkUpConfirm(1, "*", Result.ACK), layer="L3", protocol="*"),
        publish_frames(Publish(header), [Event(LinkUp(header, "a"))], protocol="*"),
    ]
    out = []
    for _ in range(number):
        frames = list(rng.choice(good))
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(frames))
            octets = bytearray(frames[at])
            if octets:
                octets[rng.randrange(len(octets))] = rng.randrange(256)
            frames[at] = bytes(octets[: rng.randrange(len(octets) + 1)] if rng.random() < 0.3 else octets)
        frames += [rng.randbytes(rng.randrange(40)) for _ in range(rng.choice((0, 0, 1, 5)))]
        out.append(frames if rng.random() < 0.9 else [rng.randbytes(rng.randrange(30)) for _ in range(3)])
    return out
