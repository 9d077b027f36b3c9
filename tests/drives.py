"""Drives for the tests: a small testbed, what to look at in it, captures by somebody else's program."""

import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from tools import need

from lies.events import Indication, Raw
from lies.kernel.netns import enter
from lies.runtime import now_s
from lies.testbed.drive import Drive
from lies.testbed.plan import DriveOptions, make_plan
from lies.testbed.result import DriveResult

DATA_FILTER = "udp port 5001"


class Onlooker:
    """A watcher that keeps what it is told; when(event) may act on it."""

    def __init__(self, when: Callable[[Indication | Raw], None] | None = None) -> None:
        self.stages: list[str] = []
        self.events: list[Indication | Raw] = []
        self._when = when

    def on_stage(self, text: str) -> None:
        """Keep the stage."""
        self.stages.append(text)

    def on_event(self, event: Indication | Raw) -> None:
        """Keep the event."""
        self.events.append(event)
        if self._when is not None:
            self._when(event)

    def on_traffic(self, elapsed_s: float, sent: int, received: int) -> None:
        """Not kept."""


def drive(
    *,
    on_built: Callable[[Drive], None] | None = None,
    on_settled: Callable[[Drive], None] | None = None,
    onlooker: Onlooker | None = None,
    **options: object,
) -> DriveResult:
    """Make a drive of three routers at 100 km/h unless told otherwise."""
    wanted = {"routers": 3, "speed_kmh": 100.0, **options}
    plan = make_plan(DriveOptions(**wanted))  # type: ignore[arg-type]  # names and types are the caller's
    return Drive(plan, onlooker or Onlooker(), on_built=on_built, on_settled=on_settled).run()


def inside(drive_: Drive, namespace: str, *words: str) -> str:
    """What a command prints in a namespace of the testbed."""
    descriptor = drive_.descriptor(namespace)
    # preexec_fn is safe here: the tests have one thread
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: enter(descriptor),
    )
    return done.stdout


def state_of(drive_: Drive, namespace: str) -> dict[str, list[str]]:
    """Routes, rules, proxy entries and labels of a namespace, without the testbed's own fixed ones."""
    tables = {
        "tunnels": ("ip", "-6", "route", "show", "table", "all"),
        "rules": ("ip", "-6", "rule"),
        "proxies": ("ip", "-6", "neigh", "show", "proxy"),
    }
    state = {name: inside(drive_, namespace, *words).splitlines() for name, words in tables.items()}
    state["tunnels"] = [line for line in state["tunnels"] if "encap seg6 " in line]
    return state


class Capture:
    """dumpcap on one interface of a namespace, from `start` to `stop`."""

    def __init__(self, namespace: str, interface: str, path: Path, *, snap: int = 400) -> None:
        self.path = path
        self._namespace = namespace
        self._command = [need("dumpcap"), "-q", "-P", "-i", interface, "-s", str(snap), "-w", str(path)]
        self._process: subprocess.Popen[str] | None = None

    def start(self, drive_: Drive) -> None:
        """Begin; returns once dumpcap has opened its file."""
        descriptor = drive_.descriptor(self._namespace)
        self._process = subprocess.Popen(
            self._command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: enter(descriptor),  # noqa: PLW1509 - the tests have one thread
        )
        assert self._process.stderr is not None
        said: list[str] = []
        for line in self._process.stderr:
            said.append(line)
            if line.startswith("File:"):
                return
        raise AssertionError(f"dumpcap said: {''.join(said)}")

    def stop(self) -> None:
        """End and wait for the file to be whole."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.communicate(timeout=20)
            self._process = None


def until(condition: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Poll until the condition holds."""
    deadline = now_s() + within_s
    waiter = threading.Event()
    while not condition():
        assert now_s() < deadline, f"not within {within_s:g} s: {what}"
        waiter.wait(0.02)
