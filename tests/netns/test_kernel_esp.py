"""ESP for the Mobility Header: the messages against iproute2's, and what the kernel makes of the policies."""

import asyncio
import errno
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import IPv6Address

import pytest
from netns_kit import frames, ip, ipv6, waiting
from polling import wait_until
from tunnel_kit import ENDPOINT, PEER, STRANGER, Pair

from lies.kernel import xfrm
from lies.kernel.esp import EspUnavailable, MobilitySocket, Protection, association
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.netns import entered
from lies.runtime import now_s
from lies_fmipv6.codec import encode
from lies_fmipv6.messages import HandoverAcknowledge

pytestmark = pytest.mark.netns

PAR, NAR = IPv6Address("2001:db8:1::1"), IPv6Address("2001:db8:2::1")
SPI, KEY, REQID = 0x12345678, bytes(range(32)), 5
SECRET = b"what two access routers share..."
MOBILITY = 135
_NULL = b"ecb(cipher_null)".ljust(64, b"\0")
_HMAC = b"hmac(sha256)".ljust(64, b"\0")
# The octets that iproute2 6.1 sent (seen with strace) for `ip xfrm state add src PAR dst NAR proto esp
# spi 0x12345678 mode transport reqid 5 auth-trunc "hmac(sha256)" KEY 128 enc "ecb(cipher_null)" ""
# sel src PAR dst NAR proto 135`
IPROUTE2_STATE = {
    "length, type, flags": (0, 8, bytes.fromhex("a401000010000500")),
    "selector": (16, 72, NAR.packed + PAR.packed + bytes(8) + bytes.fromhex("0a00808087") + bytes(11)),
    "destination, spi, protocol": (72, 96, NAR.packed + bytes.fromhex("1234567832000000")),
    "source": (96, 112, PAR.packed),
    "no limits": (112, 176, b"\xff" * 32 + bytes(32)),
    "counters": (176, 220, bytes(44)),
    "reqid, family, transport, window 0": (220, 240, bytes(4) + bytes.fromhex("050000000a00") + bytes(10)),
    "integrity": (240, 348, bytes.fromhex("6c001400") + _HMAC + bytes.fromhex("0001000080000000") + KEY),
    "no cipher": (348, 420, bytes.fromhex("48000200") + _NULL + bytes(4)),
}
IPROUTE2_DELETE = bytes.fromhex(
    "3c0000001100050000000000000000002001" + "0db8000200000000000000000001123456780a003200"
    "14000d0020010db8000100000000000000000001"
)


@pytest.mark.parametrize("part", IPROUTE2_STATE)
def test_an_association_is_what_iproute2_makes(part: str) -> None:
    """Octet by octet what `ip xfrm state add` sends for ESP with integrity, no cipher, transport mode."""
    begin, end, octets = IPROUTE2_STATE[part]
    message = xfrm.new_state(PAR, NAR, SPI, KEY, REQID)
    assert len(message) == 420
    assert message[begin:end] == octets


def test_its_removal_is_what_iproute2_makes() -> None:
    """Octet by octet what `ip xfrm state delete` sends."""
    assert xfrm.delete_state(PAR, NAR, SPI) == IPROUTE2_DELETE


@contextmanager
def ipsec() -> Iterator[Netlink]:
    """A socket for IPsec messages in this namespace."""
    with closing(Netlink(xfrm.NETLINK_XFRM)) as kernel:
        yield kernel


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("incoming", "word"), [(False, "out"), (True, "in")])
def test_a_policy_is_what_iproute2_shows(incoming: bool, word: str) -> None:
    """The Mobility Header between two addresses, through ESP in transport mode; set twice, removed once."""
    with ipsec() as kernel:
        message = xfrm.policy(PAR, NAR, REQID, incoming=incoming)
        kernel.execute([message, message])
        policy = " ".join(ip("xfrm", "policy"))
        for part in (
            f"src {PAR}/128 dst {NAR}/128 proto mobility-header",
            f"dir {word} priority 0",
            f"tmpl src {PAR} dst {NAR} proto esp reqid 5 mode transport",
        ):
            assert part in policy
        assert policy.count("dir ") == 1
        kernel.execute([xfrm.delete_policy(PAR, NAR, incoming=incoming)])
        assert ip("xfrm", "policy") == []
        with pytest.raises(KernelError) as gone:
            kernel.execute([xfrm.delete_policy(PAR, NAR, incoming=incoming)])
        assert gone.value.errno == errno.ENOENT


def has_esp() -> bool:
    """Whether this kernel has ESP."""
    refusal: KernelError | None = None
    with ipsec() as kernel:
        try:
            kernel.execute([xfrm.new_state(PAR, NAR, SPI, KEY, REQID)])
        except KernelError as error:
            refusal = error
        else:
            kernel.execute([xfrm.delete_state(PAR, NAR, SPI)])
    if refusal is not None:
        assert refusal.errno in {errno.EPROTONOSUPPORT, errno.ENOSYS}, "the message itself is sound"
    return refusal is None


