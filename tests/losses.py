"""Deliveries that get lost between the daemon and its consumers."""

from typing import Any

import pytest

from lies.bus._outbox import Outbox


def lose(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Deliveries with these sequence numbers are lost on the way, once each."""
    left, deliver = set(numbers), Outbox.deliver

    def lossy(box: Outbox, frames: list[bytes], registration: Any, sequence: int, publisher: str) -> None:
        if sequence in left:
            left.discard(sequence)
        else:
            deliver(box, frames, registration, sequence, publisher)

    monkeypatch.setattr(Outbox, "deliver", lossy)
