"""A kernel of ours, and whatever it may do: every Up has its Down, roams are not lost, PoAs are right."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from wifi_kit import (
    INDEX,
    NAME,
    A,
    B,
    C,
    World,
    bss_of,
    connect_body,
    cqm_body,
    deauthenticate_body,
    disconnect_body,
    gone_body,
    station_body,
    told,
)

from lies.events import Indication, LinkDown, LinkUp
from lies_nl80211.items import Overrun
from lies_nl80211.uapi import Cmd, Cqm

POAS = st.sampled_from([A, B, C])
JUNK = st.lists(st.sampled_from(["connect", "part", "gone", "deauth", "cqm", "scan", "station"]), max_size=6)


class Radio(RuleBasedStateMachine):
    """A station whose events reach the follower at once, late, or never (an overrun).

    truth: the PoA that frames pass to; ups: every one that frames passed to, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.associated: str | None = None
        self.authorised = False
        self.associations = 0
        self.ups: list[str] = []
        self.late: list[bytes] = []  # told, but not yet read
        self.lost = False  # events, at some time
        self.delayed = False  # events, at some time: an association may have ended before it was read of
        self.world.scan = [bss_of(p) for p in (A, B, C)]
        self.world.begin()

    @property
    def truth(self) -> str | None:
        """Where frames pass to."""
        return self.associated if self.authorised else None

    def _tell(self, delay: bool, *bodies: bytes) -> None:
        self._set()
        self.late += bodies
        self.delayed |= delay
        if not delay:
            self._read()

    def _read(self) -> None:
        """All that waits, before any answer: as the driver's shell does."""
        bodies, self.late = self.late, []
        self.world.auto = False
        for body in bodies:
            self.world.tell(body)
        self.world.auto = True
        self.world.answer()

    def _set(self) -> None:
        if self.associated is None:
            self.world.stations[INDEX] = []
        else:
            self.world.at(self.associated, authorised=self.authorised, associated_ns=self.associations)

    def _leave(self, reason: int, by_peer: bool) -> tuple[bytes, ...]:
        before = self.associated
        if before is None:
            return ()
        self.associated, self.authorised = None, False
        return (
            gone_body(before),
            deauthenticate_body(before, reason, by_peer=by_peer),
            disconnect_body(reason, by_peer=by_peer),
        )

    @rule(poa=POAS, open_network=st.booleans(), delay=st.booleans())
    def join(self, poa: str, open_network: bool, delay: bool) -> None:
        """Associate, from wherever it is."""
        bodies = self._leave(3, by_peer=False)
        self.associated, self.authorised = poa, open_network
        self.associations += 1
        if open_network:
            self.ups.append(poa)
        self._tell(delay, *bodies, connect_body(poa, protected=not open_network))

    @precondition(lambda self: self.associated is not None and not self.authorised)
    @rule(seen=st.booleans())
    def finish_handshake(self, seen: bool) -> None:
        """The port is authorised; who manages the interface may set it up."""
        assert self.associated is not None
        self.authorised = True
        self._set()
        self._read()
        self.world.net(passing=seen)
        self.world.run(0.2)  # longer than the slowest look
        self.ups.append(self.associated)

    @precondition(lambda self: self.associated is not None)
    @rule(reason=st.sampled_from([1, 3, 4, 15]), by_peer=st.booleans(), delay=st.booleans())
    def leave(self, reason: int, by_peer: bool, delay: bool) -> None:
        """The association ends."""
        self._tell(delay, *self._leave(reason, by_peer))

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.03, 0.2, 1.0, 4.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Events are read, time passes."""
        self._read()
        self.world.run(seconds)

    @rule()
    def overrun(self) -> None:
        """What was not yet read is lost."""
        self.late = []
        self.lost = True
        self._set()
        self.world.feed(Overrun(self.world.t_ns))

    @rule(poa=POAS, kinds=JUNK)
    def hear_of_others(self, poa: str, kinds: list[str]) -> None:
        """Frames and hints that are no news about this station's association."""
        self._read()
        for kind in kinds:
            if poa == self.associated and kind in {"connect", "gone", "deauth", "part"}:
                continue
            body = {
                "connect": connect_body(poa, status=17),
                "part": cqm_body(Cqm.PKT_LOSS_EVENT, 50),
                "gone": gone_body(poa),
                "deauth": deauthenticate_body(poa, 7, by_peer=True),
                "cqm": cqm_body(Cqm.RSSI_THRESHOLD_EVENT, 0, level_dbm=-70),
                "scan": told(Cmd.NEW_SCAN_RESULTS),
                "station": station_body(poa),
            }[kind]
            self.world.tell(body)

    @rule()
    def switch_off_and_on(self) -> None:
        """The interface goes down, and with it the association."""
        bodies = self._leave(3, by_peer=False)
        self._tell(False, *bodies)
        self.world.net(up=False, passing=False)
        self.world.net(up=True, passing=False)

    @invariant()
    def every_up_has_its_down(self) -> None:
        """Attached and Detached alternate, each Detached at the PoA of the Attached before."""
        at: str | None = None
        for kind, poa in self.world.moves():
            assert (at is None) == (kind == "Attached")
            assert at in {None, poa}
            at = poa if kind == "Attached" else None
        told: list[Indication] = [i for i in self.world.indications if isinstance(i, LinkUp | LinkDown)]
        assert [(type(i) is LinkUp, getattr(i, "poa", "")) for i in told] == [
            (kind == "Attached", poa) for kind, poa in self.world.moves()
        ]

    @invariant()
    def only_true_poas(self) -> None:
        """It was never attached to a PoA that frames did not pass to, nor in another order."""
        ups = iter(self.ups)
        assert all(poa in ups for kind, poa in self.world.moves() if kind == "Attached") or self.lost

    def teardown(self) -> None:
        """At rest the follower knows the truth; without losses it has seen every PoA."""
        self._read()
        self.world.run(0.5)
        client = self.world.follower.client(NAME)
        assert client is not None
        assert client.serving == self.truth
        if not self.lost and not self.delayed:
            assert [poa for kind, poa in self.world.moves() if kind == "Attached"] == self.ups


Radio.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestRadio = Radio.TestCase


def test_every_roam_is_seen() -> None:
    """Of a hundred roams every one is a Down and an Up with the right PoAs, none is invented."""
    world = World().begin()
    expected: list[tuple[str, str]] = []
    before: str | None = None
    for number in range(100):
        poa = (A, B, C)[number % 3]
        if before is not None:
            world.part(before)
            expected.append(("Detached", before))
            world.run(0.05)
        world.join(poa)
        expected.append(("Attached", poa))
        before = poa
        world.run(1.7)
    assert world.moves() == expected
