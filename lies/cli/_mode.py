"""`--mode`: what the mobile node does of FMIPv6 on a drive; `--app`: which application goes with it."""

from enum import StrEnum


class ModeChoice(StrEnum):
    """What the mobile node does of FMIPv6 on the drive."""

    PREDICTIVE = "predictive"
    REACTIVE = "reactive"
    NONE = "none"
    ALL = "all"  # the three, one after the other


MODES = tuple(mode.value for mode in ModeChoice if mode is not ModeChoice.ALL)


class AppChoice(StrEnum):
    """An application that goes along on a drive (lies.testbed.applications)."""

    IPERF3 = "iperf3"
    IPERF3_UDP = "iperf3-udp"
    IPERF3_TCP = "iperf3-tcp"
    HTTP = "http"
