"""Strangers on the bus's TCP ports: no key, a wrong one, one that is not listed, and no ZeroMQ at all."""

import asyncio
import logging
import socket
import struct
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq
from bus_rig import Heard, hear, on_loop, until
from curve_kit import tcp_daemon
from zmq.utils import z85

from lies.bus import Client, RemotePublisher, TcpEndpoints
from lies.bus._transport import HANDSHAKE_MS, peer_uid
from lies.bus._zap import ENDPOINT
from lies.bus.messages import Hello
from lies.errors import NoDaemon, NotPermitted


def _has(heard: Heard, count: int) -> bool:
    return len(heard.events) >= count


@on_loop
async def test_unlisted_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key that is not listed is not let in on either endpoint; it is told, counted, and logged once."""
    async with tcp_daemon(tmp_path) as d:
        stranger = d.ring.key("stranger")
        for connect in (Client.connect, RemotePublisher.connect):
            with pytest.raises(NotPermitted, match="does not list the key stranger") as caught:
                await connect(d.where("stranger"), name="mn", timeout_s=10)
            assert stranger.public in str(caught.value)
        assert d.core.counters.unlisted_keys == 2
        assert (d.server.consumers, d.server.drivers) == (0, 0)
        said = [r.getMessage() for r in caplog.records if stranger.public in r.getMessage()]
        assert len(said) == 1
        assert said[0].startswith("a peer at 127.0.0.1 was not let in")


@on_loop
async def test_wrong_server_key(tmp_path: Path) -> None:
    """A client that takes another key for the server's learns it at once; nobody reads what it says."""
    async with tcp_daemon(tmp_path) as d:
        where = d.where("friend", server_key=d.ring.key("other").public)
        with pytest.raises(NotPermitted, match="broke off the handshake: it has another key"):
            await Client.connect(where, name="mn", timeout_s=10)
        await until(lambda: d.core.counters.handshakes)
        assert d.core.counters.unlisted_keys == 0


@pytest.mark.parametrize("plain", [{}, {"PLAIN_USERNAME": b"root", "PLAIN_PASSWORD": b"secret"}])
@on_loop
async def test_absent_key(tmp_path: Path, caplog: pytest.LogCaptureFixture, plain: dict[str, Any]) -> None:
    """Who speaks no CURVE is refused in the handshake and counted, whatever he says of himself."""
    async with tcp_daemon(tmp_path) as d:
        with d.dealer(None, **plain) as consumer, d.dealer(None, "publish", **plain) as driver:
            consumer.say(Hello("mn", "ipv6"))
            driver.say(Hello("sim2", "wifi", 1))
            await until(lambda: d.core.counters.handshakes >= 2)
            assert not consumer.readable()
            assert not driver.readable()
        assert (d.server.consumers, d.server.drivers, d.core.counters.malformed) == (0, 0, 0)
        # its own libzmq sees that the two do not match as well, and may hang up first
        assert "CURVE was not spoken" in caplog.text or "it was broken off" in caplog.text


@on_loop
async def test_nobody_is_let_in_without_the_handler(tmp_path: Path) -> None:
    """If nobody answers for keys, a listed one is not let in either: the sockets fail closed."""
    async with tcp_daemon(tmp_path) as d:
        gate = d.server._tcp
        assert gate is not None
        assert gate._zap is not None
        gate._zap.close()
        with pytest.raises((NoDaemon, NotPermitted)):
            await Client.connect(d.where("friend"), name="mn", timeout_s=1.0)
        assert d.server.consumers == 0


@on_loop
async def test_no_address_is_a_user(tmp_path: Path) -> None:
    """A listed key has the rights of its key, not those of the user who connects."""
    assert peer_uid("localhost:0:0:77") == 0
    assert peer_uid("2001:db8::0:0:77") is None
    assert peer_uid("localhost:٣:0:77") is None  # a digit, though not one of the kernel's
    async with tcp_daemon(tmp_path, friend=set()) as d:
        with pytest.raises(NotPermitted, match="key friend has no right to listen"):
            await Client.connect(d.where("friend"), name="mn")


@on_loop
async def test_announced_size_is_not_allocated(tmp_path: Path) -> None:
    """A stranger who announces a frame of 100 MB before any handshake is disconnected at the announcement."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
    async with tcp_daemon(tmp_path) as d:
        host, _, port = d.server.addresses["bus"].removeprefix("tcp://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(greeting + b"\x06" + struct.pack("!Q", 100_000_000))  # a long command, ZMTP 3
        async with asyncio.timeout(HANDSHAKE_MS / 2000):  # and not only because it says no more
            while await reader.read(4096):
                pass
        writer.close()


@on_loop
async def test_garbage_on_the_port(tmp_path: Path) -> None:
    """Other protocols and random octets on both ports are counted; a witness misses nothing."""
    async with (
        tcp_daemon(tmp_path) as d,
        await Client.connect(d.where("friend"), name="witness") as witness,
    ):
        heard = hear(witness)
        await witness.register("link_up")
        for i, text in enumerate(
            [b"GET / HTTP/1.1\r\n\r\n" * 9, bytes(200), b"\xff" * 200, b"\x16\x03\x01" * 99]
        ):
            name = "publish" if i % 2 else "bus"
            host, _, port = d.server.addresses[name].removeprefix("tcp://").rpartition(":")
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(text)
            d.driver.up(f"ap{i}")
        await until(lambda: d.core.counters.handshakes)
        await until(partial(_has, heard, 4))
        assert [m.poa for m in heard.events] == ["ap0", "ap1", "ap2", "ap3"]
        assert heard.gaps == []


@on_loop
async def test_no_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither side's secret key is in a log, a repr or an error, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    async with tcp_daemon(tmp_path) as d:
        async with await Client.connect(d.where("friend"), name="mn") as client:
            await client.links()
        with pytest.raises(NotPermitted) as caught:
            await Client.connect(d.where("stranger"), name="mn", timeout_s=10)
        shown = [caplog.text, repr(caught.value), repr(d.where("friend")), repr(d.server._tcp)]
        shown.append(repr(TcpEndpoints(d.ring.server, "tcp://127.0.0.1:1")))
    for name in ("server", "friend", "stranger"):
        assert not any(d.ring.key(name).secret in text for text in shown)
    assert d.ring.key("stranger").public in shown[0]


@on_loop
async def test_handler_answers_nobody_else(tmp_path: Path) -> None:
    """A request for a key that libzmq would not make is answered 400, or not at all, and ends nothing."""
    async with tcp_daemon(tmp_path) as d:
        gate = d.server._tcp
        assert gate is not None
        assert gate._context is not None
        with gate._context.socket(zmq.DEALER) as asker:
            asker.setsockopt(zmq.LINGER, 0)
            asker.connect(ENDPOINT)
            listed = z85.decode(d.ring.key("friend").public)
            asker.send_multipart([b"", b"0.9", b"1", b"lies", b"", b"", b"CURVE", listed])
            asker.send_multipart([b""])
            for mechanism, credentials, domain in (
                (b"PLAIN", b"root", b"lies"),
                (b"CURVE", b"short", b"lies"),
                (b"CURVE", listed, b"global"),
                (b"CURVE", listed, b"lies"),
            ):
                asker.send_multipart([b"", b"1.0", b"1", domain, b"::1", b"", mechanism, credentials])
            answers: list[list[bytes]] = []
            while len(answers) < 4:
                await until(lambda: int(asker.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
                answers.append(asker.recv_multipart())
        assert [a[3] for a in answers] == [b"400", b"400", b"400", b"200"]
        assert answers[-1][5] == d.ring.key("friend").public.encode()