FAULTS = {
    "cut off": (slice(200, None), b""),
    "no such mode": (slice(230, 231), b"\x4d"),
    "a key longer than the message": (slice(308, 312), (1 << 16).to_bytes(4, "little")),
}


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_kernel_reads_the_association(fault: str) -> None:
    """The kernel reads all of the message: what is wrong in it is refused as such, not for want of ESP."""
    has_esp()
    message = bytearray(xfrm.new_state(PAR, NAR, SPI, KEY, REQID))
    where, octets = FAULTS[fault]
    message[where] = octets
    message[:4] = len(message).to_bytes(4, "little")
    with ipsec() as kernel, pytest.raises(KernelError) as refused:
        kernel.execute([bytes(message)])
    assert refused.value.errno in {errno.EINVAL, errno.ERANGE}


@pytest.mark.parametrize("secret", [SECRET, None], ids=["key", "IKE"])
def test_protection_is_whole_or_not_at_all(pair: Pair, secret: bytes | None) -> None:
    """With ESP, both directions have what they need until close; without it nothing is left of it."""
    if not has_esp():
        with pytest.raises(EspUnavailable, match="this kernel has no ESP"):
            Protection(ENDPOINT, {PEER: secret})
    else:
        with closing(Protection(ENDPOINT, {PEER: secret})):
            word = "proto esp" if secret else "action block"
            assert " ".join(ip("xfrm", "policy")).count(word) == 2
            assert " ".join(ip("xfrm", "state")).count("proto esp") == (2 if secret else 0)
    assert pair.more() == {}
    assert ip("xfrm", "state") == []


def hack(source: IPv6Address, sequence: int) -> bytes:
    """A HAck to our end point."""
    return encode(HandoverAcknowledge(sequence, 0), source, ENDPOINT)


def sequences(packets: list[bytes]) -> list[int]:
    """The sequence numbers of HAcks."""
    return [int.from_bytes(packet[46:48]) for packet in packets]


def heard_by(work: Callable[[], None], last: int, esp: list[bytes] | None = None) -> list[int]:
    """What a socket with two peers hears of what is sent meanwhile, up to a HAck with that number.

    It hears what comes without ESP as well; esp: for what one hears that does not.
    """
    heard: list[bytes] = []
    peers = frozenset({PEER, STRANGER})

    async def listen() -> None:
        port = MobilitySocket(ENDPOINT, peers, heard.append, only_esp=False)
        strict = MobilitySocket(ENDPOINT, peers, ([] if esp is None else esp).append)
        with closing(port), closing(strict):
            strict.start()
            port.start()
            work()
            end_s = now_s() + 20
            while last not in sequences(heard):
                assert now_s() < end_s
                await asyncio.sleep(0.01)

    asyncio.run(listen())
    return sequences(heard)


def test_what_a_peer_sends_without_esp_is_dropped(pair: Pair) -> None:
    """Before the policy a peer's HAck is heard, with it only another's, and after it the peer's again."""

    def send(*sources: IPv6Address) -> Callable[[], None]:
        def work() -> None:
            for number, source in enumerate(sources, 1):
                pair.sender.send(hack(source, number), ENDPOINT)

        return work

    assert heard_by(send(PEER, STRANGER), 2) == [1, 2]
    with ipsec() as kernel:
        kernel.execute([xfrm.policy(PEER, ENDPOINT, REQID, incoming=True)])
        assert heard_by(send(PEER, STRANGER), 2) == [2]
        kernel.execute([xfrm.delete_policy(PEER, ENDPOINT, incoming=True)])
    assert heard_by(send(STRANGER, PEER), 2) == [1, 2]


def test_what_is_heard_is_a_whole_packet(pair: Pair) -> None:
    """The kernel gives the Mobility Header alone; the handler gets it with both addresses."""
    heard: list[bytes] = []

    async def listen() -> None:
        port = MobilitySocket(ENDPOINT, frozenset({PEER}), heard.append, only_esp=False)
        with closing(port):
            port.start()
            pair.sender.send(hack(STRANGER, 1), ENDPOINT)
            pair.sender.send(ipv6(PEER, ENDPOINT, MOBILITY, bytes(8)), ENDPOINT)  # a wrong checksum
            pair.sender.send(hack(PEER, 2), ENDPOINT)
            end_s = now_s() + 20
            while not heard:
                assert now_s() < end_s
                await asyncio.sleep(0.01)

    asyncio.run(listen())
    assert heard == [hack(PEER, 2)]


def test_nothing_leaves_for_a_peer_without_esp(pair: Pair) -> None:
    """With the policy and without an association the kernel sends nothing to the peer; to others it does."""
    packet = encode(HandoverAcknowledge(7, 0), ENDPOINT, PEER)
    with entered(pair.far):
        air = frames("v1")
    seen: list[bytes] = []

    def on_air(number: int) -> bool:
        seen.extend(f[14:] for f in waiting(air) if f[20] == MOBILITY)
        return number in sequences(seen)

    with air, ipsec() as kernel, closing(MobilitySocket(ENDPOINT, frozenset(), seen.append)) as port:
        port.send(packet, PEER)
        wait_until(lambda: on_air(7), 20)
        kernel.execute([xfrm.policy(ENDPOINT, PEER, REQID, incoming=False)])
        port.send(encode(HandoverAcknowledge(8, 0), ENDPOINT, PEER), PEER)
        port.send(encode(HandoverAcknowledge(9, 0), ENDPOINT, STRANGER), STRANGER)
        wait_until(lambda: on_air(9), 20)
        kernel.execute([xfrm.delete_policy(ENDPOINT, PEER, incoming=False)])
    assert sequences(seen) == [7, 9]


