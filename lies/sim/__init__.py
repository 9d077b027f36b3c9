"""Simulation: mobile nodes by the thousand on a virtual clock and network, with the engines that run live.

Nothing here knows a protocol: consumers bring theirs through lies.consumer.Consumer.simulation.
"""

from lies.sim.clock import VirtualClock
from lies.sim.faults import Faults
from lies.sim.home import HomeHost
from lies.sim.mobile import MobileFacts, MobileHost
from lies.sim.network import Network
from lies.sim.options import MODES, SimOptions
from lies.sim.program import Part, Program, Seat, kind_of
from lies.sim.radio import Radio
from lies.sim.router import RouterFacts, RouterHost
from lies.sim.simulation import Simulation, Verdict, judge, summary

__all__ = [
    "MODES",
    "Faults",
    "HomeHost",
    "MobileFacts",
    "MobileHost",
    "Network",
    "Part",
    "Program",
    "Radio",
    "RouterFacts",
    "RouterHost",
    "Seat",
    "SimOptions",
    "Simulation",
    "Verdict",
    "VirtualClock",
    "judge",
    "kind_of",
    "summary",
]
