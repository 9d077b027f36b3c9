"""How much later than a bare D-Bus client LIES has an indication."""

import pytest
from tools import need

from modem.latency import measure
from modem.scene import DELAYS

pytestmark = pytest.mark.modem

FAR = 20.0  # the goal is 2; this catches a driver that waits for something


def test_indications_beside_a_bare_listener() -> None:
    """From D-Bus signal to indication takes about as long as to a client that does nothing with it."""
    need("dbus-daemon")
    found = measure(40, rounds=1)
    pairs = zip(found.bare_us, found.lies_us, strict=True)
    DELAYS["D-Bus signal to indication"] = [(bare / 1e3, lies / 1e3) for bare, lies in pairs]
    assert found.ratio < FAR, found
