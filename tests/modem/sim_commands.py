"""Commands about the modem itself and its SIM card."""

from modem.at import Answer, CmeError, Command, Handler, Kind, Refused, Table, always, say
from modem.network import Card, Sim

IMEI = "490154203237518"
_RETRIES = {"0020000100": "PIN", "0020008100": "PIN2", "002C000100": "PUK", "002C008100": "PUK2"}


class SimCommands:
    """Identity, power and the SIM card."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self.power = 1  # <fun> of +CFUN
        self.unlocks = 0  # how often a PIN was tried

    def table(self) -> Table:
        """What each command does."""
        capabilities = "+GCAP: +CGSM,+CLTE"
        identity = ("Inter-Layer", "FM-1", "rev 1.0", f"IMEI: {IMEI}", capabilities)
        return {
            ("I", Kind.RUN): always(*identity),
            ("+GCAP", Kind.RUN): always(capabilities),
            ("+CGMI", Kind.RUN): always("Inter-Layer"),
            ("+CGMM", Kind.RUN): always("FM-1"),
            ("+CGMR", Kind.RUN): always("1.0"),
            ("+CGSN", Kind.RUN): always(IMEI),
            ("+CSCS", Kind.TEST): always('+CSCS: ("IRA","GSM")'),
            ("+CSCS", Kind.READ): always('+CSCS: "IRA"'),
            ("+CSCS", Kind.SET): always(),
            ("+IFC", Kind.TEST): always("+IFC: (0,2),(0,2)"),
            ("+IFC", Kind.SET): always(),
            ("+CTZU", Kind.SET): always(),
            ("+CFUN", Kind.READ): lambda _: say(f"+CFUN: {self.power}"),
            ("+CFUN", Kind.SET): self._set_power,
            ("+CPIN", Kind.READ): self._card,
            ("+CPIN", Kind.SET): self._unlock,
            ("+CSIM", Kind.SET): self._ready_or_locked(self._raw),
            ("+CRSM", Kind.SET): self._ready_or_locked(self._read_file),
            ("+CIMI", Kind.RUN): self._ready(lambda _: say(self._sim.imsi)),
            ("+CCID", Kind.RUN): self._ready(lambda _: say(f"+CCID: {self._sim.iccid}")),
            ("+CNUM", Kind.RUN): self._ready(lambda _: say('+CNUM: ,"+4670000001",145')),
            ("+CLCK", Kind.TEST): always('+CLCK: ("SC")'),
            ("+CLCK", Kind.SET): self._ready(lambda _: say("+CLCK: 0")),
        }

    def _set_power(self, command: Command) -> Answer:
        self.power = int(command.fields[0])
        return say()

    def _ready(self, handler: Handler) -> Handler:
        """Follows the command only with an unlocked card."""

        def check(command: Command) -> Answer:
            errors = {
                Card.MISSING: CmeError.NO_SIM,
                Card.PIN: CmeError.PIN_NEEDED,
                Card.PUK: CmeError.PUK_NEEDED,
            }
            if self._sim.card in errors:
                raise Refused(errors[self._sim.card])
            return handler(command)

        return check

    def _ready_or_locked(self, handler: Handler) -> Handler:
        """Follows the command with any card."""

        def check(command: Command) -> Answer:
            if self._sim.card is Card.MISSING:
                raise Refused(CmeError.NO_SIM)
            return handler(command)

        return check

    def _card(self, command: Command) -> Answer:
        del command
        if self._sim.card is Card.MISSING:
            raise Refused(CmeError.NO_SIM)
        return say(f"+CPIN: {self._sim.card.value}")

    def _unlock(self, command: Command) -> Answer:
        if self._sim.card is not Card.PIN:
            raise Refused(CmeError.NO_SIM if self._sim.card is Card.MISSING else CmeError.NOT_ALLOWED)
        self.unlocks += 1
        if not self._sim.unlock(command.fields[0]):
            raise Refused(CmeError.WRONG_PASSWORD)
        return say()

    def _raw(self, command: Command) -> Answer:
        """How many tries are left: the card answers a VERIFY without a secret with 63CX (TS 31.101)."""
        which = _RETRIES.get(command.fields[1])
        if which is None:
            raise Refused(CmeError.NOT_SUPPORTED)
        left = {"PIN": self._sim.tries, "PIN2": 3, "PUK": 10, "PUK2": 10}[which]
        return say(f'+CSIM: 4,"63C{left:X}"')

    def _read_file(self, command: Command) -> Answer:
        """EF ICCID (2FE2), its digits swapped in pairs; no other file is served."""
        if command.fields[:2] != ("176", str(0x2FE2)):
            raise Refused(CmeError.NOT_SUPPORTED)
        iccid = self._sim.iccid
        swapped = "".join(iccid[i + 1] + iccid[i] for i in range(0, len(iccid), 2))
        return say(f'+CRSM: 144,0,"{swapped}"')
