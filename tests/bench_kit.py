"""A bench that is slow on purpose, and one that is over soon."""

import threading

from lies.bench import Plan
from lies.bench._driver import BenchDriver, Wires
from lies.driver import DriverHost, LinkPort
from lies.events import Link, LinkAction, RawItem

SLOW_DRIVER = "bench_kit:SlowDriver"
DELAY_S = 0.2
TINY = Plan(
    rounds=1,
    latency_events=5,
    throughput_events=50,
    requests=3,
    deliveries=50,
    memory_events=100,
    samples=500,
)
_never = threading.Event()


class SlowDriver(BenchDriver):
    """The bench's driver on a host that holds each item back, after its time was taken."""

    def __init__(self, name: str, config: Wires, host: DriverHost) -> None:
        super().__init__(name, config, _SlowHost(host))


class _SlowHost:
    """A driver's host whose ports are slow."""

    def __init__(self, host: DriverHost) -> None:
        self._host = host

    def add_link(self, link: Link, *, controllable: bool) -> LinkPort:
        return _SlowPort(self._host.add_link(link, controllable=controllable))

    def now_ns(self) -> int:
        return self._host.now_ns()

    def missed(self) -> None:
        self._host.missed()

    def failed(self, error: Exception) -> None:
        self._host.failed(error)

    def finished(self) -> None:
        self._host.finished()


class _SlowPort:
    """A port that holds each item back."""

    def __init__(self, port: LinkPort) -> None:
        self._port = port

    def feed(self, item: RawItem) -> None:
        _never.wait(DELAY_S)
        self._port.feed(item)

    def remove(self) -> None:
        self._port.remove()

    def steer(self, *, controllable: bool) -> None:
        """As it is."""
        self._port.steer(controllable=controllable)

    def action_failed(self, action: LinkAction, poa: str | None, detail: str) -> None:
        """As it is."""
        self._port.action_failed(action, poa, detail)

    def restore(self, state: bytes) -> None:
        self._port.restore(state)
