"""Frames that almost make sense: valid ones with octets changed, and well-formed ones with other contents."""

import random
from collections.abc import Callable, Iterable, Sequence

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Message = list[bytes]
_INTERESTING = (
    b"",
    b"\x00",
    b"\xff" * 9,
    b"\xc1",  # never used in msgpack
    b"\xcf" + b"\xff" * 8,  # the largest number
    b"\xd3\x80" + b"\x00" * 7,  # the least
    b"\xcb\x7f\xf8" + b"\x00" * 6,  # not a number
    b"\xdd\xff\xff\xff\xff",  # a list of 4 Gi items
    b"\xdf\xff\xff\xff\xff",  # a map of as many
    b"\xdb\xff\xff\xff\xff",  # a text of as many octets
    b"\x91" * 2000,  # lists in lists
    b"LIES1",
    b"LIES2",
    b":" * 40,
)


class Mutator:
    """Makes messages from the valid ones of a conversation; reproducible."""

    def __init__(self, conversation: Sequence[Message], number: int) -> None:
        self._valid = conversation
        self._rng = random.Random(number)
        self._octets: list[Callable[[bytearray], None]] = [
            self._flip,
            self._set,
            self._cut,
            self._insert,
            self._repeat,
            self._plant,
        ]
        self._frames: list[Callable[[Message], None]] = [self._drop, self._double, self._swap, self._splice]

    def message(self) -> Message:
        """One to four changes of a valid message."""
        rng = self._rng
        frames = list(rng.choice(self._valid))
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.2:
                rng.choice(self._frames)(frames)
            elif frames:
                at = rng.randrange(len(frames))
                octets = bytearray(frames[at])
                rng.choice(self._octets)(octets)
                frames[at] = bytes(octets)
        return frames or [b""]

    def _flip(self, octets: bytearray) -> None:
        if octets:
            octets[self._rng.randrange(len(octets))] ^= 1 << self._rng.randrange(8)

    def _set(self, octets: bytearray) -> None:
        if octets:
            octets[self._rng.randrange(len(octets))] = self._rng.randrange(256)

    def _cut(self, octets: bytearray) -> None:
        del octets[self._rng.randint(0, len(octets)) :]

    def _insert(self, octets: bytearray) -> None:
        at = self._rng.randint(0, len(octets))
        octets[at:at] = self._rng.randbytes(self._rng.randint(1, 8))

    def _repeat(self, octets: bytearray) -> None:
        at = self._rng.randint(0, len(octets))
        octets += octets[at:] * self._rng.randint(1, 3)

    def _plant(self, octets: bytearray) -> None:
        at = self._rng.randint(0, len(octets))
        what = self._rng.choice(_INTERESTING)
        octets[at : at + len(what)] = what

    def _drop(self, frames: Message) -> None:
        if frames:
            del frames[self._rng.randrange(len(frames))]

    def _double(self, frames: Message) -> None:
        if frames:
            frames.append(self._rng.choice(frames))

    def _swap(self, frames: Message) -> None:
        self._rng.shuffle(frames)

    def _splice(self, frames: Message) -> None:
        other = self._rng.choice(self._valid)
        at = self._rng.randint(0, len(frames))
        frames[at:] = other[at:]


def _bodies() -> st.SearchStrategy[bytes]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(max_size=8)
        | st.binary(max_size=8)
    )
    names = st.sampled_from(["request_id", "link", "name", "enable", "header", "state", "sequence", "last"])
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=8,
    )
    return values.map(msgspec.msgpack.encode)


def with_hypothesis(
    conversation: Iterable[Message], examples: int, number: int, take: Callable[[Message], None]
) -> None:
    """Call `take` with so many messages that Hypothesis draws: known tags, bodies of any kind and shape."""
    valid = [message for message in conversation if len(message) >= 3]
    tags = st.sampled_from(sorted({message[1] for message in valid}))
    frames = st.sampled_from(sorted({frame for message in valid for frame in message}))
    shaped = st.builds(lambda tag, body: [valid[0][0], tag, body], tags, _bodies())
    loose = st.lists(frames | _bodies() | st.binary(max_size=40), min_size=1, max_size=8)

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(shaped | loose)
    def draw(message: Message) -> None:
        take(message)

    draw()
