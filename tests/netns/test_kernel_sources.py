"""Which source a tunnel has, and that it never has another one while that changes."""

import itertools
import socket
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netns_kit import ip, waiting
from polling import wait_until
from tunnel_kit import BEYOND, INNER, INSIDE, PORT, Pair

from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.leftovers import sweep
from lies.kernel.sources import OuterSources, is_label_of_ours, label_of
from lies.kernel.tunnels import GONE, host
from lies.testbed import topology as t

netns = pytest.mark.netns
SOURCES = tuple(IPv6Address(f"2001:db8:6::{n}") for n in range(1, 5))  # the kernel's own choice is the last


@pytest.fixture
def b0(pair: Pair) -> int:
    """An interface with four addresses, and a tunnel by it to BEYOND."""
    index = index_of("b0")
    pair.kernel.execute([m.address(index, source) for source in SOURCES])
    pair.kernel.execute([m.route(host(INNER), oif=index, encap=BEYOND)])
    return index


def tunnelled(pair: Pair) -> list[IPv6Address]:
    """The outer sources of what went into the tunnel until now."""
    return [IPv6Address(frame[22:38]) for frame in waiting(pair.behind) if frame[20] == 41]


def source_now(pair: Pair) -> IPv6Address:
    """The outer source of a packet that is sent now."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((str(INSIDE), 0))
        sock.sendto(b"x", (str(INNER), PORT))
    seen: list[IPv6Address] = []

    def heard() -> bool:
        seen.extend(tunnelled(pair))
        return bool(seen)

    wait_until(heard, 20)
    (source,) = seen
    return source


@netns
def test_the_chosen_address_is_the_outer_source(pair: Pair, b0: int) -> None:
    """Whatever was chosen before; the labels do not become more, and forgetting leaves none."""
    chosen = OuterSources(b0)
    for source in (*SOURCES, *reversed(SOURCES), SOURCES[1], SOURCES[1]):
        pair.kernel.execute(chosen.choose(BEYOND, source), ignore=GONE)
        assert source_now(pair) == source
    labels = [line for line in ip("addrlabel") if is_label_of_ours(int(line.split()[-1]))]
    assert len(labels) == 1 + len(SOURCES)
    pair.kernel.execute(chosen.forget(BEYOND), ignore=GONE)
    assert source_now(pair) == SOURCES[-1]
    pair.kernel.execute(chosen.forget_all())
    assert "labels" not in pair.more()


@netns
def test_no_packet_has_another_source_while_it_changes(pair: Pair, b0: int) -> None:
    """After each single message of a change a packet has the old address, or the new one from there on."""
    chosen = OuterSources(b0)
    pair.kernel.execute(chosen.choose(BEYOND, SOURCES[0]), ignore=GONE)
    before = SOURCES[0]
    for source in (SOURCES[1], SOURCES[0], SOURCES[2], SOURCES[1], SOURCES[2]):
        seen = []
        for message in chosen.choose(BEYOND, source):
            pair.kernel.execute([message], ignore=GONE)
            seen.append(source_now(pair))
        assert seen[-1] == source
        assert seen == sorted(seen, key=[before, source].index)
        before = source


@netns
def test_what_a_killed_process_left_does_not_count(pair: Pair, b0: int) -> None:
    """Another OuterSources finds labels of both kinds and is obeyed all the same; a sweep leaves none."""
    killed = OuterSources(b0)
    for source in SOURCES[:3]:
        pair.kernel.execute(killed.choose(BEYOND, source), ignore=GONE)
        anew = OuterSources(b0)
        pair.kernel.execute(anew.choose(BEYOND, SOURCES[3]), ignore=GONE)
        assert source_now(pair) == SOURCES[3]
        pair.kernel.execute(anew.choose(BEYOND, SOURCES[0]), ignore=GONE)
        assert source_now(pair) == SOURCES[0]
    sweep(pair.kernel)
    assert "labels" not in pair.more()


def test_labels_of_the_testbeds_addresses_are_all_different() -> None:
    """64 routers, 16 nodes in each of their subnets, and the home agent: no two have one label."""
    addresses = [t.HOME_AGENT, t.CORRESPONDENT, t.HOME_ADDRESS]
    for n in range(1, t.MAX_ROUTERS + 1):
        prefix = t.Router(n).prefix
        addresses += [prefix[1], *(prefix[0x0000_00FF_FE00_9900 + k] for k in range(16))]
    labels = {label_of(a) for a in addresses}
    assert len(labels) == len(addresses)


@given(st.integers(0, 2**128 - 1))
def test_a_label_is_in_the_range_that_is_ours(number: int) -> None:
    """Labels are 0x40000000 to 0x7fffffff, away from the kernel's defaults (0 to 99) and from "none"."""
    label = label_of(IPv6Address(number))
    assert 0x40000000 <= label <= 0x7FFFFFFF
    assert is_label_of_ours(label)
    assert not any(map(is_label_of_ours, itertools.chain(range(100), (0xFFFFFFFF, 0x80000000))))
