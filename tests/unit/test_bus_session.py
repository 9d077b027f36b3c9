"""A consumer's session without a socket: requests that wait, and registrations that are made again."""

from itertools import count
from typing import Any

import pytest

from lies.bus._session import ConsumerSession
from lies.bus.frames import decode
from lies.bus.messages import Gap, LinkState, Snapshot, Welcome
from lies.errors import TimedOut
from lies.events import LinkUpConfirm, LinkUpRequest, Result


class Answer:
    """An answer that is noted."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Exception | None = None

    def done(self) -> bool:
        """Whether it has come."""
        return self.result is not None or self.error is not None

    def set_result(self, result: Any, /) -> None:
        """It has come."""
        self.result = result

    def set_exception(self, exception: Exception, /) -> None:
        """It will not come."""
        self.error = exception


class Session(ConsumerSession):
    """A session whose messages are kept."""

    def __init__(self) -> None:
        ConsumerSession.__init__(self, "ipv6")
        self.name = "mn"
        self._request_ids = count(1)
        self._known: dict[str, LinkState] = {}
        self._enabled: dict[int, Any] = {}
        self.said: list[Any] = []
        self.gaps: list[Gap] = []

    _closed = False

    def _send(self, frames: list[bytes]) -> bool:
        self.said.append(decode(frames).message)
        return True

    def _hear_event(self, registration: int, sequence: int, message: Any) -> list[tuple[int, int, int]]:
        raise AssertionError((registration, sequence, message))

    def _hear_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def _hear_snapshot(self, snapshot: Snapshot, *, all_links: bool) -> None:
        """Not looked at here."""

    def answer(self, message: Any) -> None:
        """A message of the daemon."""
        self._take_snapshot(message) if isinstance(message, Snapshot) else self._take_confirm(message)


@pytest.fixture
def session() -> Session:
    """A session with one registration, which is number 1 here and 40 at the daemon."""
    one, answer = Session(), Answer()
    one._sent(LinkUpRequest(0, "*"), answer)
    one.answer(LinkUpConfirm(0, "*", Result.ACK, 40))
    assert not answer.done()
    one.answer(Snapshot((), registration=40))
    assert one._enabled_as(LinkUpRequest(0, "*"), answer.result) == 1
    one.said.clear()
    return one


def test_daemon_lost_while_registering_again(session: Session) -> None:
    """A daemon that goes before it confirmed a registration made again does not end the registration."""
    session.disconnected("one")
    session.welcome(Welcome(2, 250))
    (again,) = session.said
    assert isinstance(again, LinkUpRequest)
    session.disconnected("two")
    session.said.clear()
    session.welcome(Welcome(3, 250))
    (again,) = session.said
    session.answer(LinkUpConfirm(again.request_id, "*", Result.ACK, 41))
    assert session.last() == {41: 0}
    assert [gap.last for gap in session.gaps] == [None]


def test_registration_is_asked_for_once_at_a_time(session: Session) -> None:
    """A registration made again is asked for by no tick until it is answered; after an Error it is."""
    session.disconnected("one")
    session.welcome(Welcome(2, 250))
    session.tick()
    session.tick()
    (again,) = session.said
    session.answer(LinkUpConfirm(again.request_id, "*", Result.ERROR, reason="unknown_link: not yet"))
    session.tick()
    assert len(session.said) == 2


def test_requests_that_wait_fail_with_the_daemon(session: Session) -> None:
    """Requests that wait are TimedOut when the daemon goes, and forgotten."""
    answer = Answer()
    session._sent(LinkUpRequest(7, "wlan0"), answer)
    session.disconnected("gone")
    assert isinstance(answer.error, TimedOut)
    assert session._pending == {}


def test_disable_that_the_daemon_does_not_know(session: Session) -> None:
    """A registration that the daemon denies to have is not made again once it was disabled."""
    session._sent(LinkUpRequest(8, "*", enable=False), Answer())
    session.answer(LinkUpConfirm(8, "*", Result.ERROR, reason="invalid: it is not enabled"))
    session.disconnected("gone")
    session.said.clear()
    session.welcome(Welcome(2, 250))
    assert session.said == []
    assert session.gaps == []
