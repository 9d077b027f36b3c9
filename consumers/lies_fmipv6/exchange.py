"""FBU out, FBack in: one conversation of a mobile node with a PAR about one PCoA (RFC 5568 section 6.2.2)."""

from ipaddress import IPv6Address

from lies.timers import Backoff
from lies_fmipv6.actions import SendMessage
from lies_fmipv6.items import Received
from lies_fmipv6.messages import FastBindingAck, FastBindingUpdate, FBackStatus
from lies_fmipv6.parameters import Parameters, newer


class Sequencer:
    """Sequence numbers of one mobile node's FBUs: each greater than the one before, modulo 65536."""

    __slots__ = ("_next",)

    def __init__(self, first: int) -> None:
        self._next = first & 0xFFFF

    def __call__(self) -> int:
        """The next number."""
        number = self._next
        self._next = (number + 1) & 0xFFFF
        return number

    def skip(self, taken: int) -> bool:
        """Go on behind a number that a PAR has had already; False if the next one is greater anyway."""
        if not newer(taken, self._next - 1):
            return False
        self._next = (taken + 1) & 0xFFFF
        return True


class FbuExchange:
    """Sends an FBU, repeats it at most fbu_retries times (F36), and knows its FBack.

    Repeated FBUs have new sequence numbers (RFC 6275 section 11.8); the FBack of each of them will do. The
    first wait is the rule of section 6.1.1, because RFC 5568 gives none. A PAR that says it had greater
    numbers already (this node was started anew) gets one beyond them at once, which counts as a repetition.
    """

    __slots__ = (
        "_backoff",
        "_lifetime_s",
        "_lla",
        "_p",
        "_sequencer",
        "_sequences",
        "_source",
        "ncoa",
        "par",
        "pcoa",
    )

    def __init__(
        self,
        pcoa: IPv6Address,
        ncoa: IPv6Address,
        par: IPv6Address,
        *,
        lla: bytes,
        lifetime_s: int,
        parameters: Parameters,
        sequencer: Sequencer,
    ) -> None:
        self.pcoa = pcoa
        self.ncoa = ncoa
        self.par = par
        self._lla = lla
        self._lifetime_s = lifetime_s
        self._p = parameters
        self._sequencer = sequencer
        self._sequences: tuple[int, ...] = ()  # a few at most: a set takes four times the room
        self._source = pcoa
        self._backoff: Backoff | None = None

    def send(self, source: IPv6Address, now: float) -> SendMessage:
        """Send the FBU from PCoA (old link) or NCoA (new link), with fresh retries."""
        self._source = source
        self._backoff = Backoff(now, self._p.first_wait_s, retries=self._p.fbu_retries)
        return self._message()

    def stop(self) -> None:
        """Wait for nothing: the link is gone, or something else settled it."""
        self._backoff = None

    def began_with(self, sequence: int) -> bool:
        """Whether this is the number of the first FBU."""
        return self._sequences[:1] == (sequence,)

    def answered_by(self, item: Received, now: float, *, unproven: bool) -> FastBindingAck | None:
        """The FBack in `item` if it answers one of our FBUs and may be believed."""
        ack = item.message
        if not isinstance(ack, FastBindingAck) or item.source.packed != self.par.packed:
            return None
        if not (item.authenticated or unproven):
            return None
        if ack.status == FBackStatus.SEQUENCE_OUT_OF_WINDOW:
            if self._backoff is not None and self._sequencer.skip(ack.sequence):
                self._backoff.due = now
            return None
        if ack.sequence not in self._sequences:
            return None
        self.stop()
        return ack

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return self._backoff.due if self._backoff else None

    def handle_timeout(self, now: float) -> SendMessage | None:
        """The FBU again; None when the retries are used up. Call only at next_timeout."""
        if self._backoff is not None and self._backoff.again(now):
            return self._message()
        self._backoff = None
        return None

    def _message(self) -> SendMessage:
        sequence = self._sequencer()
        self._sequences += (sequence,)
        fbu = FastBindingUpdate(
            sequence=sequence,
            lifetime_s=self._lifetime_s,
            home_address=self.pcoa,
            alternate_coa=self.ncoa,
            lla=self._lla,
        )
        return SendMessage(fbu, self._source, self.par)
