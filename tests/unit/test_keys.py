"""Key files: who may read them, what is in them, and that a secret stays there."""

import os
import stat
from pathlib import Path
from traceback import format_exception

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lies.cli._app import app
from lies.errors import ConfigError, LiesError, NotPermitted
from lies.keys import KeyPair, is_public_key, key_file, key_names, load_key, new_key
from lies.paths import keys_dir


def lies(directory: Path, *words: str) -> Result:
    """Run `lies keys` on a directory."""
    return CliRunner(env={"LIES_KEYS_DIR": str(directory)}).invoke(app, ["keys", *words])


def test_new_key_is_a_pair_in_a_closed_file(tmp_path: Path) -> None:
    """A new pair is CURVE's, its file 0600 in a directory 0700 whatever the umask, and it reads back."""
    before = os.umask(0o277)
    try:
        made = new_key(tmp_path / "keys", "car")
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "car.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert zmq.curve_public(made.secret.encode()) == made.public.encode()
    assert load_key(tmp_path / "keys", "car") == made
    assert is_public_key(made.public)
    assert made.secret not in repr(made)
    assert new_key(tmp_path / "keys", "bus").public != made.public
    assert key_names(tmp_path / "keys") == ("bus", "car")
    assert key_names(tmp_path / "none") == ()


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """A second pair of one name is refused, and the first stays."""
    made = new_key(tmp_path, "car")
    with pytest.raises(ConfigError, match="not replaced"):
        new_key(tmp_path, "car")
    assert load_key(tmp_path, "car") == made


@pytest.mark.parametrize("name", ["", "../car", "a/b", ".hidden", "-rf", "a" * 65, "a b", "ä", "a\n"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    """A name cannot lead out of the directory, or be taken for an option."""
    for use in (new_key, load_key, key_file):
        with pytest.raises(ConfigError, match="name of a key"):
            use(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A file that is open to others, a link, a directory or not there is refused in one sentence."""
    with pytest.raises(ConfigError, match=r"no key 'car' in .*; make it with `lies keys new car`"):
        load_key(tmp_path, "car")
    new_key(tmp_path, "car")
    path = tmp_path / "car.key"
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="open to others: `chmod 600"):
            load_key(tmp_path, "car")
    path.chmod(0o600)
    (tmp_path / "link.key").symlink_to(path)
    (tmp_path / "folder.key").mkdir()
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    for name in ("link", "folder", "pipe"):
        with pytest.raises(LiesError, match=name):
            load_key(tmp_path, name)


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A directory of keys that is a file is one sentence, for making, reading and listing."""
    (tmp_path / "keys").write_text("")
    for use in (new_key, load_key):
        with pytest.raises(ConfigError, match="Not a directory"):
            use(tmp_path / "keys" / "x", "car")
    with pytest.raises(ConfigError, match="Not a directory"):
        key_names(tmp_path / "keys")


def test_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair that another user has put there is not ours to use: he knows the secret."""
    new_key(tmp_path, "car")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 4711)
    if owner != 0:
        with pytest.raises(NotPermitted, match=f"belongs to uid {owner}"):
            load_key(tmp_path, "car")
    else:
        os.chown(tmp_path / "car.key", 4712, -1)
        with pytest.raises(NotPermitted, match="belongs to uid 4712"):
            load_key(tmp_path, "car")


@given(damage=st.binary(max_size=300), at=st.integers(0, 200), cut=st.integers(0, 200))
def test_damaged_files_tell_nothing(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes, at: int, cut: int
) -> None:
    """Whatever is in a key file, it is a pair or one sentence that repeats nothing of it."""
    directory = tmp_path_factory.mktemp("damaged")
    made = new_key(directory, "car")
    path = directory / "car.key"
    content = path.read_bytes()
    path.write_bytes(content[:at] + damage + content[at + cut :])
    said = ""
    try:
        assert load_key(directory, "car") == made
    except ConfigError as error:
        said = str(error)
        traceback = "".join(format_exception(error))
    if said:
        assert "is damaged" in said
        assert made.secret[:12] not in traceback


@pytest.mark.parametrize(
    "text",
    ["", "x" * 39, "x" * 41, "#" * 40, "x" * 39 + "~", "x" * 39 + "ä", "x" * 39 + '"', "\n" * 40],
)
def test_public_keys_that_are_none(text: str) -> None:
    """Other lengths, other characters and groups beyond 32 bits are no Z85 of 32 octets."""
    assert not is_public_key(text)


def test_commands(tmp_path: Path) -> None:
    """`lies keys new`, `show` and `list` print public keys and nothing of the secret ones."""
    made = lies(tmp_path, "new", "car")
    assert made.exit_code == 0
    pair = load_key(tmp_path, "car")
    assert made.stdout == f"{pair.public}\n"
    assert made.stderr == f"lies: the pair is in {tmp_path / 'car.key'}\n"
    assert lies(tmp_path, "show", "car").stdout == f"{pair.public}\n"
    assert lies(tmp_path, "show", "car", "-j").stdout.startswith('{"type":"key","name":"car","public":"')
    shown = lies(tmp_path, "list")
    assert shown.stdout == f"key  public\ncar  {pair.public}\n"
    again = lies(tmp_path, "new", "car")
    missing = lies(tmp_path, "show", "bus")
    assert (again.exit_code, missing.exit_code) == (2, 2)
    for said in (made, shown, again, missing, lies(tmp_path, "list", "-j")):
        assert pair.secret not in said.output


def test_list_goes_on_after_a_damaged_file(tmp_path: Path) -> None:
    """`lies keys list` shows what can be used, says what cannot, and ends with 1."""
    new_key(tmp_path, "a")
    (tmp_path / "b.key").write_text("nothing")
    (tmp_path / "b.key").chmod(0o600)
    shown = lies(tmp_path, "list")
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[1].startswith("a ")
    assert "b.key is damaged" in shown.stderr


def test_where_keys_lie(tmp_path: Path) -> None:
    """--dir wins over the variable, the variable over the user's default."""
    assert lies(tmp_path / "a", "new", "car", "--dir", str(tmp_path / "b")).exit_code == 0
    assert key_names(tmp_path / "b") == ("car",)
    assert keys_dir({"LIES_KEYS_DIR": "/k"}, 0) == Path("/k")
    assert keys_dir({}, 0) == Path("/etc/lies/keys")
    assert keys_dir({"HOME": "/h"}, 1000) == Path("/h/.config/lies/keys")


def test_pairs_compare_by_all_they_are() -> None:
    """Two pairs are equal only with the same secret."""
    assert KeyPair("a", "p", "s") != KeyPair("a", "p", "t")
