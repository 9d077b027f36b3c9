"""`--mode`: what the mobile node does of FMIPv6 on a drive."""

from enum import StrEnum


class ModeChoice(StrEnum):
    """What the mobile node does of FMIPv6 on the drive."""

    PREDICTIVE = "predictive"
    REACTIVE = "reactive"
    NONE = "none"
    ALL = "all"  # the three, one after the other


MODES = tuple(mode.value for mode in ModeChoice if mode is not ModeChoice.ALL)
