"""Handover keys on disk: who may read them, what is in them, and that they stay there."""

import os
import stat
from pathlib import Path
from traceback import format_exception

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lies.cli._app import app
from lies.errors import ConfigError, LiesError
from lies.keys import new_key
from lies.shared_keys import (
    SharedKey,
    load_shared_key,
    new_shared_key,
    shared_key_file,
    shared_key_names,
)


def lies(directory: Path, *words: str) -> Result:
    """Run `lies keys` on a directory."""
    return CliRunner(env={"LIES_KEYS_DIR": str(directory)}).invoke(app, ["keys", *words])


def test_a_new_key_is_in_a_closed_file(tmp_path: Path) -> None:
    """32 octets of its own, in a file of mode 0600 in a directory of 0700, whatever the umask."""
    before = os.umask(0o277)
    try:
        made = new_shared_key(tmp_path / "keys", "car")
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "car.handover"
    assert path == shared_key_file(tmp_path / "keys", "car")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert len(made.secret) == 32
    assert load_shared_key(tmp_path / "keys", "car") == made
    assert new_shared_key(tmp_path / "keys", "bus").secret != made.secret
    assert shared_key_names(tmp_path / "keys") == ("bus", "car")


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """A second one of that name is refused; a CURVE pair of that name is another thing."""
    made = new_shared_key(tmp_path, "car")
    new_key(tmp_path, "car")
    with pytest.raises(ConfigError, match="not replaced"):
        new_shared_key(tmp_path, "car")
    assert load_shared_key(tmp_path, "car") == made


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever can read the key can move the node's packets: it is not used."""
    new_shared_key(tmp_path, "car")
    (tmp_path / "car.handover").chmod(mode)
    with pytest.raises(ConfigError, match="open to others: `chmod 600"):
        load_shared_key(tmp_path, "car")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """None, a link and a directory are refused in one sentence; names cannot lead out of the directory."""
    with pytest.raises(ConfigError, match=r"no handover key 'car' in .*`lies keys handover car`"):
        load_shared_key(tmp_path, "car")
    new_shared_key(tmp_path, "car")
    (tmp_path / "link.handover").symlink_to(tmp_path / "car.handover")
    (tmp_path / "folder.handover").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(LiesError, match=name):
            load_shared_key(tmp_path, name)
    for name in ("../car", "a/b", ".hidden", ""):
        with pytest.raises(ConfigError, match="name of a key"):
            new_shared_key(tmp_path, name)


@pytest.mark.parametrize("octets", [0, 15, 65, 4000])
def test_keys_of_other_lengths(tmp_path: Path, octets: int) -> None:
    """A key from elsewhere may have 16 to 64 octets, and no others."""
    path = tmp_path / "car.handover"
    path.write_text(f'key = "{"ab" * octets}"\n')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is damaged"):
        load_shared_key(tmp_path, "car")
    path.write_text(f'key = "{"ab" * 16}"\n')
    assert load_shared_key(tmp_path, "car").secret == b"\xab" * 16


@given(damage=st.binary(max_size=200), at=st.integers(0, 170), cut=st.integers(0, 170))
def test_damaged_files_tell_nothing(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes, at: int, cut: int
) -> None:
    """Whatever is in a file, it is a key or one sentence that repeats nothing of it."""
    directory = tmp_path_factory.mktemp("damaged")
    made = new_shared_key(directory, "car")
    path = directory / "car.handover"
    content = path.read_bytes()
    path.write_bytes(content[:at] + damage + content[at + cut :])
    said = traceback = ""
    try:
        load_shared_key(directory, "car")
    except ConfigError as error:
        said, traceback = str(error), "".join(format_exception(error))
    if said:
        assert "is damaged" in said
        assert made.secret.hex()[:12] not in traceback


def test_a_key_is_in_no_repr() -> None:
    """What a log could show of a key is its name; equal keys have equal fingerprints, and only those."""
    one, same, other = SharedKey("a", b"k" * 32), SharedKey("b", b"k" * 32), SharedKey("a", b"l" * 32)
    assert "kkkk" not in repr(one)
    assert repr(one) == "SharedKey(name='a')"
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 16


def test_commands(tmp_path: Path) -> None:
    """`lies keys handover` and `list` print names and fingerprints, and nothing of the keys."""
    made = lies(tmp_path, "handover", "car")
    assert made.exit_code == 0
    key = load_shared_key(tmp_path, "car")
    assert made.stdout == f"{key.fingerprint}\n"
    assert str(tmp_path / "car.handover") in made.stderr
    assert lies(tmp_path, "list").stdout == f"handover key  fingerprint\ncar           {key.fingerprint}\n"
    as_json = lies(tmp_path, "handover", "bus", "-j")
    assert as_json.stdout.startswith('{"type":"handover_key","name":"bus","fingerprint":"')
    listed = lies(tmp_path, "list", "-j")
    assert [line.split('"')[7] for line in listed.stdout.splitlines()] == ["bus", "car"]
    pair = new_key(tmp_path, "net")
    both = lies(tmp_path, "list")
    assert pair.public in both.stdout
    assert key.fingerprint in both.stdout
    again = lies(tmp_path, "handover", "car")
    assert again.exit_code == 2
    for said in (made, as_json, listed, both, again):
        assert key.secret.hex()[:16] not in said.output


def test_list_goes_on_after_a_damaged_file(tmp_path: Path) -> None:
    """`lies keys list` shows what can be used, says what cannot, and ends with 1."""
    new_shared_key(tmp_path, "a")
    new_shared_key(tmp_path, "b")
    (tmp_path / "b.handover").chmod(0o644)
    shown = lies(tmp_path, "list")
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[1].startswith("a ")
    assert "b.handover is open to others" in shown.stderr
