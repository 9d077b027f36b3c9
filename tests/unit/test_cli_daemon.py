"""The command line beside a running daemon, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import install
from polling import wait_until
from typer.testing import CliRunner, Result

from lies.cli._app import app

HEAD = "t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm\n"
LIES = [sys.executable, "-m", "lies"]


def walk(path: Path, seconds: int = 60) -> Path:
    """A trace of a walk from ap1 to ap2 and back: levels rise and fall, ten samples a second."""
    rows = []
    for tick in range(seconds * 10):
        t_s = tick / 10
        leg, within = divmod(t_s, 15.0)
        rssi = -45 - 3.0 * within if within > 2 else -60 + 7.5 * within
        rows.append(f"{t_s},wifi,,ap{1 + int(leg) % 2},{rssi:.1f},,,,,,\n")
    path.write_text(HEAD + "".join(rows))
    return path


class Daemon:
    """`lies run` as a process, and commands that speak to it."""

    def __init__(self, directory: Path, config: str) -> None:
        self.run_dir = directory / "run"
        self.file = directory / "lies.toml"
        self.file.write_text(config)
        self.log = directory / "log"
        self.env = {**os.environ, "LIES_RUNTIME_DIR": str(self.run_dir), "NO_COLOR": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*LIES, "run", "-c", str(self.file)], stderr=log, env=self.env)

    def lies(self, *words: str) -> Result:
        """Run a command to its end, in this process."""
        return CliRunner(env={"LIES_RUNTIME_DIR": str(self.run_dir)}).invoke(app, words)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a command."""
        return subprocess.Popen(
            [*LIES, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env
        )

    def links(self) -> list[dict[str, Any]]:
        """What `lies links -j` says; nothing while the daemon begins or after it has ended."""
        return [json.loads(line) for line in self.lies("links", "-j").stdout.splitlines()]

    def wait_up(self) -> None:
        """Wait until a link is up."""
        wait_until(lambda: any(s["up"] for s in self.links()), 20)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def daemon(directory: Path, config: str) -> Iterator[Daemon]:
    """A running daemon."""
    directory.mkdir(exist_ok=True)
    one = Daemon(directory, config)
    try:
        wait_until(lambda: (one.run_dir / "publish").exists() or one.process.poll() is not None, 20)
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that plays a walk five times as fast, for ever."""
    directory = tmp_path_factory.mktemp("playing")
    walk(directory / "walk.csv")
    config = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nrate = 5.0\nloop = 0\n'
    with daemon(directory, config) as one:
        one.wait_up()
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


def test_links_and_poas(idle: Daemon) -> None:
    """A table on a pipe is plain aligned text; JSON has one object a line."""
    heads, row = idle.lies("links").stdout.splitlines()
    assert heads.split() == ["link", "technology", "state", "PoA", "quality", "Mbit/s", "PoAs", "driver"]
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
    done = idle.lies("run", "-c", str(idle.file))
    assert done.exit_code == 1
    assert done.stderr.startswith("lies: another daemon")


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


def test_record_replay_record(tmp_path: Path) -> None:
    """A replayed recording gives the same primitives, links, parameters and time offsets as were recorded."""
    walk(tmp_path / "walk.csv", 60)
    tape = '[drivers.tape]\ndriver = "replay"\nfile = "walk.csv"\nlink = "wlan0"\nrate = 20.0\nloop = 0\n'
    with daemon(tmp_path / "a", tape.replace("walk.csv", str(tmp_path / "walk.csv"))) as one:
        one.wait_up()
        record(one, tmp_path / "a.ndjson", lambda lines: lines.count('"type":"link_up"') >= 3)
    with daemon(tmp_path / "b", "") as two:
        recording = two.begin("record", "-o", str(tmp_path / "b.ndjson"))
        wait_until(lambda: '"snapshot"' in text_of(tmp_path / "b.ndjson"), 20)
        wait_until(lambda: len(text_of(tmp_path / "b.ndjson").splitlines()) >= 2, 20)
        replay = two.lies("replay", str(tmp_path / "a.ndjson"), "--rate", "50")
        assert replay.exit_code == 0, replay.stderr
        wait_until(lambda: '"driver_lost"' in text_of(tmp_path / "b.ndjson"), 20)
        recording.send_signal(signal.SIGINT)
        recording.communicate(timeout=20)
        assert recording.returncode == 130
    first, second = indications(tmp_path / "a.ndjson"), indications(tmp_path / "b.ndjson")
    assert len(first) > 10
    assert first == second


def record(one: Daemon, file: Path, enough: Callable[[str], bool]) -> None:
    """Record until there is enough, then Ctrl-C."""
    recording = one.begin("record", "-o", str(file))
    wait_until(lambda: enough(text_of(file)), 30)
    recording.send_signal(signal.SIGINT)
    recording.communicate(timeout=20)
    assert recording.returncode == 130


def text_of(file: Path) -> str:
    """The file's text so far."""
    return file.read_text() if file.exists() else ""


def indications(file: Path) -> list[dict[str, Any]]:
    """Indications with their time since the first one; the driver's end and what follows is left out."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["type"] for line in lines[:3]] == ["header", "snapshot", "raw_state"]
    found: list[dict[str, Any]] = []
    begin_ns = 0
    for line in lines:
        if line["type"] in {"header", "snapshot"} or line["type"].startswith("raw_"):
            continue
        if line.get("reason") == "driver_lost":
            break
        begin_ns = begin_ns or line["mono_ns"]
        line["offset_ns"] = line.pop("mono_ns") - begin_ns
        for key in ("publisher", "epoch", "sequence", "wall_ns"):
            del line[key]
        found.append(line)
    return found


def test_full_disk_ends_a_recording(playing: Daemon) -> None:
    """A recording that cannot be written ends with one sentence and 1."""
    link = playing.run_dir.parent / "full.ndjson"
    link.symlink_to("/dev/full")
    done = playing.lies("record", "-o", str(link))
    assert done.exit_code == 1
    assert "No space left" in done.stderr


def test_replay_as_a_driver_of_the_daemon(tmp_path: Path) -> None:
    """`lies replay` brings a link onto the daemon's bus; when it ends the link is lost."""
    walk(tmp_path / "walk.csv", 30)
    with daemon(tmp_path, "") as one:
        trace = one.begin("trace", "link_up", "link_down", "-j", "-n", "4", "-W", "30")
        replay = one.begin(
            "replay",
            str(tmp_path / "walk.csv"),
            "--rate",
            "30",
            "--link",
            "tape0",
            "--map",
            "ap1=x",
            "--start",
            "5",
        )
        out, _ = trace.communicate(timeout=40)
        assert replay.wait(20) == 0
        events = [json.loads(line) for line in out.splitlines()]
        assert [(e["type"], e["poa"]) for e in events][:3] == [
            ("link_up", "x"),
            ("link_down", "x"),
            ("link_up", "ap2"),
        ]
        assert events[-1]["reason"] == "driver_lost"
        assert one.links()[0]["lost"] == "driver_lost"
        replay.communicate()


def test_standalone_replay_prints_the_events(tmp_path: Path) -> None:
    """Without a daemon --standalone prints what the file gives; the same each time but for the clock."""
    file = str(walk(tmp_path / "walk.csv", 30))
    env = {**os.environ, "LIES_RUNTIME_DIR": str(tmp_path / "none")}
    runs = [
        subprocess.run(
            [*LIES, "replay", file, "--standalone", "--asap", "-j"],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        ).stdout
        for _ in range(2)
    ]
    first, second = ([json.loads(line)["type"] for line in run.splitlines()] for run in runs)
    assert first == second
    assert first.count("link_up") == 2
    assert "link_going_down" in first
    assert not (tmp_path / "none").exists()
