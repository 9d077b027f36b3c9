"""The command line beside a running daemon, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon_kit import LIES, Daemon, daemon, playing_daemon, walk
from fake_plugins import install
from polling import wait_until


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk five times as fast, for ever."""
    with playing_daemon(tmp_path_factory) as one:
        yield one


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with one fake driver, whose link fake0 can be controlled."""
    directory = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        install(directory / "site", patch)
        with daemon(directory, "[drivers.fake]\n") as one:
            one.wait_up()
            yield one


@pytest.fixture
def idle(shared: Daemon) -> Daemon:
    """The same with fake0 at ap1, whatever tests did before."""
    assert shared.lies("connect", "fake0", "ap1").exit_code == 0
    wait_until(lambda: shared.links()[0]["poa"] == "ap1", 10)
    return shared


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon with a fake driver for one test alone, which may end it."""
    install(tmp_path / "site", monkeypatch)
    with daemon(tmp_path, "[drivers.fake]\n") as one:
        one.wait_up()
        yield one


def test_trace_in_json_ends_after_n(playing: Daemon) -> None:
    """`lies trace -j -n 4` prints four objects with type, link and times, in order, and ends with 0."""
    done = playing.lies("trace", "-j", "-n", "4", "-W", "30")
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == 4
    assert {e["link"] for e in events} == {"wlan0"}
    assert all(e["type"] and e["publisher"] == "tape" for e in events)
    assert [e["sequence"] for e in events] == sorted(e["sequence"] for e in events)


def test_trace_of_one_kind_as_text(playing: Daemon) -> None:
    """`lies trace KIND -t none` prints only that kind, without a time."""
    done = playing.lies("trace", "link_up", "-t", "none", "-n", "1", "-W", "30")
    assert done.exit_code == 0
    assert done.stdout.split() in (["link_up", "wlan0", "poa=ap1"], ["link_up", "wlan0", "poa=ap2"])


def test_trace_of_raw_begins_with_the_state(playing: Daemon) -> None:
    """Raw messages are printed only when asked for, the abstract entity's state first."""
    done = playing.lies("trace", "raw", "-j", "-n", "2", "-W", "30")
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["raw_state", "raw_sample"]


@pytest.mark.parametrize("words", [(), ("-n", "3")])
def test_trace_times_out_with_27(words: tuple[str, ...], idle: Daemon) -> None:
    """Without the events asked for, -W ends with 27."""
    done = idle.lies("trace", "link_down", "-W", "0.1", *words)
    assert done.exit_code == 27
    assert done.stderr.startswith("lies: timed out after 0.1 s and 0 ")


def test_trace_lines_come_at_once_and_interrupt_is_130(idle: Daemon) -> None:
    """Each line is flushed on a pipe; Ctrl-C ends with 130 and without a word."""
    trace = idle.begin("trace", "link_up", "-t", "none")
    with reading_goes_on(idle):
        assert trace.stdout is not None
        assert trace.stdout.readline().startswith("link_up")
    trace.send_signal(signal.SIGINT)
    _, err = trace.communicate(timeout=20)
    assert (trace.returncode, err) == (130, "")


@contextmanager
def reading_goes_on(one: Daemon) -> Iterator[None]:
    """The link fake0 moves all the time."""
    script = (
        "import asyncio, sys\n"
        "from lies.bus.client import Client\n"
        "async def main():\n"
        "    async with await Client.connect(sys.argv[1], name='mover') as client:\n"
        "        while True:\n"
        "            for poa in ('ap2', 'ap1'):\n"
        "                await client.link_connect('fake0', poa)\n"
        "                await asyncio.sleep(0.05)\n"
        "asyncio.run(main())\n"
    )
    mover = subprocess.Popen([sys.executable, "-c", script, str(one.run_dir)])
    try:
        yield
    finally:
        mover.kill()
        mover.wait()


def test_trace_ends_when_its_reader_leaves(idle: Daemon) -> None:
    """A closed pipe ends `lies trace` quietly, also while nothing happens."""
    trace = idle.begin("trace", "link_up")
    assert trace.stdout is not None
    trace.stdout.close()
    assert trace.wait(20) == 0
    assert trace.stderr is not None
    assert trace.stderr.read() == ""
    trace.stderr.close()


LEVELS = ["quality", "Mbit/s", "PoAs"]


def test_links_and_poas(idle: Daemon) -> None:
    """A table on a pipe is plain aligned text; JSON has one object a line."""
    heads, row = idle.lies("links").stdout.splitlines()
    assert heads.split() == ["link", "technology", "state", "PoA", "network", *LEVELS, "driver"]
    assert row.split()[:4] == ["fake0", "wifi", "up", "ap1"]
    assert heads.index("PoA ") == row.index("ap1")
    status = idle.links()[0]
    assert (status["type"], status["link"], status["up"], status["poa"]) == (
        "link_status",
        "fake0",
        True,
        "ap1",
    )
    poas = json.loads(idle.lies("poas", "fake0", "-j").stdout)
    assert (poas["type"], [p["poa"] for p in poas["poas"]]) == ("poa_list", ["ap1"])
    assert idle.lies("poas", "fake0").stdout.splitlines()[1].split()[:2] == ["*", "ap1"]


