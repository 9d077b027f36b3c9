"""What is around the modem: its SIM card, the cell it hears and the operator behind it."""

import enum

from attrs import Factory, define, frozen

_FORBIDDEN = 3  # <stat> of +COPS=?
GSM, UTRAN, LTE, NR = 0, 2, 7, 11  # <AcT> of TS 27.007 section 7.3


class Registration(enum.IntEnum):
    """<stat> of +CREG, +CGREG and +CEREG (TS 27.007 section 7.2)."""

    IDLE = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    UNKNOWN = 4
    ROAMING = 5


class Card(enum.Enum):
    """What +CPIN? says of the SIM card."""

    READY = "READY"
    PIN = "SIM PIN"
    PUK = "SIM PUK"
    MISSING = ""


@define
class Sim:
    """A SIM card that takes three wrong PINs (TS 31.101 section 9.5)."""

    card: Card = Card.READY
    pin: str = "1234"
    tries: int = 3
    imsi: str = "240011234567890"
    iccid: str = "89460011223344556677"

    def unlock(self, pin: str) -> bool:
        """Whether the PIN is right; the third wrong one locks the card."""
        if pin == self.pin:
            self.card, self.tries = Card.READY, 3
            return True
        self.tries -= 1
        if self.tries == 0:
            self.card = Card.PUK
        return False


@frozen
class Operator:
    """A line of the answer to a scan; status: 1 available, 2 current, 3 forbidden."""

    status: int
    name: str
    plmn: str
    act: int


@define
class Network:
    """The serving cell and its levels: csq in +CSQ's steps of 2 dB from -113 dBm, rsrp in dBm, rsrq in dB."""

    csq: int = 17
    rsrp: int = -95
    rsrq: int = -11
    registration: Registration = Registration.HOME
    area: str = "1A2B"
    cell: str = "00C0FFEE"
    act: int = LTE
    plmn: str = "24001"
    name: str = "Testnet"
    others: list[Operator] = Factory(
        lambda: [Operator(1, "Othernet", "24005", LTE), Operator(3, "Forbidden", "24099", UTRAN)]
    )
    scan_s: float = 0.5
    refuses: bool = False  # takes no call

    @property
    def registered(self) -> bool:
        """At home or roaming."""
        return self.registration in {Registration.HOME, Registration.ROAMING}

    @property
    def bars(self) -> int:
        """The level as indicator +CIEV has it: 0 to 5."""
        return 0 if self.csq == 99 else round(self.csq * 5 / 31)

    @property
    def scan(self) -> list[Operator]:
        """All operators that are heard."""
        return [Operator(2 if self.registered else 1, self.name, self.plmn, self.act), *self.others]

    def select(self, plmn: str) -> bool:
        """Leave this network for one of those that are heard, if it serves; to register there is next."""
        wanted = next((one for one in self.scan if one.plmn == plmn and one.status != _FORBIDDEN), None)
        if wanted is None:
            return False
        if plmn != self.plmn:
            self.others = [one for one in self.scan if one != wanted]
            self.plmn, self.name, self.act = wanted.plmn, wanted.name, wanted.act
            self.registration = Registration.SEARCHING
        return True
