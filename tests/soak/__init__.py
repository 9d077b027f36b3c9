"""Faults and attacks that the bus has to survive, run against real processes at a tenth or in full."""
