"""What a publisher with the right to publish can do to others by numbers and names: little."""

import logging
from pathlib import Path

import pytest
from attrs import evolve
from bus_rig import Dealer, Driver, daemon, join, on_loop

from lies.bus import BusCore, LinkState
from lies.bus._publishing import MAX_LINKS, MOST_MISSING
from lies.bus.core import Event
from lies.bus.frames import bus_frames
from lies.bus.messages import Hello, Refused, Welcome
from lies.errors import LinkError, MalformedMessage
from lies.events import Link, LinkUp, LinkUpRequest, Technology


def test_numbers_do_not_run_out() -> None:
    """A sequence number far ahead is refused: the numbers of consumers, which count the gap, have 64 bits."""
    core = BusCore(epoch=1)
    session, heard = join(core)
    core.request(session, LinkUpRequest(1, "*"))
    driver = Driver(core)
    driver.up("ap1")
    far = evolve(driver.stamp(), sequence=2**64 - 1)
    with pytest.raises(MalformedMessage):
        core.publish(driver.publisher, far, (Event(LinkUp(far, "ap2")),), None)
    with pytest.raises(MalformedMessage):
        core.announce(driver.publisher, far, driver.state)
    assert core.counters.refused == 2
    driver.sequence += MOST_MISSING - 2  # as much may be missing
    driver.up("ap3")
    assert [m.poa for m in heard.events] == ["ap1", "ap3"]
    (gap,) = heard.gaps
    assert (gap.first, gap.last) == (2, MOST_MISSING)


def test_a_new_publisher_begins_where_it_likes() -> None:
    """The first announcement of a publisher says which number was its last, whatever that is."""
    core = BusCore(epoch=1)
    driver = Driver(core)
    driver.close()
    again = Driver(core, epoch=2)
    again.close()
    publisher = core.open_publisher("sim", 3, 0, again.port)
    header = evolve(again.header(), epoch=3, sequence=2**63)
    core.announce(publisher, header, again.state)
    assert publisher.sequence == 2**63


def test_links_are_limited() -> None:
    """Beyond so many links the oldest without a driver is forgotten; if all have one, no more are taken."""
    core = BusCore(epoch=1)
    names = [f"wlan{n}" for n in range(MAX_LINKS)]
    drivers = [Driver(core, f"sim{n}", Link(name, Technology.WIFI)) for n, name in enumerate(names)]
    one = drivers[0]
    link = Link("more", Technology.WIFI)
    header, state = evolve(one.header(), link=link), LinkState(link, one.name)
    with pytest.raises(LinkError, match="512 links"):
        core.announce(one.publisher, header, state)
    drivers[7].close()
    drivers[8].close()
    core.announce(one.publisher, header, state)
    assert set(core.links) == {*names, "more"} - {"wlan7"}
    core.announce(one.publisher, header, state)  # a link that is known needs no room
    assert len(core.links) == MAX_LINKS


@on_loop
async def test_a_cause_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However a kind of message is malformed, it is one line in the log; further forms are only counted."""
    bodies = [b"\x01", b"\xa1x", b"\x80", b"\x81\xa4name\x01", b"\x81\xa4name\xa1\xff", b"\xc1"]
    with caplog.at_level(logging.WARNING, "lies.bus"):
        async with daemon(tmp_path / "run") as d:
            with Dealer(d.directory) as dealer:
                dealer.say(Hello("x", "ipv6"))
                await dealer.until_received(Welcome)
                tag = bus_frames(Hello("x", "ipv6"))[1]
                for body in bodies:
                    dealer.send(b"LIES1", tag, body)
                    assert "hello" in (await dealer.until_received(Refused)).reason
                for quoted in (b"it's", b'"x"', b"plain"):
                    dealer.send(b"LIES1", quoted, b"")
                    assert "not a tag" in (await dealer.until_received(Refused)).reason
                for layer in (b"BUZ", b"SUB", b"it's"):
                    dealer.send(b"LIES1", layer + b":x:request:hello", b"")
                    assert "unknown" in (await dealer.until_received(Refused)).reason
            assert d.core.counters.malformed == len(bodies) + 6
    lines = [r.getMessage() for r in caplog.records if "dropped" in r.getMessage()]
    assert len(lines) == 3
