"""Names and numbers of ModemManager's D-Bus interface (ModemManager-enums.h, version 1.20)."""

from enum import IntEnum

from lies.events import Technology

NAME = "org.freedesktop.ModemManager1"
ROOT = "/org/freedesktop/ModemManager1"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

MODEM = f"{NAME}.Modem"
SIMPLE = f"{MODEM}.Simple"
THREE_GPP = f"{MODEM}.Modem3gpp"
SIGNAL = f"{MODEM}.Signal"
LOCATION = f"{MODEM}.Location"
BEARER = f"{NAME}.Bearer"
SIM = f"{NAME}.Sim"

PORT_NET = 2  # MMModemPortType
LOCK_SIM_PIN = 2  # MMModemLock
LOCATION_3GPP = 1  # MMModemLocationSource, and its key in the location
NETWORK_FORBIDDEN = 3  # MMModem3gppNetworkAvailability
SIM_PIN_TRIES = 3  # TS 31.102 section 5.1.1.1: a wrong PIN three times in a row blocks it


class State(IntEnum):
    """MMModemState; the numbers grow as a modem comes up."""

    FAILED = -1
    UNKNOWN = 0
    INITIALISING = 1
    LOCKED = 2
    DISABLED = 3
    DISABLING = 4
    ENABLING = 5
    ENABLED = 6
    SEARCHING = 7
    REGISTERED = 8
    DISCONNECTING = 9
    CONNECTING = 10
    CONNECTED = 11


FAILURES = {  # MMModemStateFailedReason
    1: "unknown cause",
    2: "no SIM in it",
    3: "its SIM does not work",
    4: "it has no capability that is known",
    5: "its SIM or eSIM has no profile",
}

REGISTRATIONS = {  # MMModem3gppRegistrationState
    0: "idle",
    1: "home",
    2: "searching",
    3: "denied",
    4: "unknown",
    5: "roaming",
    6: "home_sms_only",
    7: "roaming_sms_only",
    8: "emergency_only",
    9: "home_csfb_not_preferred",
    10: "roaming_csfb_not_preferred",
    11: "attached_rlos",
}
SERVED = frozenset({1, 5, 9, 10})  # data may pass
ABROAD = frozenset({5, 10})
DENIED = 3

_GSM = {1: 0.0096, 2: 0.0096, 3: 0.0856, 4: 0.2368}
_UMTS = {5: 0.384, 6: 14.4, 7: 5.76, 8: 14.4, 9: 42.2}
_LTE, _NR, _LTE_M, _NB_IOT = 14, 15, 16, 17

PEAK_MBPS: dict[int, float] = {
    # bit of MMModemAccessTechnology -> what one user gets at most
    **_GSM,  # TS 43.051: one slot of CSD; TS 43.064: four slots of CS-4 (GPRS), of MCS-9 (EDGE)
    **_UMTS,  # TS 25.101: 384 kbit/s of Release 99; TS 25.306: HSDPA category 10, HSUPA 6, HSPA+ 20
    _LTE_M: 1.0,  # TS 36.306: category M1
    _NB_IOT: 0.0625,  # TS 36.306: category NB1
}
_TECHNOLOGIES: tuple[tuple[int, Technology], ...] = (
    (_NR, Technology.NR),
    (_LTE, Technology.LTE),
    (_LTE_M, Technology.LTE),
    (_NB_IOT, Technology.LTE),
    *((bit, Technology.UMTS) for bit in sorted(_UMTS, reverse=True)),
    *((bit, Technology.GSM) for bit in sorted(_GSM, reverse=True)),
)
_CAPABILITIES = ((6, Technology.NR), (3, Technology.LTE), (2, Technology.UMTS))  # MMModemCapability


def technology_of(mask: int) -> tuple[Technology, float | None] | None:
    """The best of the access technologies in use, and its peak in Mbit/s (None: no lower than others)."""
    for bit, technology in _TECHNOLOGIES:
        if mask >> bit & 1:
            return technology, PEAK_MBPS.get(bit)
    return None


def anchored(mask: int) -> bool:
    """Whether 5G stands on an LTE cell (NSA)."""
    return bool(mask >> _NR & 1 and mask >> _LTE & 1)


def technology_able(capabilities: int) -> Technology:
    """The best technology that a modem is able to use."""
    for bit, technology in _CAPABILITIES:
        if capabilities >> bit & 1:
            return technology
    return Technology.OTHER
