"""Whatever arrives on D-Bus, in whatever types: nothing raises, times go forward, ups and downs alternate."""

from typing import Any

from cellular_kit import World, bare
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lies.events import Attached, Detached
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig
from lies_cellular.items import Answer, Connect, Disconnect
from lies_cellular.reader import PROPERTIES

NAMES = sorted({name for known in PROPERTIES.values() for name in known})
INTERFACES = (u.MODEM, u.THREE_GPP, u.SIGNAL, u.LOCATION, u.BEARER, u.SIMPLE)
PATHS = (f"{u.ROOT}/Modem/0", f"{u.ROOT}/Bearer/0", f"{u.ROOT}/Bearer/1", u.ROOT, "/", "", "nonsense")

text = st.one_of(st.sampled_from(["", "24001", "240,01,1,2,3", "rsrp", *PATHS]), st.text(max_size=20))
leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 40), st.integers(), st.floats(), text, st.binary(max_size=5)
)
keys = st.one_of(text, st.integers(-2, 3))
anything = st.recursive(
    leaf,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
likely = st.one_of(
    anything,
    st.integers(-2, 12),
    st.lists(st.sampled_from(PATHS), max_size=3),
    st.tuples(st.integers(-1, 101), st.booleans()).map(list),
    st.dictionaries(st.sampled_from(["rsrp", "rsrq", "snr", "rssi"]), st.floats(-200, 50), max_size=3),
    st.just({1: "240,01,1,ABC,2"}),
    st.booleans(),
)
properties = st.dictionaries(st.sampled_from(NAMES), likely, max_size=6)
objects = st.dictionaries(st.sampled_from(INTERFACES), properties, max_size=6)
signals = st.one_of(
    st.tuples(
        st.sampled_from(PATHS),
        st.just(u.PROPERTIES),
        st.just("PropertiesChanged"),
        st.tuples(st.sampled_from(INTERFACES), properties, st.just([])),
    ),
    st.tuples(
        st.just(u.ROOT),
        st.just(u.OBJECT_MANAGER),
        st.just("InterfacesAdded"),
        st.tuples(st.sampled_from(PATHS), objects),
    ),
    st.tuples(
        st.just(u.ROOT),
        st.just(u.OBJECT_MANAGER),
        st.sampled_from(["InterfacesRemoved", "InterfacesAdded"]),
        st.tuples(st.sampled_from(PATHS), st.one_of(st.just([u.MODEM]), anything)),
    ),
    st.tuples(text, text, text, st.lists(anything, max_size=4).map(tuple)),
)
steps = st.one_of(
    signals.map(lambda s: ("signal", s)),
    st.tuples(
        st.just("answer"), st.one_of(anything, st.dictionaries(st.sampled_from(PATHS), objects), properties)
    ),
    st.tuples(st.just("refuse"), text),
    st.tuples(st.just("wait"), st.floats(0.0, 40.0)),
    st.tuples(st.just("connect"), text),
    st.tuples(st.just("disconnect"), st.one_of(st.none(), text)),
    st.tuples(st.just("present"), st.booleans()),
)


def play(world: World, step: tuple[str, Any]) -> None:
    """One step of a story that nobody would write."""
    match step:
        case "signal", (path, interface, member, body):
            item = world.reader.signal(world.t_ns, path, interface, member, body)
            if item is not None:
                world.feed(item)
        case "answer", said if world.open:
            call = world.open.pop(0)
            world.feed(Answer(world.t_ns, call, world.reader.answer(call.purpose, (said,))))
        case "refuse", name if world.open:
            world.feed(Answer(world.t_ns, world.open.pop(0), error=name or "error", why="no"))
        case "wait", seconds:
            world.run(seconds)
        case "connect", poa:
            world.feed(Connect(world.t_ns, "wwan0", poa))
        case "disconnect", poa:
            world.feed(Disconnect(world.t_ns, "wwan0", poa))
        case "present", True:
            world.begin()
        case "present", False:
            world.lose()


@settings(deadline=None, max_examples=300)
@given(st.lists(steps, max_size=30))
def test_anything_may_come(story: list[tuple[str, Any]]) -> None:
    """The world's own checks hold: order of times, no item that an abstract entity refuses."""
    world = World(CellularConfig(cells_s=5.0, scan_s=5.0))
    world.modems.plug()
    world.begin()
    world.auto = False
    for step in story:
        play(world, step)
    for link, items in world.items.items():
        up: str | None = None
        for item in items:
            if isinstance(item, Attached):
                assert up is None, link
                up = item.poa
            elif isinstance(item, Detached):
                assert up == item.poa, link
                up = None


class Modems(RuleBasedStateMachine):
    """Modems that do what they may: the link is up exactly while a connection is."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(CellularConfig(scan_s=5.0)).begin()
        self.path: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether the modem is there and enabled."""
        return self.path is not None and self._state >= 6

    @property
    def _state(self) -> int:
        assert self.path is not None
        return int(bare(self.world.modems.objects[self.path][u.MODEM]["State"]))

    @property
    def _connected(self) -> list[str]:
        modems = self.world.modems
        if self.path is None or not self.world.there:
            return []
        listed = bare(modems.objects[self.path][u.MODEM]["Bearers"])
        return [b for b in listed if bare(modems.bearers[b]["Connected"])]

    @precondition(lambda self: self.path is None and self.world.there)
    @rule()
    def plug(self) -> None:
        """A modem comes."""
        self.path = self.world.modems.plug()

    @precondition(lambda self: self.path is not None)
    @rule()
    def unplug(self) -> None:
        """It goes."""
        self.world.modems.unplug(self.path or "")
        self.path = None

    @precondition(lambda self: self.path is not None and not self.enabled)
    @rule()
    def enable(self) -> None:
        """It is enabled and registers."""
        self.world.modems.enable(self.path or "")

    @precondition(lambda self: self.enabled and not self._connected)
    @rule()
    def disable(self) -> None:
        """It is disabled."""
        self.world.modems.state(self.path or "", 4, 3)

    @precondition(lambda self: self.enabled)
    @rule(roaming=st.booleans())
    def connect(self, roaming: bool) -> None:
        """Somebody connects."""
        self.world.modems.connect(self.path or "", roaming=roaming)

    @precondition(lambda self: bool(self._connected))
    @rule(by_network=st.booleans())
    def end(self, by_network: bool) -> None:
        """A connection ends."""
        modems, bearer = self.world.modems, self._connected[0]
        (modems.drop if by_network else modems.disconnect)(self.path or "", bearer)

    @precondition(lambda self: self.enabled)
    @rule(poa=st.sampled_from(["24001", "24005", "24001-1A2B-C0FFEE"]))
    def link_connect(self, poa: str) -> None:
        """LinkConnect."""
        self.world.feed(Connect(self.world.t_ns, "wwan0", poa))

    @precondition(lambda self: self.enabled)
    @rule()
    def link_disconnect(self) -> None:
        """LinkDisconnect."""
        self.world.feed(Disconnect(self.world.t_ns, "wwan0", None))

    @precondition(lambda self: self.enabled)
    @rule(
        cell=st.sampled_from(["C0FFEE", "C0FFEF", "1"]),
        state=st.integers(0, 6),
        level=st.floats(-130.0, -60.0),
    )
    def change(self, cell: str, state: int, level: float) -> None:
        """Cell, registration and signal."""
        modems, path = self.world.modems, self.path or ""
        modems.cell(path, cell)
        modems.register(path, state)
        modems.levels(path, rsrp=level)

    @rule()
    def restart(self) -> None:
        """ModemManager ends and comes again, without its modems."""
        self.world.lose()
        self.path = None
        self.world.begin()

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.run(seconds)

    @invariant()
    def up_is_connected(self) -> None:
        """The abstract entity of the link holds what is true."""
        entity = self.world.entities.get("wwan0")
        if entity is not None:
            assert entity.status.up is bool(self._connected)


Modems.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
test_the_link_is_up_while_connected = Modems.TestCase
