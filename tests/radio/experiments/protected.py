"""Predictive handovers by ip6tnl devices, HI and HAck in ESP, FBU and FBack signed, seen by tcpdump."""

from radio.access_network import Journey
from radio.guest import experiment, keep, run

MOVES = 2  # there, and back


def main() -> None:
    """Move between the routers while everything on the wires between them is written down."""
    journey = Journey(protected=True, tunnels="ip6tnl")
    for router in journey.routers:
        journey.capture(router)
    journey.attach()
    journey.ping("pings", journey.pcoa)
    for _ in range(MOVES):
        journey.fade()
    for router in journey.routers:
        keep(f"links-{router.name}.txt", run("ip", "-d", "link", namespace=router.name))
    journey.end()


if __name__ == "__main__":
    experiment(main)
