"""RFC 5184 appendix B.3 on real 802.11: a station leaves fading access points, FMIPv6 moves its packets."""

from radio.access_network import CORRESPONDENT, Journey
from radio.guest import experiment
from radio.two_ways import Host, TwoWays

MOVES = 10
FLOW_MOVES = 10  # of them with 15 Mbit/s each way
PLAIN_MOVES = 2  # of each kind


def main() -> None:
    """Predictive handovers between two access routers, then moves without LIES."""
    journey = Journey()
    journey.attach()
    journey.ping("pings", journey.pcoa)
    correspondent, station = Host("cn", CORRESPONDENT), Host(journey.station.namespace, journey.pcoa)
    flow = TwoWays({"down": (correspondent, station), "up": (station, correspondent)})
    for _ in range(MOVES + 1):  # a handover is reported when its tunnel ends: by the one after it
        journey.fade()
    flow.end()
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
