"""How long a connection's end or beginning takes from ModemManager's D-Bus signal to an indication.

A ModemManager of ours, in a process of its own, connects and disconnects a modem. The time runs from just
before it hands the signal to the bus until (a) a process with a bare dbus-next listener, which decodes every
signal and nothing else, has it; (b) a process with the cellular driver and its abstract entity has the
indication. (a) and (b) take turns on the same bus.

    cd tests; ../.venv/bin/python -m modem.latency [CHANGES]
"""

import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen
from fake_modems import FakeModems, serve
from tools import die_with_parent

from lies.dbus import Variant
from lies.runtime import monotonic_ns
from lies_cellular import uapi as u
from modem.driven import driving
from modem.listener import Listener
from modem.processes import PATIENCE_S, Bus, seeing_tests

ROUNDS = 4
PAUSE_S = 0.01  # between two changes: what is measured is one alone
_ENDS = {"link_up", "link_down"}


@frozen
class Latency:
    """Of each change, us."""

    bare_us: list[float]
    lies_us: list[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.lies_us) / statistics.median(self.bare_us)

    def __str__(self) -> str:
        sides = (("bare dbus-next listener", self.bare_us), ("indication of LIES", self.lies_us))
        lines = [
            f"{name:<24} median {statistics.median(us):6.0f} us   "
            f"90 % {statistics.quantiles(us, n=10)[-1]:6.0f} us   of {len(us)}"
            for name, us in sides
        ]
        return "\n".join([*lines, f"{'ratio of the medians':<24} {self.ratio:6.2f}"])


def measure(changes: int, rounds: int = ROUNDS) -> Latency:
    """Both sides, each for about so many changes, in so many turns."""
    found = Latency([], [])
    each = max(2, changes // rounds // 2 * 2)  # an even number leaves the modem connected
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="lies-modem-")))
        bus = Bus(directory, os.environ)
        stack.callback(bus.kill)
        bus.start()
        modems = stack.enter_context(_role("modems", bus.address))
        assert _line(modems) == "ready"
        for _ in range(rounds):
            listener = Listener(directory, {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
            try:
                begun = _change(modems, each)
                listener.wait("Bearer.Connected", bool, after=begun[-1])
                ended = [h.t_ns for h in listener.heard if h.what == "Bearer.Connected"]
            finally:
                listener.stop()
            found.bare_us.extend(_us(begun, ended))
            with _role("driver", bus.address) as driver:
                assert _line(driver) == "ready"
                begun = _change(modems, each)
                ended = list(map(int, _say(driver, str(each)).split()))
            found.lies_us.extend(_us(begun, ended))
    return found


def _us(begun: list[int], ended: list[int]) -> list[float]:
    assert len(begun) == len(ended), (len(begun), len(ended))
    return [(end - begin) / 1e3 for begin, end in zip(begun, ended, strict=True)]


def _change(modems: "subprocess.Popen[str]", times: int) -> list[int]:
    return list(map(int, _say(modems, str(times)).split()))


def _say(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return _line(process)


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextmanager
def _role(name: str, address: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "modem.latency", name, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=seeing_tests(os.environ),
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _print(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def play_modems(address: str) -> None:
    """A connected modem; for each number that is read, so many changes, whose times are printed."""
    service, modems = serve(address)
    async with service:
        path = modems.plug()
        modems.enable(path)
        bearer = modems.connect(path)
        _print("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            _print(*[await _toggle(modems, bearer) for _ in range(int(line))])


async def _toggle(modems: FakeModems, bearer: str) -> int:
    await asyncio.sleep(PAUSE_S)
    up = not modems.bearers[bearer]["Connected"].value
    t_ns = monotonic_ns()
    modems.tell(bearer, u.BEARER, Connected=Variant("b", up))
    return t_ns


def play_driver(address: str) -> None:
    """The driver; the number that is read is awaited, and the times of so many indications are printed."""
    with driving(address) as lies:
        lies.wait("link_up")
        begun_ns = lies.wait_ns("link_status_changed") + 1
        _print("ready")
        count = int(sys.stdin.readline())

        def ends() -> list[int]:
            return [t_ns for t_ns, one in lies.timed(begun_ns) if one[0] in _ENDS]

        lies.until(lambda: len(ends()) >= count, f"fewer than {count} indications within {PATIENCE_S} s")
        _print(*ends())


def main() -> None:
    """Measure, or be one of the processes."""
    match sys.argv[1:]:
        case ["modems", address]:
            asyncio.run(play_modems(address))
        case ["driver", address]:
            play_driver(address)
        case [changes]:
            _print(measure(int(changes)))
        case _:
            _print(measure(400))


if __name__ == "__main__":
    main()
