"""Several links of a node: which carries it, when others are connected, and that nothing is lost between."""

from ipaddress import IPv6Address

import pytest
from attrs import evolve

from lies.events import (
    CareOfAddressChanged,
    Condition,
    DownReason,
    Header,
    Indication,
    Link,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoACondition,
    PoAFound,
    PoALost,
    Quality,
    Technology,
)
from lies.link_policy import LinkPolicy, PreferredLinks, ReportedLinks
from lies.links import MOVING_S, OtherLink, Raise
from lies_mipv6 import actions as a
from lies_mipv6.config import Config, Role
from lies_mipv6.items import LinkMoved, Received
from lies_mipv6.links import TOLD_S, CareOfFound, Links, LinksAction, Move
from lies_mipv6.messages import BAStatus, BindingAcknowledgement
from lies_mipv6.mobile_node import MobileNode
from lies_mipv6.parameters import MobileNodeConfig

WIFI, CELL = Link("wlan0", Technology.WIFI), Link("wwan0", Technology.LTE)
HOME, AGENT = IPv6Address("2001:db8:99::1"), IPv6Address("2001:db8:99::ff")
ON_WIFI, ON_CELL = "2001:db8:1::1", "2001:db8:2::1"


def head(link: Link) -> Header:
    """A header."""
    return Header("test", 1, 1, 0, 0, link)


def report(coa: str = ON_WIFI, tunnel_from: str | None = None) -> CareOfAddressChanged:
    """FMIPv6 has a care-of address on the Wi-Fi."""
    return CareOfAddressChanged(head(WIFI), coa, None, "fe80::1", tunnel_from)


