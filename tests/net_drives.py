"""Drives over the virtual network of tests/net.py, and what they may have left."""

from typing import Any

from net import Net
from net_nodes import HOME_ADDRESS, Data

from lies_fmipv6 import actions as fa


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
