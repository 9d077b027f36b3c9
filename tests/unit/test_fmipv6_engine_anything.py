"""Drives in which anything happens, where addresses are taken, probed and imposed, and with handover keys."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from net import Net
from net_drives import FAULTS, STEP, act, come_to_rest, impostor, let_impostors_in
from net_nodes import MN_LLA, Faults, coa_of, poa_of

from lies.events import Quality
from lies_fmipv6.items import OrderHandover, access_point_id
from lies_fmipv6.parameters import Duplicates

ROUTERS = st.fixed_dictionaries(
    {
        "duplicates": st.sampled_from(Duplicates),
        "dad_transmits": st.sampled_from([0, 0, 1]),
        "announce": st.booleans(),
    }
)


def _still(n: int, duration_s: float) -> tuple[bool, tuple[str, int, Quality, float]]:
    """A router's signal stays as good as it is."""
    return False, ("fade", n, Quality.EXCELLENT, duration_s)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    faults=FAULTS,
    router=ROUTERS,
    taken=st.sets(st.integers(1, 3)),
    keyed=st.booleans(),
    steps=st.lists(st.tuples(st.booleans(), STEP)),
)
@example(  # the node leaves a router that awaits it, and that router's neighbour refuses
    seed=1,
    faults=Faults(loss=0.3, duplicate=0.0, reorder=0.2, delay_s=0.01),
    router={"duplicates": Duplicates.ASSIGN, "dad_transmits": 0, "announce": False},
    taken={1, 2, 3},
    keyed=False,
    steps=[*[_still(1, 0.002)] * 3, _still(2, 0.02), (False, ("break", 3, Quality.EXCELLENT, 0.002))],
)
@example(  # the node comes by itself to where it was about to be handed over
    seed=1,
    faults=Faults(loss=0.3, duplicate=0.0, reorder=0.0, delay_s=0.01),
    router={"duplicates": Duplicates.ASSIGN, "dad_transmits": 0, "announce": True},
    taken=set(),
    keyed=False,
    steps=[
        *[_still(1, 0.002)] * 3,
        *[(False, ("break", 3, Quality.EXCELLENT, 0.02))] * 2,
        (True, ("fade", 1, Quality.EXCELLENT, 0.02)),
        (False, ("detach", 1, Quality.EXCELLENT, 1.5)),
    ],
)
def test_whatever_is_imposed_the_node_ends_connected(
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    faults: Faults,
    router: dict[str, object],
    taken: set[int],
    keyed: bool,
    steps: list[tuple[bool, tuple[str, int, Quality, float]]],
) -> None:
    """Taken and probed addresses, orders, keys, loss and broken links leave a connected node and no more."""
    with monkeypatch.context() as patch:
        let_impostors_in(patch)
        net = Net(3, seed=seed, faults=faults, router=router, keys={MN_LLA: b"k" * 32} if keyed else None)
        net.start()
        for n in taken:
            if coa_of(n) != net.mobile.engine.coa:
                impostor(net, n)
        for ordered, (what, n, quality, duration_s) in steps:
            here, coa = net.router_at(net.radio.poa), net.mobile.engine.coa
            if ordered and here is not None and coa is not None:
                here.runner.feed(OrderHandover(coa, access_point_id(poa_of(n))))
            act(net, what, n, quality)
            net.stream(duration_s, 0.02)
        come_to_rest(net, 250.0)
