"""Crowds of connections, and users of this machine: who is let in, and that nobody else pays for it."""

import asyncio
import errno
import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zmq
from bus_rig import Heard, daemon, hear, on_loop, until
from curve_kit import TcpRig, tcp_daemon
from descriptors import open_descriptors

from lies.bus import Client, Right, Rights
from lies.bus._directory import RuntimeDirectory
from lies.bus._door import Door, allowed_connections
from lies.errors import NotPermitted

NOBODY = 65534
CROWD = 1000


def _has(heard: Heard, count: int) -> bool:
    return len(heard.events) >= count


def knock(d: TcpRig, kind: str) -> socket.socket:
    """A new connection to the endpoint for consumers that says nothing."""
    if kind == "local":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5.0)
        connection.connect(str(d.directory / "bus"))
        return connection
    host, _, port = d.server.addresses["bus"].removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)))


def overflows() -> int:
    """How many connections did not fit into the queue of a listening TCP socket of this namespace."""
    names, values = (
        line.split() for line in Path("/proc/net/netstat").read_text().splitlines() if line[:7] == "TcpExt:"
    )
    return int(values[names.index("ListenOverflows")])


def door_of(d: TcpRig, kind: str) -> Door:
    """The door of that endpoint."""
    door = d.server._consumers[kind == "tcp"]._door
    assert door is not None
    return door


