"""What ModemManager takes long to notice: all of it waits at once, on rigs side by side."""

from contextlib import ExitStack

import pytest
from netns_kit import namespace
from polling import wait_until

from modem.rig import Rig, running
from modem.scene import HERE, LEVEL, Scene, scene

pytestmark = [pytest.mark.modem, pytest.mark.slow]

LONG_S = 200.0
STATE, CONNECTED = "Modem.State", "Bearer.Connected"
NO_INDICATOR = {"line": "AT+CMER=3,0,0,1", "final": "ERROR"}


def test_what_takes_long(plugged_kind: type[Rig], socket_kind: type[Rig]) -> None:
    """Silent drops, denials, levels without indicators and dead modems are told when they are noticed."""
    with ExitStack() as stack:

        def begin(kind: type[Rig], **forced: str) -> Scene:
            stack.enter_context(namespace())
            rig = stack.enter_context(running(kind))
            if forced:
                rig.modem.ask("force", **forced)
            return stack.enter_context(scene(rig, apn="internet"))

        dead = begin(socket_kind)
        dead_ns = dead.rig.modem.mute()
        silent = begin(plugged_kind, **NO_INDICATOR)
        level_ns = silent.rig.modem.signal(csq=31)
        silent.connect()
        silent_ns = silent.rig.modem.drop(silent=True)
        denied = begin(plugged_kind)
        denied.connect()
        denied_ns = denied.rig.modem.registration(3)

        _down(denied, denied_ns, "registration denied while connected")
        told = [one for one in denied.lies.story(denied_ns) if one[0] != "poa_lost" and "level" not in one]
        assert told == [
            ("link_status_changed", HERE, *LEVEL, "registration", "denied"),
            ("link_going_down", HERE, 15000.0, 1.0, "denied"),
            ("link_down", HERE, "denied"),
        ]
        assert denied.bus.after(denied_ns, STATE, CONNECTED)[:3] == [
            (STATE, 9),
            (STATE, 6),
            (CONNECTED, False),
        ]

        _level(silent, level_ns)
        _down(silent, silent_ns, "silent drop")
        told = [one for one in silent.lies.story(silent_ns) if one[0] != "poa_lost" and "level" not in one]
        assert told == [("link_down", HERE, "peer")]
        assert silent.bus.after(silent_ns, STATE, CONNECTED) == [(STATE, 8), (CONNECTED, False)]

        removed = "ObjectManager.InterfacesRemoved"
        wait_until(lambda: not dead.lies.host.served, LONG_S)
        assert dead.bus.after(dead_ns, STATE) == []
        heard = dead.bus.wait(removed, after=dead_ns)
        assert len(heard.value) == 2


def _down(one: Scene, since_ns: int, row: str) -> None:
    """Wait until the link is down."""
    wait_until(lambda: any(t[0] == "link_down" for t in one.lies.story(since_ns)), LONG_S)
    one.bus.wait(CONNECTED, after=since_ns)
    one.compare(row, since_ns, CONNECTED, "link_down")


def _level(one: Scene, since_ns: int) -> None:
    """Wait until a level that no indicator told was asked for."""
    wait_until(lambda: bool(one.bus.after(since_ns, "Modem.SignalQuality")), LONG_S)
    heard = one.bus.wait("Modem.SignalQuality", after=since_ns)
    assert heard.value == [100, True]
    wait_until(lambda: any(s.rssi_dbm == -51.0 for _, s in one.lies.samples(since_ns)), LONG_S)
    told_ns = next(t_ns for t_ns, s in one.lies.samples(since_ns) if s.rssi_dbm == -51.0)
    one.note("signal without +CIEV", since_ns, heard.t_ns, told_ns)
