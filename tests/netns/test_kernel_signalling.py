"""Signalling sockets: what they hear, that the kernel keeps silent, and what they survive."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from ipaddress import IPv6Address

import pytest
from attrs import frozen
from netns_kit import (
    elsewhere,
    frames,
    ipv6,
    kernel_state,
    left,
    namespace,
    netlink,
    settle,
    waiting,
    wire,
)
from polling import wait_until
from signalling_kit import (
    DISCOVERY,
    ICMPV6,
    MH,
    OTHERS,
    SIGNALLING,
    THEM,
    UDP,
    US,
    Ends,
    icmp,
    mobility,
    udp_part,
)

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.netns import entered
from lies.kernel.packets import PacketSender, SignallingReceiver
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import Decapsulator, link_address

pytestmark = pytest.mark.netns


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The two ends, addresses and neighbour entries set."""
    with ExitStack() as stack:
        far = stack.enter_context(elsewhere())
        stack.enter_context(namespace())
        kernel = stack.enter_context(netlink())
        v0, _ = wire(kernel, "v0", "v1", into=far)
        ours = link_address("v0")
        kernel.execute([m.address(v0, US, prefix_length=64, prefix_route=True, owner=m.OWNER_ADMINISTRATOR)])
        with entered(far), netlink() as there:
            v1 = index_of("v1")
            there.execute([m.address(v1, THEM, prefix_length=64, prefix_route=True)])
            there.execute([m.neighbour(v1, US, ours)])
            theirs = link_address("v1")
            sender = PacketSender("v1")
            stack.callback(sender.close)
            seen = stack.enter_context(frames("v1", incoming_only=True))
        kernel.execute([m.neighbour(v0, THEM, theirs, owner=m.OWNER_ADMINISTRATOR)])
        settle()
        yield Ends(kernel, far, sender, seen, kernel_state())


@frozen
class Listening:
    """A receiver of v0 alone."""

    ends: Ends
    receiver: SignallingReceiver

    def until(self, packet: bytes) -> list[bytes]:
        """What the receiver hears, up to a packet."""
        found: list[bytes] = []

        def came() -> bool:
            found.extend(data for data, _ in self.receiver.receive())
            return packet in found

        wait_until(came, 10)
        return found


@pytest.fixture
def listening(ends: Ends) -> Iterator[Listening]:
    """A receiver on v0, closed after the test."""
    receiver = SignallingReceiver("v0")
    yield Listening(ends, receiver)
    receiver.close()


@pytest.mark.parametrize("name", [*SIGNALLING, *DISCOVERY])
def test_signalling_is_heard_whole(listening: Listening, name: str) -> None:
    """The packet arrives from its IPv6 header on, octet for octet."""
    packet = listening.ends.send(*(SIGNALLING | DISCOVERY)[name])
    assert listening.until(packet)[-1] == packet


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_does_not_wake_the_consumer(listening: Listening, name: str) -> None:
    """Data, tunnelled packets and other ICMPv6 stay in the kernel's filter."""
    other = listening.ends.send(*OTHERS[name])
    marker = listening.ends.send(MH, mobility(7))
    assert other not in listening.until(marker)


def test_a_packet_comes_with_its_link_layer_source(listening: Listening) -> None:
    """The second value is the sender's MAC address."""
    listening.ends.send(MH, mobility())
    with entered(listening.ends.far):
        theirs = link_address("v1")
    found: list[tuple[bytes, bytes]] = []

    def came() -> bool:
        found.extend(listening.receiver.receive())
        return bool(found)

    wait_until(came, 10)
    assert found[0][1] == theirs


def test_what_we_send_is_not_heard(listening: Listening) -> None:
    """Own signalling on the interface is nothing that arrived."""
    sender = PacketSender("v0")
    sender.send(ipv6(US, THEM, MH, mobility(9)), THEM)
    sender.close()
    marker = listening.ends.send(MH, mobility(7))
    assert listening.until(marker) == [marker]


@pytest.mark.parametrize("times", [1, 3])
def test_a_receiver_survives_the_interface_going_down_and_up(listening: Listening, times: int) -> None:
    """After ENETDOWN nothing is raised, and once the interface is up again packets are heard."""
    ends = listening.ends
    v0 = index_of("v0")
    for turn in range(times):
        ends.kernel.execute([m.set_link(v0, up=False)])
        assert list(listening.receiver.receive()) == []
        assert list(listening.receiver.receive()) == []
        ends.kernel.execute([m.set_link(v0, up=True)])
        wanted = ipv6(THEM, US, MH, mobility(10 + turn))
        found: list[bytes] = []

        def heard() -> bool:
            ends.sender.send(wanted, US)  # noqa: B023 - called within the turn
            found.extend(data for data, _ in listening.receiver.receive())  # noqa: B023 - likewise
            return wanted in found  # noqa: B023 - likewise

        wait_until(heard, 10)


