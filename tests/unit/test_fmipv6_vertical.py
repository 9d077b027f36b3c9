"""Fast handovers between two links of a mobile node, on the virtual clock, with packets counted."""

from net_nodes import coa_of, poa_of, prefix_of
from net_vertical import CELL_LINK, VerticalNet

from lies.events import Quality
from lies_fmipv6.parameters import form_address
from lies_fmipv6.states import MobileNodeState


def cell_coa(number: int = 2):
    """The node's address behind the cellular router."""
    return form_address(prefix_of(number), CELL_LINK.interface_id)


def on_wifi(**more) -> VerticalNet:
    """Attached to the Wi-Fi, and registered."""
    net = VerticalNet(**more)
    net.start()
    assert net.mobile.engine.coa == coa_of(1)
    return net


def test_predictive() -> None:
    """FBU and FBack on the Wi-Fi, UNA on the cellular link, and not one packet is lost."""
    net = on_wifi()
    sent = net.stream(0.1)
    net.going_down()
    assert [r.link for r in net.mobile.raised] == ["wwan0"]
    sent += net.stream(0.1)
    net.cell.attach(net.cell_poa)
    sent += net.stream(0.1)
    assert net.mobile.engine.coa == cell_coa()
    net.radio.detach()
    sent += net.stream(3.0)
    net.run(1.0)
    assert net.lost == {}
    assert all(net.received[d] == 1 for d in sent)
    (done,) = net.done()
    assert done.mode == "predictive"
