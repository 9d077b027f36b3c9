"""How much a bench measures."""

from pathlib import Path

from attrs import frozen


@frozen
class Plan:
    """Sizes of what is measured.

    rounds: of floor and ours, at most, as limit_s ends them; interval_ns: between two events where latency is
    measured; *_events, requests, deliveries: of one segment; memory_events, samples: of the only one;
    fan_out_every: fan-out is measured in every so many rounds; traces: folder of recorded traces for the
    abstract entity, None for a made one with this seed; limit_s: no round is begun that would end later.
    """

    rounds: int = 8
    limit_s: float = 44.0
    latency_events: int = 250
    interval_ns: int = 2_000_000  # 500 events/s
    throughput_events: int = 5_000
    requests: int = 60
    deliveries: int = 4_000
    fan_out_every: int = 3
    memory_events: int = 100_000
    samples: int = 50_000
    traces: Path | None = None
    seed: int = 1


FULL = Plan(
    rounds=15,
    limit_s=900.0,
    latency_events=1000,
    throughput_events=20_000,
    requests=200,
    deliveries=20_000,
    fan_out_every=3,
    memory_events=1_000_000,
    samples=500_000,
)
