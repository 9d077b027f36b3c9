"""What Prometheus reads of a daemon; imported only where the configuration asks for it.

Counts are taken from the bus when they are asked for. Only lead times and handovers need events: a consumer
on the bus hears LinkGoingDown, LinkDown and reports.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import chain

from lies.bus.core import EVERY_LINK, BusCore
from lies.bus.local import LocalClient
from lies.bus.messages import PluginState, PluginStatus
from lies.bus.server import BusServer
from lies.errors import PluginUnavailable
from lies.events import DownReason, HandoverDone, LinkDown, LinkGoingDown, LinkGoingDownCancelled

try:
    from prometheus_client import Counter, Histogram, ProcessCollector, disable_created_metrics
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.exposition import choose_encoder
except ImportError as missing:
    raise PluginUnavailable("[daemon.metrics]", 'pip install "lies[metrics]"') from missing

MOST_LABELS = 100  # links, and consumers, that are told apart; the rest is summed under "*"
_LEAD_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
_OUTAGE_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MODES = ("predictive", "reactive", "none")
_STANDING = 1000  # links that go down at the same time, whose lead is measured

_COUNTS = {  # of lies.bus.core.Counters: field -> what it counts
    "published": "Indications and raw messages that drivers published.",
    "delivered": "Indications handed to registrations.",
    "dropped": "Deliveries that a slow consumer's bounded queue could not keep; a Gap told of them.",
    "gaps": "Gaps that consumers were told.",
    "repaired": "Deliveries sent once more because a consumer had missed them.",
    "requests": "Requests of consumers.",
    "refused": "Requests and publications without the right, or not valid.",
    "malformed": "Messages that do not decode.",
    "unknown_version": "Messages of a version that is not spoken.",
    "turned_away": "Connections to an endpoint that has as many as it may.",
    "unlisted_keys": "Connections over TCP with a key that is not listed.",
    "handshakes": "Connections over TCP that came to nothing: no CURVE, a wrong server key, no ZeroMQ.",
}


class Metrics:
    """All that a scrape shows; plugins: how drivers and consumers are; reloads: result -> how many."""

    def __init__(
        self,
        core: BusCore,
        server: BusServer,
        plugins: Callable[[], Iterable[PluginState]],
        reloads: Mapping[str, int],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it ships types for all but this
        self._core = core
        self._server = server
        self._plugins = plugins
        self._reloads = reloads
        self._version = version("lies")
        self._client: LocalClient | None = None
        self._going_down: dict[str, tuple[str, int]] = {}  # link -> publisher, mono_ns of the first
        self._lead = Histogram(
            "lies_going_down_lead_seconds",
            "From a link's first LinkGoingDown to the LinkDown that followed.",
            buckets=_LEAD_S,
            registry=None,
        )
        self._handovers = Counter(
            "lies_handovers", "Handovers that upper layers reported.", ("mode",), registry=None
        )
        self._outage = Histogram(
            "lies_handover_outage_seconds",
            "From LinkDown to the last step that a handover needed: LinkUp, UNA sent or FBack received.",
            ("mode",),
            buckets=_OUTAGE_S,
            registry=None,
        )
        self._process = ProcessCollector(registry=None)

    async def start(self) -> None:
        """Begin to hear; NotPermitted where the configuration gives the daemon's own user no right to."""
        self._client = LocalClient(self._core, "metrics")
        self._client.on_event(self._hear)
        for primitive in ("link_going_down", "link_down", "report"):
            await self._client.register(primitive)

    def close(self) -> None:
        """Leave the bus."""
        if self._client is not None:
            self._client.close()

    async def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and text in the format that suits an Accept header.

        The loop is left to others after each family, so that a scrape holds no event up.
        """
        encode, content_type = choose_encoder(accept)
        parts: list[bytes] = []
        end = b""
        for family in self._families():
            part = encode(_Just(family))
            end = part[part.rindex(b"# EOF") :] if part.endswith(b"# EOF\n") else b""  # of OpenMetrics
            parts.append(part.removesuffix(end))
            await asyncio.sleep(0)
        return content_type, b"".join(parts) + end

    # ---- what is counted as it happens

    def _hear(self, event: object) -> None:
        match event:
            case LinkGoingDown(header=header):
                known = self._going_down
                if header.link.name not in known and len(known) < _STANDING:
                    known[header.link.name] = header.publisher, header.mono_ns
            case LinkGoingDownCancelled(header=header):
                self._going_down.pop(header.link.name, None)
            case LinkDown(header=header, reason=reason):
                publisher, since_ns = self._going_down.pop(header.link.name, ("", 0))
                if publisher == header.publisher and reason is not DownReason.DRIVER_LOST:
                    self._lead.observe(max(0, header.mono_ns - since_ns) / 1e9)
            case HandoverDone():
                self._count_handover(event)

    def _count_handover(self, done: HandoverDone) -> None:
        mode = done.mode if done.mode in _MODES else "other"
        self._handovers.labels(mode).inc()
        if done.link_down_ns is None or done.link_up_ns is None:
            return
        ends = (done.link_up_ns, done.una_ns, done.fback_ns)
        outage_ns = max(ns for ns in ends if ns is not None) - done.link_down_ns
        if outage_ns >= 0:
            self._outage.labels(mode).observe(outage_ns / 1e9)

    # ---- what is read when asked

    def _families(self) -> Iterator[Metric]:
        return chain(
            self._of_links(),
            self._of_the_bus(),
            self._of_plugins(),
            self._lead.collect(),
            self._handovers.collect(),
            self._outage.collect(),
            self._process.collect(),
        )

    def _of_links(self) -> Iterator[Metric]:
        core = self._core
        events = CounterMetricFamily(
            "lies_events", "Indications, raw messages and reports.", labels=("primitive", "link")
        )
        rest: dict[str, int] = {}
        for number, (link, tally) in enumerate(core.tally.items()):
            for primitive, count in tally.items():
                if link == EVERY_LINK or number >= MOST_LABELS:
                    rest[primitive] = rest.get(primitive, 0) + count
                else:
                    events.add_metric((primitive, link), count)
        for primitive, count in rest.items():
            events.add_metric((primitive, EVERY_LINK), count)
        yield events
        links = GaugeMetricFamily("lies_links", "Links by state.", labels=("state",))
        states = [
            "driver_lost" if state.lost is not None else "up" if state.up else "down"
            for state in core.links.values()
        ]
        for word in ("up", "down", "driver_lost"):
            links.add_metric((word,), states.count(word))
        yield links

    def _of_the_bus(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("lies_consumers", "Consumers on the bus.", value=len(self._core.sessions))
        waiting = GaugeMetricFamily(
            "lies_queue_messages", "Messages that wait for a consumer on a socket.", labels=("consumer",)
        )
        rest = 0
        for number, (name, depth) in enumerate(self._server.waiting().items()):
            if number < MOST_LABELS:
                waiting.add_metric((name,), depth)
            else:
                rest += depth
        if rest:
            waiting.add_metric((EVERY_LINK,), rest)
        yield waiting
        for field, text in _COUNTS.items():
            yield CounterMetricFamily(f"lies_{field}", text, value=getattr(self._core.counters, field))

    def _of_plugins(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("lies_plugin_up", "Whether a plugin runs.", labels=("plugin", "kind"))
        restarts = CounterMetricFamily(
            "lies_plugin_restarts",
            "How often a plugin was started again after it had failed.",
            labels=("plugin", "kind"),
        )
        for plugin in self._plugins():
            labels = plugin.name, plugin.kind
            up.add_metric(labels, plugin.status is PluginStatus.RUNNING)
            restarts.add_metric(labels, max(0, plugin.starts - 1))
        yield up
        yield restarts
        reloads = CounterMetricFamily("lies_reloads", "Reloads of the configuration.", labels=("result",))
        for result, count in self._reloads.items():
            reloads.add_metric((result,), count)
        yield reloads
        yield GaugeMetricFamily("lies_start_time_seconds", "When the bus was opened.", self._core.epoch / 1e9)
        info = GaugeMetricFamily("lies_build_info", "Always 1.", labels=("version",))
        info.add_metric((self._version,), 1)
        yield info


class _Just:
    """A collector of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        """The family."""
        return (self._family,)
