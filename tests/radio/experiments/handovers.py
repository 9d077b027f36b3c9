"""RFC 5184 appendix B.3 on real 802.11: a station leaves fading access points, and FMIPv6 moves its packets."""

from radio.access_network import Journey


def main() -> None:
    """Ten predictive handovers between two access routers, then as many moves without LIES."""
    journey = Journey()
    journey.attach()
    journey.ping("ping")
    for _ in range(10):
        journey.fade()
    journey.end()


if __name__ == "__main__":
    from radio.guest import experiment

    experiment(main)
