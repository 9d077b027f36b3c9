"""What links do to packets of signalling."""

from random import Random

from attrs import frozen


@frozen
class Faults:
    """Probabilities, on each link; jitter_s: evenly spread on top of each delay.

    delay_s: what a reordered message, and a second copy, have on top of that at most.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    jitter_s: float = 0.0
    delay_s: float = 0.1

    @property
    def none(self) -> bool:
        """Whether packets simply arrive."""
        return not (self.loss or self.duplicate or self.reorder or self.jitter_s)

    def fate(self, rng: Random) -> tuple[float, ...]:
        """What is added to the delay of each copy that arrives; nothing for a lost packet."""
        if self.loss and rng.random() < self.loss:
            return ()
        first = self._extra(rng)
        if self.duplicate and rng.random() < self.duplicate:
            return first, first + rng.random() * self.delay_s
        return (first,)

    def _extra(self, rng: Random) -> float:
        extra_s = rng.random() * self.jitter_s if self.jitter_s else 0.0
        if self.reorder and rng.random() < self.reorder:
            extra_s += rng.random() * self.delay_s
        return extra_s