@contextmanager
def barriers() -> Iterator[Netlink]:
    """Barriers both ways between our end point and the peer, that are gone after the block."""
    both = ((ENDPOINT, PEER, False), (PEER, ENDPOINT, True))
    with ipsec() as kernel:
        kernel.execute([xfrm.barrier(a, b, incoming=i) for a, b, i in both] * 2)  # an equal one is replaced
        yield kernel
        kernel.execute([xfrm.delete_barrier(a, b, incoming=i) for a, b, i in both])


def spd(word: str, incoming: bool, *more: str) -> list[str]:
    """`ip xfrm policy` about the Mobility Header between the peer and us; the lines that it prints."""
    source, destination, way = (PEER, ENDPOINT, "in") if incoming else (ENDPOINT, PEER, "out")
    ends = ("src", str(source), "dst", str(destination), "proto", str(MOBILITY))
    return ip("xfrm", "policy", word, *ends, "dir", way, *more)


@pytest.mark.parametrize(("incoming", "word"), [(False, "out"), (True, "in")])
def test_a_barrier_stays_when_an_ike_daemons_policy_comes_and_goes(
    pair: Pair, incoming: bool, word: str
) -> None:
    """An IKE daemon's policy with the same addresses is beside the barrier, comes first, and goes alone."""
    del pair
    with barriers():
        alone = ip("xfrm", "policy")
        shown = " ".join(alone)
        assert shown.count("action block") == shown.count("priority 4294967295") == 2
        assert f"dir {word} action block" in shown
        template = ("tmpl", "proto", "esp", "reqid", "1", "mode", "transport")
        spd("add", incoming, "priority", "366847", *template)  # EEXIST if it met ours
        assert sum("action" in line for line in ip("xfrm", "policy")) == 2
        assert sum("priority" in line for line in ip("xfrm", "policy")) == 3
        spd("delete", incoming)
        assert ip("xfrm", "policy") == alone
    assert ip("xfrm", "policy") == []


def test_a_barrier_lets_go_what_another_policy_names(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing leaves for the peer but while somebody else has a policy for it, and the log says why."""
    with entered(pair.far):
        air = frames("v1")
    seen: list[bytes] = []

    def on_air(number: int) -> bool:
        seen.extend(f[14:] for f in waiting(air) if f[20] == MOBILITY)
        return number in sequences(seen)

    with air, closing(MobilitySocket(ENDPOINT, frozenset(), seen.append)) as port, barriers():

        def send(number: int, to: IPv6Address) -> None:
            port.send(encode(HandoverAcknowledge(number, 0), ENDPOINT, to), to)

        send(1, PEER)
        assert f"not sent to {PEER}: no policy of an IKE daemon says how" in caplog.text
        spd("add", False, "priority", "366847", "tmpl", "proto", "esp", "reqid", "1", "mode", "transport")
        send(2, PEER)  # the kernel asks for an association, and drops it
        spd("update", False, "priority", "366847")  # as it is
        send(3, PEER)
        wait_until(lambda: on_air(3), 20)
        spd("delete", False)
        send(4, PEER)
        send(5, STRANGER)
        wait_until(lambda: on_air(5), 20)
    assert sequences(seen) == [3, 5]


def test_what_comes_without_esp_is_not_heard_whatever_the_policies_say(pair: Pair) -> None:
    """A policy that lets the peer's packets pass opens the host, and not the socket that wants ESP."""

    def send(*numbers: int) -> Callable[[], None]:
        def work() -> None:
            for number in numbers:
                source = STRANGER if number % 2 == 0 else PEER
                pair.sender.send(hack(source, number), ENDPOINT)

        return work

    strict: list[bytes] = []
    assert heard_by(send(1, 2), 2, strict) == [1, 2]
    with barriers():
        assert heard_by(send(3, 4), 4, strict) == [4]
        spd("add", True, "priority", "1")
        assert heard_by(send(5, 6), 6, strict) == [5, 6]
        spd("delete", True)
        assert heard_by(send(7, 8), 8, strict) == [8]
    assert sequences(strict) == []


def test_associations_are_worked_out_of_a_secret() -> None:
    """Both ends get the same SPI and key for a direction, another for the other one and for other secrets."""
    one = association(SECRET, PAR, NAR)
    assert one == association(SECRET, PAR, NAR)
    others = [
        association(SECRET, NAR, PAR),
        association(SECRET + b"!", PAR, NAR),
        association(SECRET, PAR, IPv6Address("2001:db8:3::1")),
    ]
    for spi, key in (one, *others):
        assert 256 <= spi < 1 << 32
        assert len(key) == 32
    assert len({spi for spi, _ in (one, *others)}) == 4
    assert len({key for _, key in (one, *others)}) == 4
