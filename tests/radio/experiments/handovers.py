"""RFC 5184 appendix B.3 on real 802.11: a station leaves fading access points, FMIPv6 moves its packets."""

from radio.access_network import Journey
from radio.guest import experiment, keep, run

MOVES = 10
PLAIN_MOVES = 2  # of each kind


def main() -> None:
    """Predictive handovers between two access routers, then moves without LIES."""
    journey = Journey(protected=True)
    journey.attach()
    journey.ping("pings", journey.pcoa)
    for _ in range(MOVES + 1):  # a handover is reported when its tunnel ends: by the one after it
        journey.fade()
    for router in journey.routers:
        keep(f"esp-{router.name}.txt", run("ip", "-s", "xfrm", "state", namespace=router.name))
    journey.without_lies()
    journey.ping("plain-pings")
    for _ in range(PLAIN_MOVES):
        journey.roam()
    journey.ipv6(accept_dad=0, dad_transmits=0, router_solicitation_delay=0)
    for _ in range(PLAIN_MOVES):
        journey.roam()
    journey.end()


if __name__ == "__main__":
    experiment(main)
