"""An access router as the previous one: FBU in, HI out, HAck in, tunnel, FBack (RFC 5568 section 4)."""

from collections.abc import Callable
from ipaddress import IPv6Address

from lies.timers import Backoff, Timers
from lies_fmipv6.actions import AccessRouterAction as Action
from lies_fmipv6.actions import AddTunnel, Foreseen, HoldNode, ReleaseNode, RemoveTunnel, SendMessage
from lies_fmipv6.bindings import Binding, Pending
from lies_fmipv6.items import Received
from lies_fmipv6.messages import (
    FastBindingAck,
    FastBindingUpdate,
    FBackStatus,
    HAckCode,
    HandoverAcknowledge,
    HandoverInitiate,
    HICode,
)
from lies_fmipv6.parameters import AccessRouterConfig, Neighbour, Parameters, newer, prefix_octets
from lies_fmipv6.states import BindingEvent, BindingState

_KNOWN_REFUSALS = {FBackStatus.PROHIBITED, FBackStatus.INSUFFICIENT_RESOURCES}


class PreviousRouter:
    """The bindings of nodes that leave or left this router's link.

    drop counts a message that was not acted on; left is called with a PCoA when its packets begin to be
    tunnelled away, and lets_go tells whether nothing will follow from that; awaits tells whether the node of
    a PCoA is expected here, so that its packets wait anyway; here is called with a PCoA and a link-layer
    address when its node proved to be on this link again; owner tells the link-layer address of the node that
    has a PCoA, where it has a handover key.
    """

    def __init__(
        self,
        config: AccessRouterConfig,
        parameters: Parameters,
        *,
        drop: Callable[[str], None],
        left: Callable[[IPv6Address], list[Action]],
        lets_go: Callable[[IPv6Address], bool],
        awaits: Callable[[IPv6Address], bool],
        here: Callable[[IPv6Address, bytes, float], list[Action]],
        owner: Callable[[IPv6Address], bytes | None],
    ) -> None:
        self._c = config
        self._p = parameters
        self._drop = drop
        self._left = left
        self._lets_go = lets_go
        self._awaits = awaits
        self._here = here
        self._owner = owner
        self._last: dict[bytes, int] = {}  # last sequence number of each node with a key, as long as we run
        self._bindings: dict[IPv6Address, Binding] = {}
        self._hi_of: dict[int, Binding] = {}
        self._sequence = config.first_sequence
        self._active = 0
        self.begun: Binding | None = None  # by what was fed last
        self.timers: Timers[tuple[str, Binding]] = Timers()
        # longest match (F21): all prefixes are of 64 bits
        self._neighbours = {prefix_octets(n.prefix): n for n in reversed(config.neighbours)}

    @property
    def bindings(self) -> int:
        """How many bindings there are, the ended ones that are only remembered not counted."""
        return self._active

    def bound(self, pcoa: IPv6Address) -> Binding | None:
        """The binding of a PCoA whose packets are tunnelled."""
        binding = self._bindings.get(pcoa)
        return binding if binding is not None and binding.endpoint is not None else None

    def fast_binding_update(
        self, item: Received, fbu: FastBindingUpdate, lla: bytes | None, now: float
    ) -> list[Action]:
        """Process an FBU; lla: the sender's link-layer address where it was learned otherwise."""
        cause = self._objection(item, fbu)
        if cause is not None:  # section 10: no binding, and no word to a forger
            self._drop(cause)
            return []
        binding = self._bindings.get(fbu.home_address)
        known = binding is not None
        if binding is None:
            binding = Binding(fbu.home_address)
        on_link = item.source == binding.pcoa and item.link_layer is not None
        owner = self._owner(fbu.home_address)
        last = self._last.get(owner) if owner is not None else binding.sequence if known else None
        if last is not None and not newer(fbu.sequence, last):
            self._drop("FBU with an old sequence number")
            if owner is None:
                return []
            # RFC 6275 section 9.5.1; the BADF was right, so it is the node, or a copy that gets it nothing
            ack = FastBindingAck(FBackStatus.SEQUENCE_OUT_OF_WINDOW, last, 0)
            return [self._fback(binding, ack, item.source, on_link=on_link)]
        if owner is not None:
            self._last[owner] = fbu.sequence
        binding.on_link = on_link
        binding.lla = fbu.lla or lla or binding.lla
        binding.here = (item.link_layer or b"") if on_link else binding.here or binding.lla
        if fbu.lifetime_s > 0 and self._is_full(binding):
            return self._refusal(binding, fbu.sequence, item.source, FBackStatus.INSUFFICIENT_RESOURCES)
        if not known and len(self._bindings) < 2 * self._c.max_bindings:
            self._bindings[binding.pcoa] = binding
            known = True
        binding.sequence, binding.reply_to = fbu.sequence, item.source
        if known and binding.state is BindingState.ENDED:
            self._remember(binding, now)
        return self._update(binding, item, fbu, now) if fbu.lifetime_s else self._zero(binding, item, now)

    def _objection(self, item: Received, fbu: FastBindingUpdate) -> str | None:
        """Why an FBU is not even looked at."""
        pcoa = fbu.home_address
        if not (item.authenticated or self._c.unproven):
            return "FBU without a valid BADF"
        elsewhere = fbu.alternate_coa is not None and item.source not in (pcoa, fbu.alternate_coa)
        if elsewhere or not self._c.has(pcoa):
            return "FBU for a PCoA that is not of this link, or from elsewhere than PCoA or NCoA"
        return None

    def _is_full(self, binding: Binding) -> bool:
        """Whether a binding would be one too many; those that are only remembered count less."""
        if binding.state is not BindingState.ENDED:
            return False
        remembered = binding.pcoa not in self._bindings and len(self._bindings) >= 2 * self._c.max_bindings
        return remembered or self._active >= self._c.max_bindings

    def _update(self, binding: Binding, item: Received, fbu: FastBindingUpdate, now: float) -> list[Action]:
        ncoa = fbu.alternate_coa or item.source
        neighbour = self._neighbours.get(ncoa.packed[:8])
        if neighbour is None or not self._c.trusts(neighbour) or self._c.has(ncoa):
            return self._refusal(binding, fbu.sequence, item.source, FBackStatus.PROHIBITED)
        if not binding.lla:  # F24: the HI could not say who the node is
            return self._refusal(binding, fbu.sequence, item.source, FBackStatus.UNSPECIFIED)
        lifetime_s = min(fbu.lifetime_s, self._p.max_fbu_lifetime_s)
        if binding.endpoint is not None and binding.proposed == ncoa:
            binding.go(BindingEvent.FBU_SAME)
            self._forget_hi(binding)
            return [*self._release(binding), *self._grant(binding, lifetime_s, now)]
        if binding.pending is not None and binding.pending.proposed == ncoa:
            if binding.state is BindingState.HI_SENT:
                binding.go(BindingEvent.FBU_SAME)
            binding.pending.lifetime_s = lifetime_s
            return self._hold(binding)
        return self._initiate(binding, ncoa, neighbour, lifetime_s, now)

    def handover_acknowledge(self, item: Received, ack: HandoverAcknowledge, now: float) -> list[Action]:
        """Process a HAck."""
        binding = self._hi_of.get(ack.sequence)
        pending = binding.pending if binding is not None else None
        if binding is None or pending is None or item.source != pending.neighbour.address:
            self._drop("HAck that answers no HI")
            return []
        if not (item.authenticated or (self._c.insecure and not pending.neighbour.protected)):
            self._drop("HAck without a security association")
            return []
        if ack.code == HAckCode.UNSOLICITED:
            return []
        supplied = self._supplied(binding, pending, ack)
        if supplied is None:
            status = ack.code if ack.code in _KNOWN_REFUSALS else FBackStatus.UNSPECIFIED
            return self._refused(binding, status, now)
        if binding.state is BindingState.HI_SENT:
            self.timers.cancel(("memory", binding))
        binding.go(BindingEvent.HACK)
        self._forget_hi(binding)
        binding.proposed, binding.supplied = pending.proposed, supplied
        binding.endpoint = endpoint = pending.neighbour.address if supplied == binding.pcoa else supplied
        tunnel = AddTunnel(binding.pcoa, endpoint, binding.lla)
        binding.held = False
        answers = self._grant(binding, pending.lifetime_s, now)
        # a node that uses PCoA at another router hears us through the tunnel that is replaced
        early = answers[:1] if binding.reply_to == binding.pcoa and not binding.on_link else []
        return [*early, *self._left(binding.pcoa), tunnel, *answers[len(early) :]]

    def barred(self, neighbour: IPv6Address, now: float) -> list[Action]:
        """No HI leaves for a neighbour: its nodes are refused at once, lest they wait in vain."""
        waiting = [b for b in self._hi_of.values() if b.pending and b.pending.neighbour.address == neighbour]
        return [a for binding in waiting for a in self._refused(binding, FBackStatus.UNSPECIFIED, now)]

    def comes_back(self, pcoa: IPv6Address, now: float) -> None:
        """The node of a binding is to come to this link again: it is not going elsewhere any more.

        An HI without its HAck is void; with it, two routers would tunnel to each other.
        """
        binding = self._bindings.get(pcoa)
        if binding is None or binding.pending is None:
            return
        binding.held = False  # what waits, waits for the node to come
        if binding.state is BindingState.HI_SENT:
            self._end(binding, BindingEvent.RETURNED, now)
        else:
            binding.go(BindingEvent.REFUSED)
            self._forget_hi(binding)

    def returned(self, pcoa: IPv6Address, now: float) -> list[Action]:
        """The node of a binding is on this link again, or was expected here and did not come."""
        binding = self._bindings.get(pcoa)
        if binding is None or binding.state is BindingState.ENDED:
            return []
        return self._end(binding, BindingEvent.RETURNED, now)

    def timeout(self, kind: str, binding: Binding, now: float) -> list[Action]:
        """A timer of this role has come."""
        if kind == "memory":
            del self._bindings[binding.pcoa]
            return []
        if kind == "lifetime":
            return self._expired(binding, now)
        pending = binding.pending
        assert pending is not None
        if not pending.backoff.again(now):
            return self._refused(binding, FBackStatus.UNSPECIFIED, now)
        return [self._send_hi(binding, pending)]

    def _supplied(self, binding: Binding, pending: Pending, ack: HandoverAcknowledge) -> IPv6Address | None:
        """The address that the node is to use at the NAR, PCoA with code 3; None if the NAR refused."""
        if ack.code == HAckCode.USE_PCOA:
            return binding.pcoa
        if pending.neighbour.dhcp:  # the NCoA is for the FBU only (6.1.2): a tunnel to it would end nowhere
            self._drop("HAck that accepts an NCoA where nodes have to use DHCP")
            return None
        if ack.code == HAckCode.NCOA_VALID:
            return pending.proposed
        if pending.hi.code == HICode.NOT_FROM_PCOA or ack.ncoa is None:
            return None
        assigned = ack.code in {HAckCode.NCOA_INVALID, HAckCode.NCOA_ASSIGNED}
        return ack.ncoa if assigned and ack.ncoa in pending.neighbour.prefix else None

    def _initiate(
        self, binding: Binding, ncoa: IPv6Address, neighbour: Neighbour, lifetime_s: int, now: float
    ) -> list[Action]:
        was_ended = binding.state is BindingState.ENDED
        binding.go(BindingEvent.FBU if was_ended else BindingEvent.FBU_ELSEWHERE)
        if was_ended:
            self._active += 1
            self.timers.cancel(("memory", binding))
        self._forget_hi(binding)
        self._sequence = (self._sequence + 1) & 0xFFFF
        predictive = binding.reply_to == binding.pcoa
        hi = HandoverInitiate(
            sequence=self._sequence,
            code=HICode.FROM_PCOA if predictive else HICode.NOT_FROM_PCOA,
            assigned_address=False,
            buffer=predictive and self._c.buffer,
            mn_lla=binding.lla,
            pcoa=binding.pcoa,
            ncoa=ncoa,
        )
        backoff = Backoff(now, self._p.first_wait_s, retries=self._p.hi_retries)
        binding.pending = pending = Pending(ncoa, neighbour, hi, backoff, lifetime_s)
        self._hi_of[hi.sequence] = binding
        self.begun = binding
        return [*self._hold(binding), self._send_hi(binding, pending)]

    def foresee(self) -> Foreseen | None:
        """What the HAck to the HI of a moment ago will be answered with, if the NAR takes the node so."""
        binding, self.begun = self.begun, None
        if binding is None or binding.pending is None:
            return None
        pending, neighbour = binding.pending, binding.pending.neighbour
        secured = neighbour.protected or not self._c.insecure  # comes by another socket, when it comes
        surely = binding.on_link and not binding.held and self._lets_go(binding.pcoa)
        if secured or neighbour.dhcp or not surely:
            return None
        hack = HandoverAcknowledge(pending.hi.sequence, HAckCode.NCOA_VALID)
        tunnel = AddTunnel(binding.pcoa, pending.proposed, binding.lla)
        fback = FastBindingAck(FBackStatus.ACCEPTED, binding.sequence, pending.lifetime_s)
        on_link = self._fback(binding, fback, binding.pcoa, on_link=True)
        answers = (on_link, self._fback(binding, fback, pending.proposed))
        return Foreseen(neighbour.address, hack, tunnel, answers)

    def _hold(self, binding: Binding) -> list[Action]:
        """5.4: a node that sends its FBU from elsewhere gets nothing here until its tunnel stands."""
        if binding.reply_to == binding.pcoa or not self._c.buffer:
            return self._release(binding)
        if binding.held or self._awaits(binding.pcoa):
            return []
        binding.held = True
        return [HoldNode(binding.pcoa)]

    def _release(self, binding: Binding) -> list[Action]:
        held, binding.held = binding.held, False
        return [ReleaseNode(binding.pcoa)] if held else []

    def _send_hi(self, binding: Binding, pending: Pending) -> Action:
        assert pending.backoff.due is not None
        self.timers.set(("hi", binding), pending.backoff.due)
        return SendMessage(pending.hi, self._c.address, pending.neighbour.address)

    def _forget_hi(self, binding: Binding) -> None:
        if binding.pending is not None:
            self._hi_of.pop(binding.pending.hi.sequence, None)
            binding.pending = None
            self.timers.cancel(("hi", binding))

    def _grant(self, binding: Binding, lifetime_s: int, now: float) -> list[Action]:
        self.timers.set(("lifetime", binding), now + lifetime_s)
        supplied = binding.supplied if binding.supplied != binding.proposed else None
        status = FBackStatus.ACCEPTED if supplied is None else FBackStatus.ACCEPTED_USE_SUPPLIED
        ack = FastBindingAck(status, binding.sequence, lifetime_s, supplied)
        assert binding.supplied is not None
        answers: list[Action] = []
        if binding.reply_to == binding.pcoa:  # on the old link, past the tunnel that PCoA now has
            answers.append(self._fback(binding, ack, binding.pcoa, on_link=binding.on_link))
        answers.append(self._fback(binding, ack, binding.supplied))
        return answers

    def _fback(
        self, binding: Binding, ack: FastBindingAck, to: IPv6Address, *, on_link: bool = False
    ) -> SendMessage:
        lla = binding.here or None if on_link else None
        return SendMessage(ack, self._c.address, to, lla, binding.pcoa)

    def _refusal(self, binding: Binding, sequence: int, to: IPv6Address, status: int) -> list[Action]:
        ack = FastBindingAck(status, sequence, 0)
        return [self._fback(binding, ack, to, on_link=to == binding.pcoa and binding.on_link)]

    def _refused(self, binding: Binding, status: int, now: float) -> list[Action]:
        binding.go(BindingEvent.REFUSED)
        self._forget_hi(binding)
        if binding.state is BindingState.ENDED:
            self._active -= 1
            self._remember(binding, now)
        return [*self._release(binding), *self._refusal(binding, binding.sequence, binding.reply_to, status)]

    def _zero(self, binding: Binding, item: Received, now: float) -> list[Action]:
        """F44: the node is back, or needs the tunnel no more."""
        actions: list[Action] = []
        if binding.state is BindingState.ENDED:
            binding.go(BindingEvent.FBU_ZERO)
        else:
            actions += self._end(binding, BindingEvent.FBU_ZERO, now)
        here = binding.on_link and bool(binding.here)
        if here:
            actions += self._here(binding.pcoa, binding.here, now)
        ack = FastBindingAck(FBackStatus.ACCEPTED, binding.sequence, 0)
        return [*actions, self._fback(binding, ack, item.source, on_link=here)]

    def _expired(self, binding: Binding, now: float) -> list[Action]:
        if binding.state is not BindingState.MOVING:
            return self._end(binding, BindingEvent.EXPIRED, now)
        binding.go(BindingEvent.EXPIRED)
        return self._remove_tunnel(binding)

    def _end(self, binding: Binding, event: BindingEvent, now: float) -> list[Action]:
        binding.go(event)
        self._active -= 1
        self._forget_hi(binding)
        self._remember(binding, now)
        returned = event is BindingEvent.RETURNED or (event is BindingEvent.FBU_ZERO and binding.on_link)
        return [*self._remove_tunnel(binding, returned=returned), *self._release(binding)]

    def _remove_tunnel(self, binding: Binding, *, returned: bool = False) -> list[Action]:
        endpoint, binding.endpoint, binding.proposed = binding.endpoint, None, None
        binding.supplied = None
        self.timers.cancel(("lifetime", binding))
        return [RemoveTunnel(binding.pcoa, endpoint, returned)] if endpoint is not None else []

    def _remember(self, binding: Binding, now: float) -> None:
        """Keep the sequence number, so that a late or repeated FBU does nothing."""
        self.timers.set(("memory", binding), now + self._p.memory_s)
