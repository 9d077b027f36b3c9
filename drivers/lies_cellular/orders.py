"""What is wanted of a modem: connect, disconnect, unlock; and what comes of it."""

from typing import TYPE_CHECKING

from lies.dbus.values import Variant
from lies.events import DownReason, LinkAction
from lies.link_steps import Fail, Say
from lies_cellular import uapi as u
from lies_cellular.config import CellularConfig, IpType
from lies_cellular.items import Action, Answer, Call, Purpose, Secret, Values

if TYPE_CHECKING:
    from lies_cellular.modem import Modem

TIDY_S = 2.0  # after a connection ended: its object may be looked at until then
_IP_TYPES = {IpType.IPV4: 1, IpType.IPV6: 2, IpType.IPV4V6: 4}  # MMBearerIpFamily


class Orders:
    """To one modem."""

    def __init__(self, modem: "Modem", config: CellularConfig, tried: set[str]) -> None:
        self._tried = tried
        self._modem = modem
        self._config = config
        self._connecting = False
        self.disconnecting = False  # this driver has asked for it
        self._then: str | None = None  # operator to connect to once the modem is disconnected
        self._tidy_at: float | None = None
        self._pin_asked = False
        self._asked_poa: str | None = None
        self._left_poa: str | None = None

    def by_whom(self) -> DownReason:
        """Why a connection is being ended on this side."""
        return DownReason.REQUESTED if self.disconnecting else DownReason.ADMIN_DOWN

    def _failed(self, action: LinkAction, poa: str | None, why: str, out: list[Action]) -> None:
        out.append(Fail(self._modem.link, action, poa, why))

    # ---- wishes

    def connect(self, poa: str, out: list[Action]) -> None:
        """Connect through a network; which of its cells serves is the network's choice."""
        modem = self._modem
        operator = poa.partition("-")[0]
        if not (operator.isdigit() and 5 <= len(operator) <= 6):
            operator = modem.operator
        here = modem.place.operator if modem.place is not None else modem.operator
        if self._connecting:
            self._failed(LinkAction.CONNECT, poa, "it is being connected already", out)
        elif modem.serving is None:
            self._asked_poa = poa
            self._connect("" if operator in {here, modem.operator} else operator, out)
        elif operator in {here, modem.operator}:
            if poa not in {modem.poa, modem.operator}:
                why = "which of its cells serves is the network's choice"
                self._failed(LinkAction.CONNECT, poa, why, out)
        else:
            self._then, self._asked_poa = operator, poa
            self._disconnect(out)

    def disconnect(self, poa: str | None, out: list[Action]) -> None:
        """End the connection; nothing if the link is elsewhere."""
        modem = self._modem
        self._then, self._left_poa = None, poa
        if self._connecting or (modem.serving is not None and poa in {None, modem.poa}):
            self._disconnect(out)

    def _connect(self, operator: str, out: list[Action]) -> None:
        config = self._config
        wanted = {"allow-roaming": Variant("b", config.roaming)}
        if config.apn:
            wanted["apn"] = Variant("s", config.apn)
        if config.ip_type is not None:
            wanted["ip-type"] = Variant("u", _IP_TYPES[config.ip_type])
        if config.user:
            wanted["user"] = Variant("s", config.user)
        if operator:
            wanted["operator-id"] = Variant("s", operator)
        self._connecting = True
        path = self._modem.path
        secret = Secret.PASSWORD if config.password_file is not None else None
        out.append(
            Call(
                Purpose.CONNECT,
                path,
                path,
                u.SIMPLE,
                "Connect",
                config.connect_s,
                "a{sv}",
                (wanted,),
                secret,
            )
        )

    def _disconnect(self, out: list[Action]) -> None:
        self.disconnecting = True
        path = self._modem.path
        which = self._modem.serving or "/"
        limit_s = self._config.connect_s
        out.append(Call(Purpose.DISCONNECT, path, path, u.SIMPLE, "Disconnect", limit_s, "o", (which,)))

    def unlock(self, values: Values, out: list[Action]) -> None:
        """Give the SIM its PIN: once, and only if nobody has tried before; values: the modem's."""
        if self._pin_asked or self._modem.state is not u.State.LOCKED:
            return
        lock, sim = values.get("UnlockRequired"), values.get("Sim")
        if lock is None:
            return
        self._pin_asked = True
        if lock != u.LOCK_SIM_PIN or not sim or self._config.pin_file is None:
            out.append(Say(f"{self._modem.link}: its SIM is locked (MMModemLock {lock})", serious=True))
            return
        left = values.get("UnlockRetries", {}).get(u.LOCK_SIM_PIN, u.SIM_PIN_TRIES)
        name = values.get("EquipmentIdentifier") or self._modem.link
        if name in self._tried or left < u.SIM_PIN_TRIES:
            out.append(
                Say(
                    f"{self._modem.link}: a PIN was tried before, and {left} tries are left: pin_file is not "
                    "tried. Unlock it by hand: mmcli -i SIM --pin=PIN",
                    serious=True,
                )
            )
            return
        self._tried.add(name)
        limit_s = self._config.call_s
        call = Call(Purpose.PIN, self._modem.path, sim, u.SIM, "SendPin", limit_s, "s", secret=Secret.PIN)
        out.append(call)

    # ---- what comes of it

    def answered(self, item: Answer, now: float, out: list[Action]) -> None:
        """The answer to a call."""
        modem = self._modem
        match item.call.purpose:
            case Purpose.CONNECT:
                self._connecting = False
                if item.error:
                    self._failed(LinkAction.CONNECT, self._asked_poa, _why(item), out)
                elif item.value is not None:
                    modem.bearers.own.add(item.value)
                    self._tidy_at = now + TIDY_S
            case Purpose.DISCONNECT:
                if item.error:
                    moving = self._then is not None
                    self.disconnecting, self._then = False, None
                    action = LinkAction.CONNECT if moving else LinkAction.DISCONNECT
                    self._failed(action, self._asked_poa if moving else self._left_poa, _why(item), out)
                elif modem.serving is None:
                    self._go_on(out)
                self._tidy_at = now + TIDY_S
            case Purpose.PIN:
                if item.error:
                    why = f"{modem.link}: the PIN of pin_file is not tried again: {_why(item)}"
                    out.append(Say(why, serious=True))
            case _:
                pass

    def ended(self, now: float) -> None:
        """The connection is over."""
        self._tidy_at = now + TIDY_S
        if self._then is None:
            self.disconnecting = False

    def _go_on(self, out: list[Action]) -> None:
        self.disconnecting = False
        then, self._then = self._then, None
        if then is not None:
            self._connect(then, out)

    # ---- time

    def due(self) -> float | None:
        """When `tick` wants to be called."""
        return self._tidy_at

    def tick(self, now: float, out: list[Action]) -> None:
        """Have own connections that have ended forgotten, so that they do not pile up."""
        if self._then is not None and self._modem.serving is None and self.disconnecting:
            self._go_on(out)
        if self._tidy_at is None or now < self._tidy_at:
            return
        self._tidy_at = None
        path, limit_s = self._modem.path, self._config.call_s
        for bearer in list(self._modem.bearers.ended()):
            self._modem.bearers.own.discard(bearer)
            out.append(Call(Purpose.DELETE, path, path, u.MODEM, "DeleteBearer", limit_s, "o", (bearer,)))


def _why(item: Answer) -> str:
    return f"{item.why} ({item.error.rpartition('.')[2]})"