def test_what_arrived_before_the_interface_went_down_is_heard(listening: Listening) -> None:
    """The error of the interface's end does not swallow what waits."""
    ends = listening.ends
    packets = [ends.send(MH, mobility(20 + n)) for n in range(3)]
    ends.errors_after()  # an echo is answered: all three have arrived
    ends.kernel.execute([m.set_link(index_of("v0"), up=False)])
    found: list[bytes] = []
    for _ in range(3):
        found.extend(data for data, _ in listening.receiver.receive())
    assert found == packets


def test_a_burst_is_heard_in_portions(listening: Listening) -> None:
    """One call yields at most 64 packets, so that timers get their turn; the rest waits for the next."""
    packets = [listening.ends.send(MH, mobility(n)) for n in range(100)]
    listening.ends.errors_after()  # an echo is answered: all have arrived
    first = [data for data, _ in listening.receiver.receive()]
    second = [data for data, _ in listening.receiver.receive()]
    assert first == packets[:64]
    assert first + second == packets


def test_a_receiver_needs_its_interface() -> None:
    """An interface that is not there is an OSError at once."""
    with namespace(), pytest.raises(OSError, match="there is no interface 'nowhere' here"):
        SignallingReceiver("nowhere")


def opened(ends: Ends, *, own_addresses: bool, owner: int = 51) -> Signalling:
    """Signalling sockets on v0, as a router's or as a host's."""
    addresses = [US] if own_addresses else None
    return Signalling(ends.kernel, ["v0"], ends.handler, addresses=addresses, owner=owner)


def test_alone_the_kernel_answers_a_mobility_header_with_an_error(ends: Ends) -> None:
    """The reason for silence: a kernel that does not know Mobility Headers says so on the wire."""
    assert len(ends.errors_after(SIGNALLING["mobility header"])) == 1


@pytest.mark.parametrize("own_addresses", [False, True], ids=["host", "router"])
@pytest.mark.parametrize("name", SIGNALLING)
def test_the_kernel_is_silent_while_signalling_is_open(ends: Ends, name: str, own_addresses: bool) -> None:
    """Neither Mobility Header, Home Address option nor type 2 routing header gets an ICMPv6 error."""
    signalling = opened(ends, own_addresses=own_addresses)
    assert ends.errors_after(SIGNALLING[name]) == []
    signalling.close()


@pytest.mark.parametrize("decapsulator_first", [False, True])
def test_it_is_silent_with_and_without_a_decapsulator(ends: Ends, decapsulator_first: bool) -> None:
    """Signalling makes its own room before the local table, and shares that of its owner's decapsulator."""
    decapsulator = Decapsulator(ends.kernel, only_known_inner=False) if decapsulator_first else None
    signalling = opened(ends, own_addresses=True)
    assert ends.errors_after(*SIGNALLING.values()) == []
    signalling.close()
    if decapsulator is not None:
        assert [line for line in kernel_state()["rules"] if line.startswith("3:")]
        decapsulator.close()
    assert left(ends.before, kernel_state()) == {}


def test_data_is_answered_as_ever(ends: Ends) -> None:
    """UDP to a closed port is still refused by the kernel while signalling is open."""
    signalling = opened(ends, own_addresses=False)
    assert len(ends.errors_after((UDP, udp_part(b"x")))) == 1
    signalling.close()


def test_closing_one_owner_leaves_the_other_silent(ends: Ends) -> None:
    """Two consumers of one host: when one closes, packets that the other takes get no answer still."""
    first, second = (opened(ends, own_addresses=False, owner=owner) for owner in (51, 62))
    first.close()
    assert ends.errors_after(*SIGNALLING.values()) == []
    second.close()
    assert left(ends.before, kernel_state()) == {}
    assert len(ends.errors_after(SIGNALLING["mobility header"])) == 1


def test_opening_that_fails_leaves_nothing(ends: Ends) -> None:
    """With one interface missing nothing stays open and no rule is left."""
    with pytest.raises(OSError, match="there is no interface 'nowhere' here"):
        Signalling(ends.kernel, ["v0", "nowhere"], ends.handler, addresses=None)
    assert left(ends.before, kernel_state()) == {}