class Car:
    """Two links, one after the other, on a clock of seconds."""

    def __init__(self, policy: LinkPolicy | None = None) -> None:
        self.links = Links(("wlan0", "wwan0"), policy or PreferredLinks())
        self.now = 0.0
        self.actions: list[LinksAction] = []

    def tell(self, *items: Indication | CareOfFound) -> None:
        """Indications."""
        for item in items:
            self.actions += self.links.receive(item, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.links.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.actions += self.links.handle_timeout(self.now)
        self.now = end

    @property
    def moves(self) -> list[tuple[str, str, bool]]:
        """Link, care-of address, and whether the one before works."""
        return [
            (m.link, m.moved.report.coa, m.moved.before_works) for m in self.actions if isinstance(m, Move)
        ]

    @property
    def raised(self) -> list[Raise]:
        """Requests to connect."""
        return [r for r in self.actions if isinstance(r, Raise)]

    def on_wifi(self) -> "Car":
        """The Wi-Fi is up, with an address, and carries the traffic."""
        self.tell(LinkUp(head(WIFI), "ap1"), report())
        assert self.links.current == "wlan0"
        return self

    def cell_up(self) -> None:
        """The cellular link is up, with an address."""
        self.tell(LinkUp(head(CELL), "24001-1-A"), CareOfFound(head(CELL), ON_CELL))


def going(in_ms: float = 800.0) -> LinkGoingDown:
    """A prediction about the Wi-Fi."""
    return LinkGoingDown(head(WIFI), "ap1", in_ms, 0.9, DownReason.FADING)


def hears(*names: str, level: Quality = Quality.GOOD) -> PoAFound:
    """The Wi-Fi hears access points."""
    return PoAFound(head(WIFI), tuple(PoACondition(n, Condition(level)) for n in names))


def test_the_first_link_carries_the_traffic() -> None:
    """The other one is not even asked for while it is sound."""
    car = Car().on_wifi()
    car.run(10.0)
    assert car.moves == [("wlan0", ON_WIFI, False)]
    assert car.raised == []


def test_a_link_that_goes_down_is_left_before_it_breaks() -> None:
    """The other link is connected, and used as soon as it is up; the first still works."""
    car = Car().on_wifi()
    car.tell(PoAFound(head(CELL), (PoACondition("24001-1-A", Condition(Quality.GOOD)),)))
    car.tell(going())
    assert car.raised[-1] == Raise("wwan0", ("24001-1-A",))
    assert car.moves[1:] == []
    car.cell_up()
    assert car.moves[1:] == [("wwan0", ON_CELL, True)]
    car.tell(LinkDown(head(WIFI), "ap1", DownReason.SIGNAL_LOST))
    assert car.moves[2:] == [("wwan0", ON_CELL, False)]
    car.tell(LinkUp(head(WIFI), "ap2"), report("2001:db8:3::1"))
    car.run(1.5)
    assert car.links.current == "wwan0"
    car.run(1.0)
    assert car.moves[3:] == [("wlan0", "2001:db8:3::1", True)]


def test_a_link_with_another_access_point_moves_by_itself() -> None:
    """A prediction on a Wi-Fi that hears another access point is FMIPv6's business."""
    car = Car().on_wifi()
    car.tell(hears("ap1", "ap2"), going())
    car.cell_up()
    assert car.moves == [("wlan0", ON_WIFI, False)]
    car.tell(PoALost(head(WIFI), (PoACondition("ap2", Condition(Quality.NONE)),)))
    assert car.moves[1:] == [("wwan0", ON_CELL, True)]


def test_a_break_that_is_far_lets_the_link_stay() -> None:
    """The other link is connected at once, and used when the break is a second away."""
    car = Car().on_wifi()
    car.tell(going(3000.0))
    assert [r.link for r in car.raised] == ["wwan0"]
    car.cell_up()
    car.run(1.7)
    assert car.links.current == "wlan0"
    car.run(0.6)
    assert car.moves[1:] == [("wwan0", ON_CELL, True)]


@pytest.mark.parametrize(("level", "leaves"), [(Quality.FAIR, False), (Quality.BAD, True)])
def test_a_bad_access_point_is_none(level: Quality, leaves: bool) -> None:
    """One of less than the spare level does not keep the node."""
    car = Car().on_wifi()
    car.tell(hears("ap2", level=level), going())
    car.cell_up()
    assert (car.links.current == "wwan0") is leaves


def test_a_handover_within_the_first_link_is_none_between_links() -> None:
    """It is down for some milliseconds, by request; a second later it is down."""
    car = Car().on_wifi()
    car.cell_up()
    car.tell(LinkDown(head(WIFI), "ap1", DownReason.REQUESTED))
    car.run(0.01)
    car.tell(LinkUp(head(WIFI), "ap2"), report("2001:db8:3::1", ON_WIFI))
    assert car.moves[1:] == [("wlan0", "2001:db8:3::1", True)]
    car.tell(LinkDown(head(WIFI), "ap2", DownReason.REQUESTED))
    car.run(MOVING_S + 0.1)
    assert car.links.current == "wwan0"


@pytest.mark.parametrize("told_first", [True, False])
def test_a_handover_keeps_the_link_while_another_is_long_up(told_first: bool) -> None:
    """Its new care-of address may be told before the LinkUp or after it."""
    car = Car(PreferredLinks(keep_connected=True)).on_wifi()
    car.cell_up()
    car.run(10.0)
    car.tell(going(3000.0), LinkDown(head(WIFI), "ap1", DownReason.REQUESTED))
    there: list[Indication] = [report("2001:db8:3::1", ON_WIFI), LinkUp(head(WIFI), "ap2")]
    car.tell(*(there if told_first else reversed(there)))
    car.run(10.0)
    assert car.moves[1:] == [("wlan0", "2001:db8:3::1", True)]


def test_a_withdrawn_prediction_changes_nothing() -> None:
    """If the other link is not up yet, the first stays."""
    car = Car().on_wifi()
    car.tell(going(), LinkGoingDownCancelled(head(WIFI), "ap1"))
    car.cell_up()
    car.run(5.0)
    assert car.links.current == "wlan0"


def test_a_lost_link_is_replaced_at_once() -> None:
    """Without a prediction, and by whatever is up."""
    car = Car(PreferredLinks(keep_connected=True)).on_wifi()
    car.cell_up()
    car.tell(LinkDown(head(WIFI), "ap1", DownReason.SIGNAL_LOST))
    assert car.moves[1:] == [("wwan0", ON_CELL, False)]


def test_the_last_link_is_not_left() -> None:
    """A link that is going down is better than none."""
    car = Car().on_wifi()
    car.tell(going())
    car.run(30.0)
    assert car.links.current == "wlan0"


def test_a_link_is_asked_for_again() -> None:
    """Every five seconds, as long as it is wanted."""
    car = Car().on_wifi()
    car.tell(going())
    car.run(11.0)
    assert len([r for r in car.raised if r.link == "wwan0"]) == 3


def test_an_old_care_of_address_is_not_used_elsewhere() -> None:
    """At another access point the report of its address is awaited; after three seconds the old one holds."""
    car = Car(PreferredLinks(return_after_s=0.0)).on_wifi()
    car.cell_up()
    car.tell(LinkDown(head(WIFI), "ap1", DownReason.SIGNAL_LOST))
    car.tell(LinkUp(head(WIFI), "ap2"))
    car.run(TOLD_S - 0.5)
    assert car.links.current == "wwan0"
    car.run(1.0)
    assert car.moves[-1] == ("wlan0", ON_WIFI, True)


def test_all_links_can_be_kept_connected() -> None:
    """Then the change costs no time for connecting."""
    car = Car(PreferredLinks(keep_connected=True)).on_wifi()
    assert [r.link for r in car.raised] == ["wwan0"]


def test_an_address_may_be_told_before_its_link() -> None:
    """A consumer that starts later hears of both in any order."""
    car = Car()
    car.tell(report(), LinkUp(head(WIFI), "ap1"))
    assert car.moves == [("wlan0", ON_WIFI, False)]


def test_a_link_is_returned_to_when_it_is_good_enough() -> None:
    """One that is bad is not preferred, however long it is up."""
    car = Car().on_wifi()
    car.cell_up()
    car.tell(
        LinkDown(head(WIFI), "ap1", DownReason.SIGNAL_LOST),
        LinkUp(head(WIFI), "ap2"),
        report("2001:db8:3::1"),
    )
    bad, fair, none = (Condition(q) for q in (Quality.BAD, Quality.FAIR, Quality.NONE))
    car.tell(LinkStatusChanged(head(WIFI), "ap2", bad, none))
    car.run(20.0)
    assert car.links.current == "wwan0"
    car.tell(LinkStatusChanged(head(WIFI), "ap2", fair, bad))
    assert car.links.current == "wlan0"


def test_links_of_others_are_nothing() -> None:
    """Only those of the configuration count."""
    car = Car()
    car.tell(LinkUp(Header("test", 1, 1, 0, 0, Link("eth0", Technology.ETHERNET)), "port:eth0"))
    assert car.actions == []


def test_a_policy_may_answer_nonsense() -> None:
    """Links that are not there are left out."""

    class Odd:
        def choose(self, _links: object) -> str:
            return "nowhere"

        def wanted(self, _links: object) -> list[str]:
            return ["nowhere", "wwan0"]

    links = Links(("wlan0", "wwan0"), Odd())
    assert links.receive(LinkUp(head(WIFI), "ap1"), 0.0) == [Raise("wwan0", ())]


def test_reports_of_fmipv6_lead() -> None:
    """Where FMIPv6 moves the node between links, Mobile IPv6 goes where it was told last."""
    car = Car(ReportedLinks()).on_wifi()
    car.tell(going(100.0))
    car.cell_up()
    car.run(10.0)
    assert car.raised == []
    assert car.links.current == "wlan0"
    told = CareOfAddressChanged(head(CELL), "2001:db8:2::99", ON_WIFI, "fe80::1", "2001:db8:1::ff")
    car.tell(told, LinkDown(head(WIFI), "ap1", DownReason.SIGNAL_LOST), CareOfFound(head(CELL), ON_CELL))
    car.run(10.0)
    assert car.moves[1:] == [("wwan0", "2001:db8:2::99", True)], "the router before still tunnels"
    assert [m.found for m in car.actions if isinstance(m, Move)] == [False, False]
    car.tell(LinkUp(head(WIFI), "ap2"), report("2001:db8:3::1", None))
    assert car.moves[2:] == [("wlan0", "2001:db8:3::1", True)]
    car.tell(LinkDown(head(CELL), "24001-1-A", DownReason.PEER))
    assert car.moves[3:] == [("wlan0", "2001:db8:3::1", False)], "no tunnel, and the link before is gone"


def test_the_last_report_is_the_newest() -> None:
    """Who registers late hears the last report of each link, in any order."""
    car = Car(ReportedLinks())
    on_cell = CareOfAddressChanged(evolve(head(CELL), mono_ns=5), ON_CELL, None, "", None)
    on_wifi = evolve(report(), header=evolve(head(WIFI), mono_ns=9))
    car.tell(on_wifi, on_cell)
    assert car.moves == [("wlan0", ON_WIFI, False)]
    car.tell(evolve(on_cell, header=evolve(head(CELL), mono_ns=10)))
    assert car.moves[1:] == [("wwan0", ON_CELL, False)]


# ---- the mobile node


def node() -> MobileNode:
    """A node that is registered on the Wi-Fi."""
    mn = MobileNode(MobileNodeConfig(HOME, AGENT, insecure=True))
    answer(mn, mn.receive(report(), 0.0))
    return mn


def answer(mn: MobileNode, actions: list[a.MobileNodeAction]) -> list[a.MobileNodeAction]:
    """The home agent acknowledges the last Binding Update."""
    (sent,) = [x for x in actions if isinstance(x, a.SendMessage)]
    ack = BindingAcknowledgement(
        status=BAStatus.ACCEPTED, sequence=sent.message.sequence, lifetime_s=600, home_address=HOME
    )
    return mn.receive(Received(ack, AGENT, sent.source), 0.1)


def moved(*, works: bool) -> LinkMoved:
    """To the cellular link."""
    found = CareOfAddressChanged(head(CELL), ON_CELL, ON_WIFI, "", None)
    return LinkMoved(found, before_works=works)


def used(actions: list[a.MobileNodeAction]) -> list[str]:
    """Care-of addresses that the tunnel is used with."""
    return [str(x.coa) for x in actions if isinstance(x, a.UseTunnel)]


def test_make_before_break() -> None:
    """What is sent goes on by the old link until the home agent knows the new one; both are accepted."""
    mn = node()
    actions = mn.receive(moved(works=True), 10.0)
    assert [type(x) for x in actions] == [a.AcceptCareOf, a.SendMessage]
    after = answer(mn, actions)
    assert used(after) == [ON_CELL]
    assert not [x for x in after if isinstance(x, a.DropCareOf)]


def test_break_before_make() -> None:
    """Without the old link what is sent goes by the new one at once."""
    assert used(node().receive(moved(works=False), 10.0)) == [ON_CELL]


def test_a_link_that_breaks_while_the_answer_is_awaited() -> None:
    """Then the answer is not awaited; once is enough."""
    mn = node()
    mn.receive(moved(works=True), 10.0)
    assert used(mn.receive(moved(works=False), 10.01)) == [ON_CELL]
    assert mn.receive(moved(works=False), 10.02) == []


# ---- configuration


def test_links_are_named_once() -> None:
    """A link that is its own alternative is a mistake."""
    with pytest.raises(ValueError, match="once"):
        Config(
            Role.MOBILE_NODE,
            link="wlan0",
            home_address=HOME,
            home_agent=AGENT,
            others=(OtherLink(link="wlan0"),),
        )
