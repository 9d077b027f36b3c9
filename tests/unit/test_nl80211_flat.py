"""A noisy link that goes nowhere, for five minutes: through driver and abstract entity on a virtual clock."""

from random import Random

import pytest
from wifi_kit import NAME, A, World

from lies.events import LinkDown, LinkGoingDown, LinkGoingDownCancelled, Sample

_S, _STEP_S, _NOISE_DB = 300.0, 0.05, 6.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dbm", [-60, -66, -70])
def test_five_minutes_of_noise_are_no_fading(dbm: int, seed: int) -> None:
    """Noise of 6 dB either way, no trend: two LinkGoingDown at most, and each is withdrawn."""
    noise = Random(seed)
    world = World().begin()
    world.net()
    world.join(A)
    for _ in range(round(_S / _STEP_S)):
        world.at(A, rssi_dbm=round(dbm + noise.uniform(-_NOISE_DB, _NOISE_DB)))
        world.run(_STEP_S)
    samples = [item for item in world.items[NAME] if isinstance(item, Sample)]
    assert len(samples) >= _S / 3
    told = [i for i in world.indications if isinstance(i, LinkGoingDown | LinkGoingDownCancelled)]
    assert not [i for i in world.indications if isinstance(i, LinkDown)]
    assert not told or isinstance(told[-1], LinkGoingDownCancelled)
    begun = [
        this
        for this, before in zip(told, [None, *told], strict=False)
        if isinstance(this, LinkGoingDown) and not isinstance(before, LinkGoingDown)
    ]
    assert len(begun) <= 2
