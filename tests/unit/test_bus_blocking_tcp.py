"""The client without an event loop over TCP: the same rights and the same refusals."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blocking_rig import ThreadedDaemon, hear_all, take_until, threaded_daemon
from curve_kit import LOOPBACK, Ring

from lies.bus import BlockingClient, Right, TcpDaemon, TcpEndpoints
from lies.errors import NoDaemon, NotPermitted

LISTEN = {Right.LISTEN}


@contextmanager
def tcp_daemon(
    directory: Path, ring: Ring, address: str = LOOPBACK, **options: Any
) -> Iterator[ThreadedDaemon]:
    """A daemon on TCP that lists `friend`."""
    rights = ring.rights(friend=LISTEN)
    tcp = TcpEndpoints(ring.server, address)
    with threaded_daemon(directory / "run", rights=rights, tcp=tcp, **options) as d:
        yield d


def where(d: ThreadedDaemon, ring: Ring, name: str, *, server_key: str | None = None) -> TcpDaemon:
    """The daemon for the holder of a key."""
    return TcpDaemon(d.server.addresses["bus"], server_key or ring.server.public, ring.key(name))


def test_listening_and_not_acting(tmp_path: Path) -> None:
    """A listed key listens and hears every event; what it has no right to is NotPermitted."""
    ring = Ring(tmp_path / "keys")
    with (
        tcp_daemon(tmp_path, ring) as d,
        BlockingClient.connect(where(d, ring, "friend"), name="mn", timeout_s=10) as client,
    ):
        heard = hear_all(client)
        client.register("link_up")
        d.ups(1, 50)
        taken = take_until(client, lambda: len(heard.events) == 50)
        assert [m.poa for m in taken] == [f"ap{i}" for i in range(1, 51)]
        with pytest.raises(NotPermitted, match="key friend has no right to act"):
            client.link_connect("wlan0", "ap2")


def test_refusals(tmp_path: Path) -> None:
    """An unlisted key, another server's key and an empty address are told apart, each at once."""
    ring = Ring(tmp_path / "keys")
    with tcp_daemon(tmp_path, ring) as d:
        address = d.server.addresses["bus"]
        with pytest.raises(NotPermitted, match="does not list the key stranger"):
            BlockingClient.connect(where(d, ring, "stranger"), name="mn", timeout_s=10)
        other = where(d, ring, "friend", server_key=ring.key("other").public)
        with pytest.raises(NotPermitted, match="it has another key"):
            BlockingClient.connect(other, name="mn", timeout_s=10)
        assert d.core.counters.unlisted_keys == 1
        assert d.server.consumers == 0
    with pytest.raises(NoDaemon, match=address):
        BlockingClient.connect(
            TcpDaemon(address, ring.server.public, ring.key("friend")), name="mn", timeout_s=10
        )


def test_restart_of_the_daemon(tmp_path: Path) -> None:
    """After a restart the client is told a gap and goes on with the new daemon by itself."""
    ring = Ring(tmp_path / "keys")
    with tcp_daemon(tmp_path, ring) as first:
        address = first.server.addresses["bus"]
        client = BlockingClient.connect(where(first, ring, "friend"), name="mn", timeout_s=10)
        heard = hear_all(client)
        client.register("link_up")
    take_until(client, lambda: heard.gaps)
    with tcp_daemon(tmp_path, ring, address, epoch=2) as second:
        take_until(client, lambda: len(heard.snapshots) == 2)
        second.ups(1, 1)
        take_until(client, lambda: heard.events)
        assert client.epoch == 2
        client.close()