def run(ends: Ends, work: Callable[[Signalling], None], until: Callable[[Signalling], bool]) -> Signalling:
    """Open and start signalling on a loop, do the work, wait until something holds, close."""

    async def go() -> Signalling:
        signalling = opened(ends, own_addresses=False)
        signalling.start()
        work(signalling)
        async with asyncio.timeout(10):
            while not until(signalling):  # noqa: ASYNC110 - what is waited for is told by nobody
                await asyncio.sleep(0.005)
        signalling.close()
        return signalling

    return asyncio.run(go())


def test_packets_reach_the_handler_on_the_loop(ends: Ends) -> None:
    """Started, the handler is given what arrives."""
    packet = ipv6(THEM, US, MH, mobility())
    run(ends, lambda _: ends.sender.send(packet, US), lambda _: bool(ends.heard))
    assert ends.heard == [packet]


def test_malformed_packets_are_counted_logged_once_and_dropped(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty packets of one fault: twenty counted, one line in the log, the next good one is handled."""
    caplog.set_level(logging.WARNING, "lies.signalling")

    def work(_: Signalling) -> None:
        for _turn in range(20):
            ends.send(ICMPV6, icmp(133))
        ends.send(MH, mobility())

    done = run(ends, work, lambda _: bool(ends.heard))
    assert done.dropped == {"no router here": 20}
    assert [r.getMessage() for r in caplog.records] == ["dropped: no router here (said once per cause)"]


def test_the_causes_are_bounded(ends: Ends) -> None:
    """A sender that varies its faults fills no memory: beyond 1,000 causes only the total is kept."""
    signalling = opened(ends, own_addresses=False)
    for n in range(5000):
        signalling._drop(f"fault {n}")
    assert len(signalling.dropped) <= 1001
    assert signalling.dropped.total() == 5000
    signalling.close()


def test_what_cannot_be_sent_is_counted(ends: Ends) -> None:
    """Without a route, or while the interface is down, sending is a loss and no error."""
    signalling = opened(ends, own_addresses=False)
    nowhere = IPv6Address("2001:db8:dead::1")
    signalling.send(ipv6(US, nowhere, MH, mobility()), nowhere)
    ends.kernel.execute([m.set_link(index_of("v0"), up=False)])
    signalling.send(ipv6(US, THEM, MH, mobility()), THEM, interface="v0")
    signalling.send(ipv6(US, THEM, MH, mobility()), THEM, interface="v0", link_layer=b"\x02" * 6)
    assert signalling.dropped.total() == 3
    assert all(cause.startswith("not sent: ") for cause in signalling.dropped)
    signalling.close()


@pytest.mark.parametrize("way", ["route", "interface", "link layer", "multicast"])
def test_packets_are_sent_as_asked(ends: Ends, way: str) -> None:
    """By the routes, by an interface, to a link-layer address, and to all nodes of the link."""
    signalling = opened(ends, own_addresses=False)
    mac = bytes.fromhex("020000424242")
    to = IPv6Address("ff02::1") if way == "multicast" else THEM
    packet = ipv6(US, to, MH, mobility(33))
    options: dict[str, dict[str, object]] = {
        "route": {},
        "interface": {"interface": "v0"},
        "link layer": {"interface": "v0", "link_layer": mac},
        "multicast": {"interface": "v0"},
    }
    signalling.send(packet, to, **options[way])  # type: ignore[arg-type]  # by table
    seen: list[bytes] = []

    def came() -> bool:
        seen.extend(f for f in waiting(ends.seen) if f[14:] == packet)
        return bool(seen)

    wait_until(came, 10)
    if way == "link layer":
        assert seen[0][:6] == mac
    if way == "multicast":
        assert seen[0][:6] == b"\x33\x33\0\0\0\x01"
    assert not signalling.dropped
    signalling.close()


def test_whom_an_awaited_packet_wakes_runs_first(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is yielded once the packet is out, and only for one that somebody waits for."""
    yielded: list[int] = []
    monkeypatch.setattr(
        "lies.kernel.signalling.os.sched_yield", lambda: yielded.append(len(waiting(ends.seen)))
    )
    with closing(Signalling(ends.kernel, ["v0"], lambda *_: None, addresses=[US])) as signalling:
        waiting(ends.seen)
        packet = ipv6(US, THEM, 17, udp_part(b"now"))
        signalling.send(packet, THEM)
        assert yielded == []
        waiting(ends.seen)
        signalling.send(packet, THEM, awaited=True)
    assert len(yielded) == 1
    assert yielded[0] >= 1
