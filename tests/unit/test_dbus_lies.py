"""What is no D-Bus, or values of other types than promised, harms nobody."""

import asyncio
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lies.dbus import DBusConnection, values
from lies.dbus._wire import open_wire
from lies.errors import NoDBus

_WELCOME = b"OK 0123456789abcdef0123456789abcdef\r\n"
_GREETINGS = [b"", b"O", b"x" * 5000, b"REJECTED EXTERNAL\r\n", b"\xff\xfe\r\n", _WELCOME]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda held: st.lists(held) | st.dictionaries(st.text() | st.integers(), held),
    max_leaves=10,
)


async def _attempt(folder: Path, said: bytes, *, limit_s: float) -> str:
    """What connecting to a server that says these octets to everybody and hangs up ends in."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()
        del reader

    server = await asyncio.start_unix_server(serve, folder / "bus")
    try:
        wire = await open_wire(f"unix:path={folder / 'bus'}", lambda _: None, lambda _: None, limit_s)
    except NoDBus as error:
        return str(error)
    else:
        wire.end()
        return ""
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "said", [b"", b"O", b"x" * 5000, b"REJECTED EXTERNAL\r\n", b"\xff\xfe\r\n", _WELCOME]
)
def test_hang_up_in_the_greeting(said: bytes, tmp_path: Path) -> None:
    """A server that hangs up while we say who we are ends the attempt with a sentence; no loop spins."""
    assert "D-Bus" in asyncio.run(_attempt(tmp_path, said, limit_s=30.0))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_after_the_greeting(garbage: bytes) -> None:
    """Whatever follows the greeting, the attempt ends with a sentence or a closed connection."""
    with TemporaryDirectory() as folder:
        asyncio.run(_attempt(Path(folder), _WELCOME + garbage, limit_s=0.05))


@pytest.mark.parametrize("address", ["", "tcp:host=localhost", "unix:", "unix:tmpdir=/tmp", "garbage"])
def test_address_that_is_none(address: str) -> None:
    """An address that is not a Unix socket's is said to be none."""

    async def main() -> None:
        dbus = DBusConnection({}, on_owner=lambda *_: None, on_signal=lambda _: None, address=address or "x")
        assert not await dbus.start()
        with pytest.raises(NoDBus, match="is no address of a bus"):
            await dbus.call("org.example", "/", "org.example.I", "M")
        await dbus.stop()

    asyncio.run(main())


@given(anything)
def test_readers_take_anything(value: object) -> None:
    """A reader gives its type or nothing, whatever it is given."""
    assert values.text(value) is None or isinstance(value, str)
    assert values.integer(value) is None or type(value) is int
    number = values.real(value)
    assert number is None or math.isfinite(number)
    assert values.flag(value) is None or isinstance(value, bool)
    assert values.octets(value) is None or isinstance(value, bytes)
    assert isinstance(values.entries(value), list)
    assert all(isinstance(key, str) for key in values.table(value))
    found = values.path(value)
    assert found is None or found.startswith("/")


@pytest.mark.parametrize(
    ("value", "path"),
    [("/a/b_1", "/a/b_1"), ("/", None), ("", None), ("a", None), ("/a/", None), ("/a b", None), (7, None)],
)
def test_paths(value: object, path: str | None) -> None:
    """The path of an object is one by D-Bus's own rules; "/" stands for none."""
    assert values.path(value) == path


def test_real_that_does_not_fit() -> None:
    """A number beyond every float, or none at all, is no finite number."""
    assert values.real(10**400) is None
    assert values.real(math.nan) is None
    assert values.real(7) == 7.0
