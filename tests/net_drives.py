"""Drives over the virtual network of tests/net.py, and what they may have left."""

from typing import Any

import pytest
from hypothesis import strategies as st
from net import Net
from net_nodes import HOME_ADDRESS, Data, Faults, RouterNode, coa_of, poa_of

from lies.events import Quality
from lies_fmipv6 import actions as fa
from lies_fmipv6.items import Received
from lies_fmipv6.messages import UnsolicitedNeighbourAdvertisement
from lies_fmipv6.parameters import ALL_NODES
from lies_fmipv6.states import MobileNodeState


def leftovers(net: Net) -> list[str]:
    """What an ended handover should not have left."""
    mobile, coa = net.mobile, net.mobile.engine.coa
    found = [f"router {r.number}" for r in net.routers if r.tunnels or r.waiting or r.host_routes]
    found += [f"engine of router {r.number}" for r in net.routers if r.engine.bindings or r.engine.expected]
    if mobile.reverse or mobile.held or mobile.prepared or mobile.engine.tunnels:
        found.append("tunnel, hold or preparation at the mobile node")
    if mobile.addresses != {coa}:
        found.append(f"addresses {mobile.addresses}")
    if net.home.sources != {coa} or net.home.bindings != {HOME_ADDRESS: coa}:
        found.append("home agent")
    return found


def drive(net: Net) -> list[Data]:
    """From the first router to the last, with data flowing; each handover has three seconds."""
    net.start()
    sent: list[Data] = []
    for n in range(1, len(net.routers)):
        net.fade(n, n + 1)
        sent += net.stream(3.0)
    net.run(5.0)
    return sent


def lost(net: Net, sent: list[Data]) -> list[Data]:
    """Data that did not arrive."""
    return [d for d in sent if d not in net.received]


def sent_by(log: list[tuple[float, Any]], kind: type) -> list[tuple[float, fa.SendMessage]]:
    """Messages of a kind that an engine sent, with their times."""
    return [(t, a) for t, a in log if isinstance(a, fa.SendMessage) and isinstance(a.message, kind)]


STEP = st.tuples(
    st.sampled_from(["fade", "fade", "break", "detach", "attach", "refuse", "cancel", "quality", "wait"]),
    st.integers(1, 3),
    st.sampled_from(list(Quality)),
    st.sampled_from([0.002, 0.02, 0.1, 0.5, 1.5]),
)
FAULTS = st.builds(
    Faults,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplicate=st.sampled_from([0.0, 0.2]),
    reorder=st.sampled_from([0.0, 0.2]),
    delay_s=st.sampled_from([0.01, 0.3]),
)


def act(net: Net, what: str, n: int, quality: Quality) -> None:
    """One step of a random drive."""
    radio = net.radio
    here = net.router_at(radio.poa)
    match what:
        case "fade" if here is not None and here.number != n:
            net.fade(here.number, n)
        case "break":
            radio.move(poa_of(n))
        case "detach":
            radio.detach()
        case "attach" if here is None:
            radio.attach(poa_of(n))
        case "refuse":
            radio.refuses = frozenset({poa_of(n)}) if quality > Quality.FAIR else frozenset()
        case "cancel" if here is not None:
            radio.cancel()
        case "quality":
            radio.set_quality(poa_of(n), quality)
        case _:
            pass


IMPOSTOR = b"\2\0\0\0\x66\0"


def impostor(net: Net, n: int) -> None:
    """Somebody else has the address that the mobile node would form at router n."""
    router = net.routers[n - 1].runner
    una = UnsolicitedNeighbourAdvertisement(coa_of(n), IMPOSTOR)
    router.feed(Received(una, coa_of(n), ALL_NODES, IMPOSTOR))
    router.log.clear()


def let_impostors_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's routers know one mobile node; an impostor's admission changes nothing there."""
    perform = RouterNode.perform

    def lenient(self: RouterNode, action: fa.AccessRouterAction) -> None:
        if not (isinstance(action, fa.AdmitNode) and action.mn_lla == IMPOSTOR):
            perform(self, action)

    monkeypatch.setattr(RouterNode, "perform", lenient)


def come_to_rest(net: Net, within_s: float) -> None:
    """No more faults, every link good, the node attached somewhere; after a while all must be well."""
    net.faults, net.radio.refuses = Faults(), frozenset()
    for router in net.routers:
        net.radio.set_quality(poa_of(router.number), Quality.GOOD)
    net.run(1.0)
    if net.radio.poa is None:
        net.radio.attach(poa_of(1))
    net.run(within_s)
    assert net.mobile.engine.state is MobileNodeState.ATTACHED
    assert net.connected()
    assert leftovers(net) == []
    assert set(net.received.values()) <= {1}, "faults hit control messages only, so no data comes twice"