@pytest.mark.parametrize("kind", ["local", "tcp"])
@on_loop
async def test_connections_opened_and_dropped(tmp_path: Path, kind: str) -> None:
    """A thousand connections that come and go leave nothing behind, and a witness misses nothing."""
    async with tcp_daemon(tmp_path, friend={Right.LISTEN}) as d:
        where = d.where("friend") if kind == "tcp" else d.directory
        async with await Client.connect(where, name="witness", timeout_s=10) as witness:
            heard = hear(witness)
            await witness.register("link_up")
            known, turned_off = open_descriptors(), overflows()
            for i in range(CROWD):
                knock(d, kind).close()
                if i % 10 == 0:
                    d.driver.up(f"ap{i}")
                    await until(partial(_has, heard, i // 10 + 1))
            await until(lambda: door_of(d, kind).connections == 1)
            await until(lambda: open_descriptors() <= known)
            assert overflows() == turned_off  # each would have cost whoever came a second
            assert [m.poa for m in heard.events] == [f"ap{i}" for i in range(0, CROWD, 10)]
            assert heard.gaps == []


@pytest.mark.parametrize("kind", ["local", "tcp"])
@on_loop
async def test_full_endpoint(tmp_path: Path, kind: str) -> None:
    """Who comes to a full endpoint is turned away; who is there stays; later there is room again."""
    async with tcp_daemon(tmp_path, friend={Right.LISTEN}, connections=16) as d:
        where = d.where("friend") if kind == "tcp" else d.directory
        async with await Client.connect(where, name="witness", timeout_s=10) as witness:
            heard = hear(witness)
            await witness.register("link_up")
            held = []
            for i in range(40):
                held.append(knock(d, kind))
                d.driver.up(f"ap{i}")
                await until(partial(_has, heard, i + 1))
            await until(lambda: d.core.counters.turned_away >= 25)
            await until(lambda: door_of(d, kind).connections == 16)
            assert heard.gaps == []
            for connection in held:
                connection.close()
            await until(lambda: door_of(d, kind).connections == 1)
            async with await Client.connect(where, name="late", timeout_s=10) as late:
                assert len(await late.links()) == 1


def test_only_connections_are_shown_out(tmp_path: Path) -> None:
    """A descriptor that is no connection to the address any more is left alone."""
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as listening, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        listening.bind(path)
        listening.listen()
        door = Door(f"ipc://{path}", 0)
        host, port = elsewhere.getsockname()
        accepted = int(zmq.EVENT_ACCEPTED)
        with (
            (tmp_path / "file").open("w") as file,
            socket.create_connection((host, port)) as other,
            socket.socket(socket.AF_UNIX) as peer,
        ):
            peer.connect(path)
            connection, _ = listening.accept()
            for number in (file.fileno(), other.fileno(), listening.fileno(), elsewhere.fileno(), 1 << 20):
                assert not door.told(accepted, number)
            other.send(b"still there")
            assert door.told(accepted, connection.fileno())
            assert peer.recv(1) == b""
            connection.close()


def test_fewer_connections_where_descriptors_are_few() -> None:
    """The endpoints together take at most half of the descriptors that the process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource; from lies.bus._door import allowed_connections\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))\n"
        "assert allowed_connections(1024, 4) == (1024 - 256) // 8\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1024, 1024)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert allowed_connections(17, 2) == 17
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- users of this machine


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every user can enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


BECOME = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"


def need_another_user() -> None:
    """Skip the test if no process of another user can be made here."""
    made = subprocess.run([sys.executable, "-c", BECOME], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no process of another user can be made here")


TRY = """
import asyncio, sys
from lies.bus import Client, RemotePublisher
from lies.errors import LiesError
from pathlib import Path

async def main(directory):
    async def listen(client):
        await client.register("link_down")
    async def act(client):
        await client.link_connect("wlan0", "ap2")
    for name, use in (("listen", listen), ("act", act)):
        try:
            async with await Client.connect(directory, name="mn") as client:
                await use(client)
                print(name)
        except LiesError as error:
            print(type(error).__name__, error, file=sys.stderr)
    try:
        (await RemotePublisher.connect(Path(directory), name="child")).close()
        print("publish")
    except LiesError as error:
        print(type(error).__name__, error, file=sys.stderr)

"""
RUN = "asyncio.run(main(sys.argv[1]))\n"  # by then all that it needs is loaded: it may read no file any more


def kept(path: Path) -> tuple[int, int, int]:
    """Owner, group and permissions of a file."""
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


async def tried_by_nobody(directory: Path) -> tuple[set[str], str]:
    """What a process of the user nobody managed to do on the bus, and what it was told."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TRY + BECOME + RUN, str(directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await child.communicate()
    return set(out.decode().split()), err.decode()


@pytest.mark.parametrize("rights", [set(), {Right.LISTEN}, {Right.ACT}, {Right.PUBLISH}])
def test_a_user_has_his_rights_and_no_other(public_directory: Path, rights: set[Right]) -> None:
    """A process of another user does what its uid is granted, as the kernel and not as it itself says."""
    need_another_user()

    @on_loop
    async def use() -> None:
        listed = Rights({NOBODY: rights}, others=set(Right))
        async with daemon(public_directory / "run", rights=listed, gid=NOBODY) as d:
            done, said = await tried_by_nobody(d.directory)
            assert done == {right.value for right in rights}
            assert said.count(f"uid {NOBODY} has no right to") == 3 - len(rights)

    use()


def test_who_is_not_of_the_group_cannot_knock(public_directory: Path) -> None:
    """Without the group's permission no socket can be opened, whatever rights are listed."""
    need_another_user()

    @on_loop
    async def use() -> None:
        async with daemon(public_directory / "run", rights=Rights({NOBODY: set(Right)})) as d:
            done, said = await tried_by_nobody(d.directory)
            assert done == set()
            assert said.count("NotPermitted the daemon's socket") == 3

    use()


@on_loop
async def test_owner_and_group_of_the_directory(tmp_path: Path) -> None:
    """Directory and sockets belong to the configured owner and group, from the moment they are there."""
    need_another_user()
    for _ in range(2):  # a directory that is there already, of that owner, is taken over
        async with daemon(tmp_path / "run", uid=NOBODY, gid=NOBODY) as d:
            assert kept(d.directory) == (NOBODY, NOBODY, 0o750)
            assert kept(d.directory / "bus") == kept(d.directory / "publish") == (NOBODY, NOBODY, 0o660)
            (d.directory / "note").touch()
        (tmp_path / "run" / "note").unlink()
        assert (tmp_path / "run").exists()


def test_what_an_owner_puts_there_is_not_followed(tmp_path: Path) -> None:
    """An owner who swaps a socket file for a link gets nothing given that the link points to."""
    need_another_user()
    victim = tmp_path / "shadow"
    victim.touch(mode=0o600)
    before = kept(victim)
    directory = RuntimeDirectory(tmp_path / "run", uid=NOBODY, gid=NOBODY)
    directory.take()
    with directory.admitting("bus"):
        (tmp_path / "run" / "bus").symlink_to(victim)
    directory.release()
    assert kept(victim) == before


@on_loop
async def test_owner_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that may not give its endpoints away says so, and leaves nothing."""
    if os.geteuid() == 0:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "chown", refuse)  # as the kernel does for everybody else
    with pytest.raises(NotPermitted, match="cannot be used: Operation not permitted"):
        async with daemon(tmp_path / "run", uid=0):
            pass
    assert not (tmp_path / "run").exists()
