"""RFC 5184 appendix B.3 on real 802.11: a station leaves fading access points, FMIPv6 moves its packets."""

from radio.access_network import CORRESPONDENT, Journey
from radio.guest import experiment, keep, run
from radio.sending import Host, Sending

MOVES = 10
FLOW_MOVES = 2  # of them with 15 Mbit/s to the station, then with that from it: both are too much at once
PLAIN_MOVES = 2  # of each kind


def main() -> None:
    """Predictive handovers between two access routers, then moves without LIES."""
    journey = Journey(protected=True)
    journey.attach()
    journey.ping("pings", journey.pcoa)
    correspondent, station = Host("cn", CORRESPONDENT), Host(journey.station.namespace, journey.pcoa)
    for name, ends in (("down", (correspondent, station)), ("up", (station, correspondent))):
        flow = Sending(name, *ends)
        for _ in range(FLOW_MOVES):
            journey.fade()
        flow.end()
    for _ in range(MOVES + 1 - 2 * FLOW_MOVES):  # a handover is reported when its tunnel ends: by the next
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