def test_watched_links(idle: Daemon) -> None:
    """`lies links --watch -j` prints a link again when it has changed."""
    watch = idle.begin("links", "--watch", "-j")
    assert watch.stdout is not None
    assert json.loads(watch.stdout.readline())["poa"] == "ap1"
    assert idle.lies("connect", "fake0", "ap7").exit_code == 0
    assert json.loads(watch.stdout.readline())["poa"] == "ap7"
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=20)
    assert watch.returncode == 130


def test_connect_moves_the_link(idle: Daemon) -> None:
    """`lies connect` ends with 0 at the Confirm, and the link moves."""
    assert idle.lies("connect", "fake0", "ap9").exit_code == 0
    wait_until(lambda: idle.links()[0]["poa"] == "ap9", 10)
    assert idle.lies("disconnect", "fake0").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [("poas", "wlan9"), ("connect", "wlan9", "ap1"), ("disconnect", "wlan9"), ("trace", "--link", "wlan9")],
)
def test_unknown_link_is_a_usage_error(words: tuple[str, ...], idle: Daemon) -> None:
    """A link that nobody announced ends with 2 and names those that are."""
    done = idle.lies(*words)
    assert done.exit_code == 2
    assert "'wlan9'" in done.stderr
    assert "fake0" in done.stderr


def test_uncontrollable_link_is_refused(playing: Daemon) -> None:
    """A recorded link cannot be moved: one sentence and 2."""
    done = playing.lies("connect", "wlan0", "ap1")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_daemon_stops_clean(number: signal.Signals, code: int, own: Daemon) -> None:
    """SIGTERM ends the daemon with 0, Ctrl-C with 130; the runtime directory is gone."""
    assert own.stop(number) == code
    assert not own.run_dir.exists()


def test_second_daemon_ends_with_1(idle: Daemon) -> None:
    """An occupied endpoint: one sentence and 1."""
    second = idle.begin("run", "-c", str(idle.file))
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert err.startswith("lies: another daemon")


@pytest.mark.parametrize(
    ("config", "code"), [("[daemon\n", 2), ("[drivers.x]\n", 2), ("[drivers.fake]\nfail_wen = 1\n", 2)]
)
def test_bad_configuration(config: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lies run` with a bad configuration ends with one sentence and leaves nothing."""
    install(tmp_path / "site", monkeypatch)
    with daemon(tmp_path, config) as one:
        assert one.process.wait(20) == code
        assert one.log.read_text().count("\n") == 1
        assert not one.run_dir.exists()


def test_children_die_with_a_killed_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL of the daemon ends its isolated drivers; the next daemon takes the directory over."""
    install(tmp_path / "site", monkeypatch)
    pid_file = tmp_path / "pid"
    config = f'[drivers.fake]\nisolate = true\npid_file = "{pid_file}"\n'
    with daemon(tmp_path, config) as one:
        one.wait_up()
        child = int(pid_file.read_text())
        one.process.kill()
        one.process.wait()
        wait_until(lambda: not alive(child), 10)
    with daemon(tmp_path, config) as two:
        two.wait_up()
        assert two.stop() == 0


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_table_on_a_terminal(idle: Daemon) -> None:
    """On a terminal the links are a drawn table, without colours where NO_COLOR asks so."""
    parent, child = os.openpty()
    subprocess.run(
        [*LIES, "links"], stdout=child, env={**idle.env, "TERM": "xterm", "COLUMNS": "120"}, check=True
    )
    os.close(child)
    shown = os.read(parent, 65536).decode()
    os.close(parent)
    assert "fake0" in shown
    assert "─" in shown
    assert not re.search(r"\x1b\[3\d", shown)


def test_watched_links_outlive_their_daemon(tmp_path: Path) -> None:
    """`lies links --watch` goes on with the next daemon; stderr says that one went and one came."""
    walk(tmp_path / "walk.csv")
    tape = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nloop = 0\n'
    with daemon(tmp_path, tape) as one:
        one.wait_up()
        watch = one.begin("links", "--watch", "-j")
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert json.loads(watch.stdout.readline())["link"] == "wlan0"
        one.process.kill()
        one.process.wait()
        with daemon(tmp_path, tape.replace("wlan0", "wlan1")):
            while json.loads(watch.stdout.readline())["link"] != "wlan1":
                pass
            assert " went away " in watch.stderr.readline()
            assert watch.stderr.readline().endswith(" is back\n")
            watch.send_signal(signal.SIGINT)
            _, err = watch.communicate(timeout=20)
    assert err == ""
    assert watch.returncode == 130


def test_connect_to_what_is_not_heard_is_noted(idle: Daemon) -> None:
    """A PoA that the link does not hear is asked for all the same, with a sentence on stderr."""
    done = idle.lies("connect", "fake0", "ap77")
    assert done.exit_code == 0
    assert "fake0 did not hear 'ap77'" in done.stderr
    wait_until(lambda: idle.links()[0]["poa"] == "ap77", 10)
    assert idle.lies("connect", "fake0", "ap77").stderr == ""
