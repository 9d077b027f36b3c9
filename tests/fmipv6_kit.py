"""Helpers for tests of the FMIPv6 mobile node's engine: a node that may move from router 1 to router 2."""

from ipaddress import IPv6Address
from typing import Any

from attrs import evolve
from net_nodes import INTERFACE_ID, LINK, MN_LLA, coa_of, poa_of, prefix_of

from lies.events import (
    BindingUpdated,
    Condition,
    DownReason,
    Header,
    LinkGoingDown,
    LinkUp,
    PoACondition,
    PoAListConfirm,
    Quality,
    Result,
)
from lies_fmipv6 import actions as fa
from lies_fmipv6 import items as fi
from lies_fmipv6.messages import (
    AccessPointInfo,
    FastBindingAck,
    OptionCode,
    PrefixInformation,
    PrRtAdv,
    RouterAdvertisement,
    RtSolPr,
)
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.parameters import ALL_NODES, MobileNodeConfig
from lies_fmipv6.states import MobileNodeState

CONFIG = MobileNodeConfig("wlan0", MN_LLA, INTERFACE_ID, insecure=True, first_sequence=0xFFFF)
HEADER = Header("radio", 1, 1, 0, 0, LINK)
PAR_LOCAL = IPv6Address("fe80::2:1")
PAR, NAR = prefix_of(1)[1], prefix_of(2)[1]


def messages(actions: list[Any], kind: type) -> list[Any]:
    """Messages of a kind among actions."""
    return [a.message for a in actions if isinstance(a, fa.SendMessage) and isinstance(a.message, kind)]


def kinds(actions: list[Any]) -> list[str]:
    """What the actions are: of messages the message's name."""
    return [type(a.message if isinstance(a, fa.SendMessage) else a).__name__ for a in actions]


def advertisement(n: int = 1) -> fi.Received:
    """The Router Advertisement of router n."""
    info = PrefixInformation(prefix_of(n), 3600, 3600, router=prefix_of(n)[1])
    ra = RouterAdvertisement(source_lla=bytes((2, 0, 0, 0, 2, n)), prefixes=(info,))
    return fi.Received(ra, IPv6Address(f"fe80::2:{n}"), ALL_NODES)


def poas(**qualities: Quality) -> PoAListConfirm:
    """A PoA list: p1=..., p2=..."""
    found = tuple(PoACondition(poa_of(int(k[1:])), Condition(q)) for k, q in qualities.items())
    return PoAListConfirm(1, Result.ACK, LINK, found)


def attached(config: MobileNodeConfig = CONFIG) -> MobileNode:
    """A node attached at router 1 that has asked about router 2."""
    mn = MobileNode(config)
    mn.receive(LinkUp(HEADER, poa_of(1)), 0.0)
    mn.receive(advertisement(), 0.01)
    return mn


def resolved(config: MobileNodeConfig = CONFIG, option_code: int = OptionCode.TUPLE_FOLLOWS) -> MobileNode:
    """A node attached at router 1 that knows what there is to know about router 2."""
    mn = attached(config)
    (asked,) = messages(mn.receive(poas(p1=Quality.GOOD, p2=Quality.GOOD), 0.02), RtSolPr)
    mn.receive(proxy(asked.identifier, option_code), 0.03)
    return mn


def proxy(identifier: int, option_code: int = OptionCode.TUPLE_FOLLOWS, code: int = 0) -> fi.Received:
    """A PrRtAdv about the access point of router 2."""
    ap = fi.access_point_id(poa_of(2))
    info = AccessPointInfo(ap, option_code)
    if option_code == OptionCode.TUPLE_FOLLOWS:
        info = evolve(info, router_lla=b"\2\0\0\0\2\2", router_address=NAR, prefix=prefix_of(2))
    adv = PrRtAdv(code, identifier, None, (info,))
    return fi.Received(adv, PAR_LOCAL, coa_of(1))


def leaving(mn: MobileNode, now: float = 5.0) -> list[Any]:
    """What the node does when its link is to break."""
    actions = mn.receive(LinkGoingDown(HEADER, poa_of(1), 500.0, 0.9, DownReason.FADING), now)
    return actions + mn.receive(poas(p1=Quality.BAD, p2=Quality.GOOD), now)


def fback(status: int, sequence: int, **more: Any) -> fi.Received:
    """An FBack of the PAR."""
    return fi.Received(FastBindingAck(status, sequence, 20, **more), PAR, coa_of(1))


def until(mn: MobileNode, end: float) -> list[tuple[float, Any]]:
    """Let time pass; what happened, with times."""
    log: list[tuple[float, Any]] = []
    while (due := mn.next_timeout()) is not None and due <= end:
        log += [(due, a) for a in mn.handle_timeout(due)]
    return log


def switching() -> MobileNode:
    """A node that has its FBack and was told to move to router 2."""
    mn = resolved()
    leaving(mn)
    mn.receive(fback(0, 0xFFFF), 5.1)
    assert mn.state is MobileNodeState.SWITCHING
    return mn


def bound(coa: IPv6Address, status: int = 0) -> BindingUpdated:
    """The home agent's answer for a care-of address."""
    return BindingUpdated(HEADER, "2001:db8::9", "2001:db8::1", str(coa), None, status, 600, 0, 0)
