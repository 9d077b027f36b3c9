"""The abstract entity: raw measurements in, primitives out (RFC 5184 section 7)."""

from lies.abstract._entity import AbstractEntity, LinkState
from lies.abstract._parameters import (
    AeParameters,
    GsmParameters,
    LteParameters,
    NrParameters,
    OtherParameters,
    TechnologyParameters,
    UmtsParameters,
    WifiParameters,
)

__all__ = [
    "AbstractEntity",
    "AeParameters",
    "GsmParameters",
    "LinkState",
    "LteParameters",
    "NrParameters",
    "OtherParameters",
    "TechnologyParameters",
    "UmtsParameters",
    "WifiParameters",
]
