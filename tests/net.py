"""A mobile node, access routers and a home agent on one virtual clock, with a model of the data plane.

Engines are wired in memory. The network loses, repeats and reorders control messages as told; every action
of an engine changes the model, and packets of the correspondent and the mobile node are carried through it
hop by hop, so that a test can ask where a packet goes now. What is in the air on an access link when the
mobile node leaves it is lost.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from ipaddress import IPv6Address
from random import Random
from typing import Any

from attrs import define, field
from net_nodes import (
    CORRESPONDENT,
    HOME_ADDRESS,
    HOME_AGENT,
    INTERFACE_ID,
    LINK,
    MAX_NESTING,
    MN_LLA,
    WALL_NS,
    Data,
    Faults,
    HomeNode,
    MobileHost,
    Packet,
    RouterNode,
    poa_of,
    prefix_of,
)

from lies.events import (
    Condition,
    DownReason,
    HandoverDone,
    Header,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAListConfirm,
    Quality,
    Result,
)
from lies_fmipv6 import items as fi
from lies_fmipv6.parameters import AccessRouterConfig, MobileNodeConfig, Neighbour
from lies_fmipv6.parameters import Parameters as FmipParameters
from lies_fmipv6.policy import LevelPolicy, Policy


@define(eq=False)
class Radio:
    """The mobile node's link: where it is attached, what it hears, and what it indicates."""

    net: "Net"
    link: Link = LINK
    lla: bytes = MN_LLA
    gap_s: float = 0.002
    poa: str | None = None
    qualities: dict[str, Quality] = field(factory=dict)
    silent: frozenset[type] = frozenset()  # indications that are not delivered
    refuses: frozenset[str] = frozenset()
    generation: int = 0

    def indicate(self, cls: type, *args: Any) -> None:
        """Deliver an indication to the mobile node."""
        ns = round(self.net.now * 1e9)
        if cls not in self.silent:
            self.net.indicated(cls(Header("radio", 1, 1, ns, ns + WALL_NS, self.link), *args))

    def list_poas(self) -> None:
        """Answer L2-PoAList, best first."""
        poas = [PoACondition(p, Condition(q, None)) for p, q in self.qualities.items()]
        poas.sort(key=lambda c: -c.condition.quality.rank)
        confirm = PoAListConfirm(1, Result.ACK, self.link, tuple(poas))
        self.net.after(0.001, lambda: self.net.mobile.fmip.feed(confirm))

    def connect(self, poa: str) -> None:
        """L2-LinkConnect: out of the old PoA, and a gap later into the new one."""
        if poa in self.refuses:
            refused = fi.ConnectRefused(poa, "no")
            self.net.after(0.001, lambda: self.net.mobile.fmip.feed(refused))
            return
        self.net.after(0.0005, lambda: self.move(poa, DownReason.REQUESTED))

    def move(self, poa: str, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """Leave the PoA for another."""
        self.detach(reason)
        generation = self.generation
        self.net.after(self.gap_s, lambda: self.attach(poa) if generation == self.generation else None)

    def detach(self, reason: DownReason = DownReason.SIGNAL_LOST) -> None:
        """The link breaks."""
        poa, self.poa = self.poa, None
        self.generation += 1
        if poa is not None:
            self.indicate(LinkDown, poa, reason)

    def attach(self, poa: str) -> None:
        """Frames pass."""
        self.poa = poa
        self.generation += 1
        self.indicate(LinkUp, poa)

    def set_quality(self, poa: str, quality: Quality) -> None:
        """Change what is heard of a PoA, and indicate it if it is the present one."""
        before = self.qualities.get(poa, Quality.NONE)
        self.qualities[poa] = quality
        if poa == self.poa and quality is not before:
            self.indicate(LinkStatusChanged, poa, Condition(quality, None), Condition(before, None))

    def going_down(self) -> None:
        """Predict the end of the link."""
        self.indicate(LinkGoingDown, self.poa, 500.0, 0.9, DownReason.FADING)

    def cancel(self) -> None:
        """Withdraw the prediction."""
        self.indicate(LinkGoingDownCancelled, self.poa)


class Net:
    """Everything, on one clock that starts at 0.0.

    keys: the routers' handover keys by link-layer address; the mobile node knows its own. router: further
    fields of their configuration. config: of the mobile node's.
    """

    def __init__(
        self,
        routers: int = 2,
        *,
        seed: int = 0,
        grace_s: float = 2.0,
        access_s: float = 0.0005,
        backbone_s: float = 0.001,
        home_s: float | None = None,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        parameters: FmipParameters | None = None,
        policy: Policy | None = None,
        keys: Mapping[bytes, bytes] | None = None,
        router: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.faults = faults
        self.parameters = parameters or FmipParameters(grace_s=grace_s)
        self.access_s, self.backbone_s = access_s, backbone_s
        self.home_s = backbone_s if home_s is None else home_s
        self.detours_s: dict[int, float] = {}  # how much farther a router is from the home agent
        self._heap: list[tuple[float, int, Any]] = []
        self._serial = 0
        self.lost: dict[str, list[Data]] = {}
        self.received: dict[Data, int] = {}
        self._numbers = 0
        neighbours = [
            Neighbour(
                prefix_of(n)[1], bytes((2, 0, 0, 0, 2, n)), prefix_of(n), (fi.access_point_id(poa_of(n)),)
            )
            for n in range(1, routers + 1)
        ]
        self.routers = [
            RouterNode(
                self,
                n,
                AccessRouterConfig(
                    own.address,
                    IPv6Address(f"fe80::2:{n:x}"),
                    own.lla,
                    own.prefix,
                    own.access_points,
                    tuple(o for o in neighbours if o is not own),
                    insecure=True,
                    keys=keys or {},
                    **(router or {}),
                ),
            )
            for n, own in enumerate(neighbours, 1)
        ]
        self.home = HomeNode(self, grace_s)
        self.radio = Radio(self)
        self.llas = frozenset({MN_LLA})
        own_key = (keys or {}).get(MN_LLA)
        own = {r.config.address: own_key for r in self.routers} if own_key is not None else {}
        config = {"insecure": True, "keys": own, **config}
        node = MobileNodeConfig("wlan0", MN_LLA, INTERFACE_ID, **config)
        self.mobile = self.make_mobile(node, policy or LevelPolicy())
        self.radio.qualities = dict.fromkeys((poa_of(n) for n in range(1, routers + 1)), Quality.FAIR)

    def make_mobile(self, config: MobileNodeConfig, policy: Policy) -> MobileHost:
        """The mobile node."""
        return MobileHost(self, config, policy)

    # clock

    def at(self, when: float, what: Any) -> None:
        """Do something at a time."""
        self._serial += 1
        heappush(self._heap, (max(when, self.now), self._serial, what))

    def after(self, delay_s: float, what: Any) -> None:
        """Do something later."""
        self.at(self.now + delay_s, what)

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end = self.now + duration_s
        while self._heap and self._heap[0][0] <= end:
            self.now, _, what = heappop(self._heap)
            what()
        self.now = end

    # links

    def router_at(self, poa: str | None) -> RouterNode | None:
        """The router behind a PoA."""
        return next((r for r in self.routers if poa_of(r.number) == poa), None)

    def radio_at(self, router: RouterNode) -> Radio | None:
        """The link by which the mobile node is at a router now."""
        return self.radio if self.router_at(self.radio.poa) is router else None

    def radio_of(self, packet: Packet) -> Radio:
        """The link by which the mobile node sends a packet."""
        del packet  # there is one
        return self.radio

    def indicated(self, event: Any) -> None:
        """A link's indication."""
        self.mobile.fmip.feed(event)

    def backbone(self, sender: RouterNode | HomeNode, packet: Packet) -> None:
        """Carry a packet over the backbone."""
        nesting, inner = 0, packet
        while isinstance(inner.payload, Packet):
            nesting, inner = nesting + 1, inner.payload
        assert nesting < MAX_NESTING, "a tunnel loop"
        to = packet.destination
        router = next((r for r in self.routers if to in r.config.prefix), None)
        home = isinstance(sender, HomeNode) or router is None
        delay_s = self.home_s if home else self.backbone_s
        if home:
            end = router if router is not None else sender
            delay_s += self.detours_s.get(end.number, 0.0) if isinstance(end, RouterNode) else 0.0
        if router is not None:
            self._carry(packet, delay_s, lambda: router.receive(packet, on_link=False))
        elif to == HOME_AGENT:
            self._carry(packet, delay_s, lambda: self.home.receive(packet))
        else:
            self.lose(packet, "no route")

    def to_mobile(self, router: RouterNode, packet: Packet) -> None:
        """Carry a packet over an access link to the mobile node, if it is and stays there."""
        radio = self.radio_at(router)
        if radio is None:
            self.lose(packet, "the mobile node is not there")
            return
        generation = radio.generation

        def deliver() -> None:
            if generation == radio.generation:
                self.mobile.receive(packet, radio.link.name)
            else:
                self.lose(packet, "in the air")

        self._carry(packet, self.access_s, deliver)

    def from_mobile(self, packet: Packet) -> None:
        """Carry a packet over the access link to the router."""
        radio = self.radio_of(packet)
        router = self.router_at(radio.poa)
        if router is None:
            self.lose(packet, "no link")
            return
        generation = radio.generation

        def deliver() -> None:
            if generation == radio.generation:
                router.receive(packet, on_link=True, lla=radio.lla)
            else:
                self.lose(packet, "in the air")

        self._carry(packet, self.access_s, deliver)

    def _carry(self, packet: Packet, delay_s: float, deliver: Any) -> None:
        inner = packet
        while isinstance(inner.payload, Packet):
            inner = inner.payload
        faults = self.faults if not isinstance(inner.payload, Data) else Faults()
        if self.rng.random() < faults.loss:
            self.lose(packet, "fault")
            return
        if self.rng.random() < faults.duplicate:
            self.after(delay_s + self.rng.random() * faults.delay_s, deliver)
        if self.rng.random() < faults.reorder:
            delay_s += self.rng.random() * faults.delay_s
        self.after(delay_s, deliver)

    # data

    def send(self, *, up: bool) -> Data:
        """One packet of data, from the mobile node (up) or to it."""
        self._numbers += 1
        data = Data(self._numbers, up)
        if up:
            self.mobile.up(data)
        else:
            self.home.down(Packet(CORRESPONDENT, HOME_ADDRESS, data))
        return data

    def stream(self, duration_s: float, interval_s: float = 0.002) -> list[Data]:
        """Let time pass with data flowing both ways."""
        sent: list[Data] = []
        end = self.now + duration_s
        while self.now < end - interval_s / 2:
            sent += [self.send(up=True), self.send(up=False)]
            self.run(interval_s)
        return sent

    def arrived(self, packet: Packet) -> None:
        """Data reached its end."""
        self.received[packet.payload] = self.received.get(packet.payload, 0) + 1

    def lose(self, packet: Packet, cause: str) -> None:
        """Count a lost packet of data."""
        inner = packet
        while isinstance(inner.payload, Packet):
            inner = inner.payload
        if isinstance(inner.payload, Data):
            self.lost.setdefault(cause, []).append(inner.payload)

    def connected(self) -> bool:
        """Whether a packet each way arrives now (needs up to a second of time)."""
        sent = [self.send(up=True), self.send(up=False)]
        self.run(1.0)
        return all(self.received.get(d) for d in sent)

    # scenes

    def start(self, n: int = 1) -> None:
        """First attachment, at router n, and a home registration."""
        self.radio.set_quality(poa_of(n), Quality.EXCELLENT)
        self.radio.attach(poa_of(n))
        self.run(2.0)

    def fade(self, old: int, new: int) -> None:
        """Router `new` is heard well, and the link to `old` is predicted to break."""
        self.radio.set_quality(poa_of(new), Quality.GOOD)
        self.radio.set_quality(poa_of(old), Quality.BAD)
        self.radio.going_down()

    def done(self) -> list[Any]:
        """The HandoverDone reports so far."""
        return [r for r in self.mobile.reports if isinstance(r, HandoverDone)]
