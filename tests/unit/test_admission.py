"""Whom a configuration lets in, and the sentence of everything that is wrong with it."""

import os
import pwd
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lies.admission import admission
from lies.bus import ALL_RIGHTS, Right
from lies.cli._app import app
from lies.config import load
from lies.errors import ConfigError, NotPermitted
from lies.keys import KeyPair, new_key


@pytest.fixture
def server(tmp_path: Path) -> KeyPair:
    """The daemon's pair, in the directory `keys`."""
    return new_key(tmp_path / "keys", "server")


def written(directory: Path, text: str) -> Path:
    """A configuration file."""
    file = directory / "lies.toml"
    file.write_text(text)
    return file


def tcp(more: str = "", *, public: str, rights: str = '["listen"]') -> str:
    """A table of TCP endpoints with one key."""
    return (
        '[daemon.tcp]\nbus = "tcp://127.0.0.1:5184"\nkey = "server"\nkeys_dir = "keys"\n'
        f'{more}\n[daemon.tcp.keys.car]\npublic = "{public}"\nrights = {rights}\n'
    )


def test_what_is_said_of_tcp(tmp_path: Path, server: KeyPair) -> None:
    """Endpoints, the daemon's pair and rights by key come out of the file; paths are relative to it."""
    car = new_key(tmp_path / "client", "car")
    text = tcp('publish = "tcp://[::1]:5185"', public=car.public, rights='["listen", "publish"]')
    admitted = admission(load(written(tmp_path, text)))
    assert admitted.tcp is not None
    assert admitted.tcp.key == server
    assert (admitted.tcp.bus, admitted.tcp.publish) == ("tcp://127.0.0.1:5184", "tcp://[::1]:5185")
    assert admitted.rights.lists(car.public)
    assert admitted.rights.of(car.public) == {Right.LISTEN, Right.PUBLISH}
    assert not admitted.rights.lists(server.public)
    assert admitted.rights.of(server.public) == set()
    assert (admitted.uid, admitted.gid) == (None, None)


def test_without_tcp(tmp_path: Path) -> None:
    """Without the table there is no TCP endpoint, and no key has a right."""
    admitted = admission(load(written(tmp_path, "")))
    assert admitted.tcp is None
    assert admitted.rights.of(os.geteuid()) == ALL_RIGHTS


def test_owner_has_all_rights_unless_listed_with_less(tmp_path: Path) -> None:
    """The owner of the directory could replace its sockets, so he may do all; the list can still say less."""
    me = pwd.getpwuid(os.getuid()).pw_name
    admitted = admission(load(written(tmp_path, '[daemon]\nowner = "4711"\n')))
    assert admitted.uid == 4711
    assert admitted.rights.of(4711) == ALL_RIGHTS
    assert admitted.rights.of(4712) == set()
    text = f'[daemon]\nowner = "{me}"\ngroup = "root"\n[daemon.users]\n{me} = ["listen"]\n'
    admitted = admission(load(written(tmp_path, text)))
    assert (admitted.uid, admitted.gid) == (os.getuid(), 0)
    assert admitted.rights.of(os.getuid()) == {Right.LISTEN}


