"""Predictive handovers by ip6tnl devices, HI and HAck in ESP, FBU and FBack signed, seen by tcpdump.

First with associations made of a shared key, then none for want of an IKE daemon, then with those that one
has agreed on and renewed, and then with those that it has agreed on after a crash.
"""

import os
import signal

from radio.access_network import Journey
from radio.guest import experiment, keep, mark, run
from radio.ike import Ike, kernel_has

MOVES = ("key", "no IKE daemon", "IKE, rekeyed", "IKE, after a crash")  # there, back, there, back


def main() -> None:
    """Move between the routers while everything on the wires between them is written down."""
    journey = Journey(protected=True, tunnels="ip6tnl")
    for router in journey.routers:
        journey.capture(router)
    journey.attach()
    journey.ping("pings", journey.pcoa)
    journey.fade()
    for router in journey.routers:
        keep(f"links-{router.name}.txt", run("ip", "-d", "link", namespace=router.name))

    journey.guarded_by_ike()
    journey.fade()
    journey.wait_for_echoes()

    secret = os.urandom(32)
    ends = (journey.routers, journey.routers[::-1])
    daemons = [Ike(one.name, one.address, other.address, secret) for one, other in ends]
    for one in daemons:
        one.start()
    for one in daemons:
        one.load()
    mark("negotiating")
    before = [a.spi for one in daemons for a in one.wait_for()]
    for one in daemons:
        one.note("agreed")
    daemons[0].ask("--rekey", "--child", "mobility")
    for one in daemons:
        one.wait_for(*before)
    journey.fade()
    for one in daemons:
        one.note("rekeyed")

    before = [a.spi for one in daemons for a in one.wait_for()]
    daemons[1].kill(signal.SIGKILL)
    daemons[1].start()
    daemons[1].load()
    for one in daemons:
        one.wait_for(*before)
    journey.fade()
    for one in daemons:
        one.note("restarted")
    for one in daemons:
        one.kill(signal.SIGTERM)
    for router in journey.routers:
        keep(f"ended-{router.name}.xfrm", kernel_has(router.name))
    journey.end()


if __name__ == "__main__":
    experiment(main)
