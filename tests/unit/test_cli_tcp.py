"""The command line beside a daemon on TCP, each in a process of its own."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from daemon_kit import LIES, Daemon, daemon, text_of, walk
from fake_plugins import install
from polling import wait_until

from lies.bus import Right
from lies.cli._exec import environment
from lies.events import Header, Link, LinkUp, Technology
from lies.keys import KeyPair, new_key

CONFIG = """
[daemon]
log_level = "debug"
[daemon.tcp]
bus = "tcp://127.0.0.1:0"
publish = "tcp://127.0.0.1:0"
key = "server"
keys_dir = "keys"
[drivers.fake]
"""
RIGHTS = {
    "listener": {Right.LISTEN},
    "actor": {Right.LISTEN, Right.ACT},
    "driver": {Right.LISTEN, Right.PUBLISH},
}


Done: TypeAlias = "subprocess.CompletedProcess[str]"


class Remote:
    """A daemon on TCP, the keys, and commands that reach it only there."""

    def __init__(self, running: Daemon, keys: Path, pairs: dict[str, KeyPair]) -> None:
        self.daemon = running
        self.pairs = pairs
        found = re.search(r"the bus is at \S+, (\S+), (\S+) ", text_of(running.log))
        assert found
        self.bus, self.publish = found.groups()
        self._env = {
            **running.env,
            "LIES_RUNTIME_DIR": str(keys / "no-daemon-here"),
            "LIES_KEYS_DIR": str(keys),
        }

    def lies(
        self, *words: str, key: str = "listener", server: str = "server"
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on the daemon with a key."""
        options = ("--connect", self.bus, "--server-key", self.pairs[server].public, "--key", key)
        return self.plain(*words[:1], *options, *words[1:])

    def plain(self, *words: str, **env: str) -> Done:
        """Run a command as it stands."""
        return subprocess.run(
            [*LIES, *words], capture_output=True, text=True, timeout=60, check=False, env={**self._env, **env}
        )


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A daemon with the link fake0, and a key for each kind of peer."""
    directory = tmp_path_factory.mktemp("remote")
    keys = directory / "keys"
    pairs = {name: new_key(keys, name) for name in ("server", *RIGHTS, "stranger")}
    listed = "".join(
        f'[daemon.tcp.keys.{name}]\npublic = "{pairs[name].public}"\nrights = {json.dumps(sorted(rights))}\n'
        for name, rights in RIGHTS.items()
    )
    with pytest.MonkeyPatch.context() as patch:
        install(directory / "site", patch)
        with daemon(directory, CONFIG + listed) as one:
            one.wait_up()
            yield Remote(one, keys, pairs)


def test_listening(remote: Remote) -> None:
    """links, poas and trace work with a key that may listen, by options or by environment."""
    for command in (("links",), ("poas", "fake0"), ("links", "-j")):
        done = remote.lies(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    environment = {
        "LIES_CONNECT": remote.bus,
        "LIES_SERVER_KEY": remote.pairs["server"].public,
        "LIES_KEY": "listener",
    }
    assert "fake0" in remote.plain("links", **environment).stdout
    traced = remote.lies("trace", "-n", "1", "-W", "0.2")
    assert traced.returncode == 27, traced.stderr


def test_a_command_for_each_event(remote: Remote) -> None:
    """`lies exec` listens over TCP, and what it runs can use the same daemon without being told."""
    done = remote.lies("exec", "--on", "link_up", "-W", "0.2", "--", "true")
    assert done.returncode == 27, done.stderr
    outer = {"LIES_EVENT": "link_up", "LIES_CONNECT": remote.bus, "LIES_KEY": "listener", "LIES_POA": "ap1"}
    event = LinkUp(Header("fake", 1, 1, 1, 1, Link("fake0", Technology.WIFI)), "ap2")
    inner = environment(event, {**outer, "LIES_QUALITY": "bad"})
    assert inner["LIES_CONNECT"] == remote.bus
    assert inner["LIES_KEY"] == "listener"
    assert inner["LIES_POA"] == "ap2"
    assert "LIES_QUALITY" not in inner


def test_options_before_the_command(remote: Remote) -> None:
    """The options may stand before the command, as --runtime-dir may; the last one said wins."""
    public = remote.pairs["server"].public
    done = remote.plain("--connect", remote.bus, "--server-key", public, "--key", "listener", "links")
    assert "fake0" in done.stdout
    local = remote.plain(
        "links", "--runtime-dir", str(remote.daemon.run_dir), LIES_CONNECT="tcp://192.0.2.1:1"
    )
    assert "fake0" in local.stdout


def test_acting(remote: Remote) -> None:
    """Connect needs the right to act: exit code 0 with it, 5 without it."""
    assert remote.lies("connect", "fake0", "ap1", key="actor").returncode == 0
    refused = remote.lies("connect", "fake0", "ap1")
    assert (refused.returncode, refused.stderr) == (5, "lies: key listener has no right to act on this bus\n")


def test_publishing(remote: Remote, tmp_path: Path) -> None:
    """Replay is a driver of the daemon if its key may publish, else it ends with 5."""
    trace = str(walk(tmp_path / "walk.csv", 20))
    words = ("replay", "--publish", remote.publish, trace, "--asap", "--link", "wlan7", "--name", "tape")
    refused = remote.lies(*words)
    assert refused.returncode == 5
    assert "key listener has no right to publish" in refused.stderr
    played = remote.lies(*words, key="driver")
    assert played.returncode == 0, played.stderr
    assert "wlan7" in remote.lies("links").stdout


@pytest.mark.parametrize(
    ("key", "server", "code", "sentence"),
    [
        ("stranger", "server", 5, "does not list the key stranger; its public key is "),
        ("listener", "stranger", 5, "broke off the handshake: it has another key"),
        ("nobody", "server", 2, "there is no key 'nobody' in"),
    ],
)
def test_wrong_keys(remote: Remote, key: str, server: str, code: int, sentence: str) -> None:
    """An unlisted key, another server's key and a key that is not there each are one sentence and a code."""
    done = remote.lies("links", key=key, server=server)
    assert done.returncode == code
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--connect", "tcp://127.0.0.1:1"), 2, "is reached with CURVE only: give its public key"),
        (("--connect", "tcp://127.0.0.1:1", "--server-key", "x"), 2, "have its public key listed there"),
        (("--connect", "tcp://h:1", "--server-key", "x", "--key", "actor"), 2, "the server key is none"),
        (
            ("--connect", "nowhere", "--server-key", "x", "--key", "actor"),
            2,
            "not of the form tcp://HOST:PORT",
        ),
        (("--runtime-dir", "tcp://127.0.0.1:1"), 2, "--connect tcp://HOST:PORT --server-key KEY --key NAME"),
    ],
)
def test_plain_tcp_is_refused(remote: Remote, words: tuple[str, ...], code: int, sentence: str) -> None:
    """Without keys there is no TCP; the sentence says what is missing."""
    done = remote.plain("links", *words)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())


def test_nobody_there(remote: Remote) -> None:
    """No daemon at the address is exit code 4, at once."""
    done = remote.plain(
        *("links", "--connect", "tcp://127.0.0.1:1", "--server-key", remote.pairs["server"].public),
        *("--key", "listener"),
    )
    assert (done.returncode, done.stderr) == (4, "lies: no daemon answers at tcp://127.0.0.1:1\n")


def test_log_has_no_secret(remote: Remote) -> None:
    """After all that, the daemon's log at its most talkative names the unlisted key and no secret."""
    remote.lies("links", key="stranger")
    wait_until(lambda: remote.pairs["stranger"].public in text_of(remote.daemon.log), 10)
    log = text_of(remote.daemon.log)
    assert not any(pair.secret in log for pair in remote.pairs.values())