PUBLIC = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # of the example in ZeroMQ's documentation


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[daemon]\nruntime_dir = "tcp://*:5184"',
            "[daemon]: runtime_dir: is a directory of this machine; tcp",
        ),
        ("[daemon.tcp]", "[daemon.tcp]: names no endpoint: write bus = "),
        ('[daemon.tcp]\nbus = "tcp://*:5184"', "[daemon.tcp]: key: plain tcp is not offered"),
        (
            '[daemon.tcp]\nbus = "udp://1.2.3.4:5"',
            "[daemon.tcp]: bus: 'udp://1.2.3.4:5' is not of the form tcp://",
        ),
        ('[daemon.tcp]\nbus = "tcp://::1:5"', "[daemon.tcp]: bus: 'tcp://::1:5' is not of the form tcp://"),
        (
            '[daemon.tcp]\nbus = "tcp://a:65536"',
            "[daemon.tcp]: bus: 'tcp://a:65536' is not of the form tcp://",
        ),
        (
            '[daemon.tcp]\nbus = "tcp://a:1"\npublish = "a"',
            "[daemon.tcp]: publish: 'a' is not of the form tcp://",
        ),
        (
            '[daemon.tcp]\nbus = "tcp://a:1"\npublish = "tcp://a:1"',
            "[daemon.tcp]: publish: is the address of bus already",
        ),
        ('[daemon.tcp]\nbus = "tcp://a:1"\nkey = "server"', "[daemon.tcp]: keys: lists nobody"),
        (tcp('publish = "tcp://a:2"', public=PUBLIC), "[daemon.tcp]: publish: is there for nobody"),
        (
            tcp(public=PUBLIC).replace('"server"', '"sever"'),
            "[daemon.tcp]: key: there is no key 'sever' in",
        ),
        (tcp(public=PUBLIC, rights='["all"]'), "rights[0]: 'all' is none of listen, act, publish"),
        (tcp(public="a" * 39), "[daemon.tcp.keys.car]: public: is no public key: 40 characters"),
        (
            tcp(public=PUBLIC) + f"[daemon.tcp.keys.bus]\npublic = '{PUBLIC}'\n",
            "[daemon.tcp.keys.bus]: public: is the key of car already",
        ),
        ("[daemon.tcp]\nport = 5184", "[daemon.tcp]: port: unknown key; known are bus, key, keys, keys_dir"),
        (
            '[daemon.tcp]\nbus="tcp://a:1"\n[daemon.tcp.keys.car]\nrights = []',
            "[daemon.tcp.keys.car]: public: is no public key: 40 characters",
        ),
        ('[daemon]\nowner = "no-such-user"', "[daemon]: owner: no user 'no-such-user' on this machine"),
        ('[daemon]\ngroup = "no-such-group"', "[daemon]: group: no group 'no-such-group' on this machine"),
        ("[daemon.users]\nno-such-user = []", "[daemon.users]: no-such-user: no user 'no-such-user'"),
    ],
)
def test_config_check_finds_it(tmp_path: Path, server: KeyPair, text: str, sentence: str) -> None:
    """`lies config check` ends with 2 and the sentence that names file, table and key, and no secret."""
    file = written(tmp_path, text)
    checked = CliRunner().invoke(app, ["config", "check", str(file)])
    assert checked.exit_code == 2, checked.output
    assert checked.stderr.startswith(f"lies: {file}: ")
    assert sentence in checked.stderr
    assert server.secret not in checked.output
    with pytest.raises(ConfigError):
        admission(load(file))


def test_plain_tcp_is_refused_with_the_way_to_do_it(tmp_path: Path) -> None:
    """The sentence says how keys are made and where they are listed."""
    with pytest.raises(ConfigError) as caught:
        admission(load(written(tmp_path, '[daemon.tcp]\nbus = "tcp://*:5184"')))
    for word in ("`lies keys new NAME`", 'key = "NAME"', "[daemon.tcp.keys.PEER]", "public", "rights"):
        assert word in str(caught.value)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, server: KeyPair) -> None:
    """Who pastes something else for the public key does not find it in the error."""
    with pytest.raises(ConfigError) as caught:
        admission(load(written(tmp_path, tcp(public=server.secret + "x"))))
    assert server.secret not in str(caught.value)


def test_config_check_accepts_and_counts(tmp_path: Path, server: KeyPair) -> None:
    """A good file is good, and says how many keys are let in."""
    file = written(tmp_path, tcp(public=PUBLIC))
    checked = CliRunner().invoke(app, ["config", "check", str(file)])
    assert (checked.exit_code, checked.stdout) == (
        0,
        f"{file}: good; 0 driver(s), 0 consumer(s), 1 key(s) on tcp\n",
    )
    (tmp_path / "keys" / "server.key").chmod(0o644)
    checked = CliRunner().invoke(app, ["config", "check", str(file)])
    assert checked.exit_code == 2
    assert "[daemon.tcp]: key: the key file" in checked.stderr
    assert server.secret not in checked.output


def test_key_that_may_not_be_read(tmp_path: Path, server: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of another user is NotPermitted, exit code 5."""
    assert server.name == "server"
    owner = os.geteuid()
    if owner == 0:
        os.chown(tmp_path / "keys" / "server.key", 4712, -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 4711)
    with pytest.raises(NotPermitted):
        admission(load(written(tmp_path, tcp(public=PUBLIC))))
