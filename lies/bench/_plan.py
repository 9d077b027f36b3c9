"""How much a bench measures."""

from attrs import frozen


@frozen
class Plan:
    """Rounds, and sizes of their segments; interval_ns: between two events where latency is measured."""

    rounds: int = 5
    latency_events: int = 400
    interval_ns: int = 2_000_000  # 500 events/s
    throughput_events: int = 15_000
