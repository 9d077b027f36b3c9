"""Predictive handovers over ip6tnl devices, with HI and HAck in ESP and FBU and FBack signed, seen by tcpdump."""

from radio.access_network import Journey

MOVES = 2  # there, and back


def main() -> None:
    """Move between the routers while everything on the wires between them is written down."""
    journey = Journey(protected=True, tunnels="ip6tnl")
    for router in journey.routers:
        journey.capture(router)
    journey.attach()
    journey.ping("ping")
    for _ in range(MOVES):
        journey.fade()
    journey.end()


if __name__ == "__main__":
    from radio.guest import experiment

    experiment(main)
