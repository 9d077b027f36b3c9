"""Predictive handovers by ip6tnl devices, HI and HAck in ESP by IKE, FBU and FBack signed, seen by tcpdump.

First none, for want of IKE daemons: the station moves without. Then with associations that these have agreed
on after one of them had crashed, and renewed.
"""

import os
import signal

from radio.access_network import Journey, care_of
from radio.guest import experiment, keep, run
from radio.ike import Ike, agreed, kernel_has

MOVES = 2  # back, and there again


def main() -> None:
    """Move between the routers while everything on the wires between them is written down."""
    journey = Journey(protected=True, ike=True, tunnels="ip6tnl")
    journey.capture(journey.routers[0])
    journey.attach()
    journey.fade_in_vain("not sent to")

    one, other = journey.routers
    secret = os.urandom(32)
    first_end = Ike(one.name, one.address, other.address, secret)
    daemons = first_end, Ike(other.name, other.address, one.address, secret)
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        daemon.load()
    first = agreed(*daemons, "agreed")
    daemons[1].kill(signal.SIGKILL)
    daemons[1].start()
    daemons[1].load()
    second = agreed(*daemons, "restarted", first)
    daemons[0].ask("--rekey", "--child", "mobility")
    agreed(*daemons, "rekeyed", first | second)
    journey.ping("pings", care_of(journey.routers[1], journey.station))
    for _ in range(MOVES):
        journey.fade()
    for router in journey.routers:
        keep(f"links-{router.name}.txt", run("ip", "-d", "link", namespace=router.name))
    for daemon in daemons:
        daemon.note("used")
    for router in journey.routers:
        keep(f"used-{router.name}.xfrm", kernel_has(router.name))
    for daemon in daemons:
        daemon.kill(signal.SIGTERM)
    for router in journey.routers:
        keep(f"ended-{router.name}.xfrm", kernel_has(router.name))
    journey.end()


if __name__ == "__main__":
    experiment(main)
