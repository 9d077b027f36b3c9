"""Where to look for another access point: a few channels at a time, the likely ones first.

While a radio is on other channels the kernel hears no beacon of the serving access point. It tells neither
that the signal falls nor that the link is lost before the scan has ended, and one over every channel takes
up to 20 s.
"""

from collections.abc import Iterable
from itertools import pairwise

AT_ONCE = 3  # channels: some 0.2 s, or 0.4 s where one may only listen
PAUSE_S = 0.5  # on the own channel, before the next few
_USUAL_MHZ = (
    2412,
    2437,
    2462,
    5180,
    5200,
    5220,
    5240,
)  # most networks are there; none has radar
_BANDS_MHZ = (0, 3000, 5925, 100_000)


class Sweep:
    """The channels still to look at; `channels`: what this radio was seen to scan."""

    def __init__(self) -> None:
        self._left: list[tuple[int, ...]] = []
        self._channels: frozenset[int] = frozenset()

    def learn(self, frequencies_mhz: Iterable[int]) -> None:
        """Somebody's scan was over these channels."""
        self._channels |= frozenset(frequencies_mhz)

    @property
    def on(self) -> bool:
        """Whether one is under way."""
        return bool(self._left)

    def begin(self, own_mhz: tuple[int, ...], others_mhz: tuple[int, ...]) -> None:
        """Look where the network was heard if that is in more than one place, else everywhere.

        others_mhz: where other networks were heard.
        """
        if len(own_mhz) > 1:
            order = list(own_mhz)
        else:
            rest = self._channels or frozenset(_USUAL_MHZ)
            order = [*own_mhz, *others_mhz, *(f for f in _USUAL_MHZ if f in rest), *sorted(rest)]
        once = list(dict.fromkeys(order))
        self._left = []
        for low, high in pairwise(_BANDS_MHZ):  # a radio without one of them refuses no more than that one
            here = [f for f in once if low <= f < high]
            self._left += [tuple(here[i : i + AT_ONCE]) for i in range(0, len(here), AT_ONCE)]

    def next(self) -> tuple[int, ...]:
        """The next few."""
        return self._left.pop(0)

    def end(self) -> None:
        """Another access point was found, or the link is gone."""
        self._left = []
