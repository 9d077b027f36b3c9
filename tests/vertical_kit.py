"""Helpers for tests of the handovers between two links: scenes, what was sent, and that all is over."""

from ipaddress import IPv6Address
from typing import Any

from net_nodes import Data, coa_of, prefix_of
from net_vertical import CELL_LINK, VerticalNet

from lies_fmipv6 import actions as fa
from lies_fmipv6.parameters import form_address
from lies_fmipv6.states import MobileNodeState as S


def cell_coa(number: int = 2) -> IPv6Address:
    """The node's address behind the cellular router."""
    return form_address(prefix_of(number), CELL_LINK.interface_id)


def on_wifi(**more: Any) -> VerticalNet:
    """Attached to the Wi-Fi, and registered."""
    net = VerticalNet(**more)
    net.start()
    assert net.mobile.engine.coa == coa_of(1)
    return net


def on_cell(**more: Any) -> VerticalNet:
    """Gone over to the cellular link, and registered there; the Wi-Fi is away."""
    net = on_wifi(**more)
    net.cell.attach(net.cell_poa)
    net.run(0.5)
    net.going_down(200.0)
    net.run(0.5)
    net.radio.detach()
    net.run(5.0)
    assert net.mobile.here == "wwan0"
    return net


def sent(net: VerticalNet, kind: type) -> list[fa.SendMessage]:
    """What the node sent, of a kind."""
    found = [x for _, x in net.mobile.fmip.log if isinstance(x, fa.SendMessage)]
    return [x for x in found if isinstance(x.message, kind)]


def settled(net: VerticalNet, packets: list[Data]) -> None:
    """Every packet came once, and nothing is left of a handover."""
    net.run(5.0)
    assert net.lost == {}
    assert [net.received.get(d) for d in packets] == [1] * len(packets)
    over(net)


def over(net: VerticalNet) -> None:
    """The node has one care-of address, one tunnel, and nothing prepared or held."""
    engine = net.mobile.engine
    assert engine.state is S.ATTACHED
    assert engine.tunnels == 0
    assert net.mobile.uplink == engine.coa
    assert not net.mobile.prepared
    assert not net.mobile.held
    assert not net.mobile.reverse
    assert all(not r.tunnels and not r.waiting for r in net.routers)


def modes(net: VerticalNet) -> list[str]:
    """Of the handovers that were reported."""
    return [done.mode for done in net.done()]


def settled_but_for_the_air(net: VerticalNet, packets: list[Data]) -> None:
    """As settled, but for what was on its way over a link that broke."""
    net.run(5.0)
    air = {d for cause in ("in the air", "fault") for d in net.lost.pop(cause, [])}
    assert net.lost == {}
    assert [net.received.get(d) for d in packets if d not in air] == [1] * (len(packets) - len(air))
    over(net)


def settled_but_for_the_air_and_gap(net: VerticalNet, packets: list[Data]) -> None:
    """As settled, but for what went to a link that had broken until the tunnel stood: less than 20 ms."""
    net.run(5.0)
    lost = [d for gone in net.lost.values() for d in gone]
    assert set(net.lost) <= {"in the air", "the mobile node is not there"}
    assert len([d for d in lost if not d.up]) <= 10
    assert [net.received.get(d) for d in packets if d not in lost] == [1] * (len(packets) - len(lost))
    over(net)
