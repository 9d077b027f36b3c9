"""The home agent's engine of Mobile IPv6: the binding cache of home registrations (RFC 6275 section 10.3)."""

from collections import Counter
from ipaddress import IPv6Address

from attrs import define, field

from lies.packet import address_of, is_routable_unicast
from lies.timers import Timers
from lies_mipv6.actions import AcceptFrom, RefuseFrom, RemoveBinding, SendMessage, SetBinding
from lies_mipv6.actions import HomeAgentAction as Action
from lies_mipv6.items import HomeAgentItem as Item
from lies_mipv6.items import Received
from lies_mipv6.messages import BAStatus, BindingAcknowledgement, BindingUpdate
from lies_mipv6.parameters import HomeAgentConfig, Parameters, newer
from lies_mipv6.states import BINDING, BindingEvent, BindingState

_UNIT_S = 4  # lifetimes count in units of 4 s on the wire (6.1.7)


@define(eq=False)
class _Binding:
    """One home address; previous: earlier care-of addresses in their grace, oldest first."""

    home_address: IPv6Address
    state: BindingState = BindingState.ABSENT
    sequence: int = 0
    coa: IPv6Address | None = None
    previous: list[IPv6Address] = field(factory=list)

    def go(self, event: BindingEvent) -> None:
        """Change state by the table."""
        self.state = BINDING[self.state, event]


class HomeAgent:
    """Answers Binding Updates and says where packets go, and from where they are accepted.

    Driven by messages received and time. `dropped` counts messages that were not acted on, by cause.
    """

    def __init__(self, config: HomeAgentConfig, parameters: Parameters | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._c = config
        self._p = parameters or Parameters()
        self._bindings: dict[IPv6Address, _Binding] = {}
        self._served = frozenset(config.home_addresses) if config.home_addresses is not None else None
        self._timers: Timers[tuple[str, _Binding, bytes]] = Timers()  # with the octets of a care-of address

    def coa_of(self, home_address: IPv6Address) -> IPv6Address | None:
        """The registered care-of address."""
        binding = self._bindings.get(home_address)
        return binding.coa if binding is not None and binding.state is BindingState.BOUND else None

    def receive(self, item: Item, now: float) -> list[Action]:
        """What follows from a message."""
        update = item.message
        if not isinstance(update, BindingUpdate):
            return []
        home, coa = update.home_address, update.alternate_coa or item.source
        binding = self._bindings.get(home)
        cause = self._invalid(item, update, coa)
        if cause is not None:  # 9.5.4: no acknowledgement
            self.dropped[cause] += 1
            return []
        refusal = self._refusal(update, binding)
        if refusal is not None:
            last = binding.sequence if binding is not None else update.sequence
            out = refusal is BAStatus.SEQUENCE_OUT_OF_WINDOW
            return [self._ack(item, update, refusal, last if out else update.sequence, 0)]
        if update.lifetime_s == 0 or coa == home:
            assert binding is not None
            return self._deregister(binding, item, update, now)
        if binding is None:
            binding = self._bindings[home] = _Binding(home)
        return self._register(binding, coa, item, update, now)

    def next_timeout(self) -> float | None:
        """When handle_timeout wants to be called."""
        return self._timers.next()

    def handle_timeout(self, now: float) -> list[Action]:
        """What follows from time having come to `now`."""
        actions: list[Action] = []
        while (key := self._timers.pop_due(now)) is not None:
            kind, binding, octets = key
            home = binding.home_address
            if kind == "grace":
                coa = address_of(octets)
                binding.previous.remove(coa)
                actions.append(RefuseFrom(home, coa))
                continue
            if kind == "lifetime":
                actions += self._clear(binding)
            binding.go(BindingEvent.EXPIRED if kind == "lifetime" else BindingEvent.FORGOTTEN)
            del self._bindings[home]
        return actions

    def _invalid(self, item: Received, update: BindingUpdate, coa: IPv6Address) -> str | None:
        """Why a BU is not even answered; None if it is valid (9.5.1)."""
        if not (item.authenticated or self._c.insecure):
            return "BU without a security association"  # 5.1
        if not is_routable_unicast(coa.packed):
            return "BU whose care-of address is no unicast address"
        if not update.home_registration and update.home_address not in self._bindings:
            return "BU to a correspondent: route optimisation is switched off"
        return None

    def _refusal(self, update: BindingUpdate, binding: _Binding | None) -> BAStatus | None:
        home = update.home_address
        bound = binding is not None and binding.state is BindingState.BOUND
        status: BAStatus | None = None
        if binding is not None and not newer(update.sequence, binding.sequence):
            status = BAStatus.SEQUENCE_OUT_OF_WINDOW
        elif not update.home_registration:
            status = BAStatus.REGISTRATION_TYPE_CHANGE
        elif not self._c.serving:
            status = BAStatus.HOME_REGISTRATION_NOT_SUPPORTED
        elif home not in self._c.home_prefix:
            status = BAStatus.NOT_HOME_SUBNET
        elif home == self._c.address or (self._served is not None and home not in self._served):
            status = BAStatus.PROHIBITED
        elif (update.lifetime_s == 0 or update.alternate_coa == home) and not bound:
            status = BAStatus.NOT_HOME_AGENT
        elif binding is None and len(self._bindings) >= self._c.max_bindings:
            status = BAStatus.INSUFFICIENT_RESOURCES
        return status

    def _register(
        self, binding: _Binding, coa: IPv6Address, item: Received, update: BindingUpdate, now: float
    ) -> list[Action]:
        home, old = binding.home_address, binding.coa
        self._timers.cancel(("memory", binding, b""))
        binding.go(BindingEvent.UPDATE)
        binding.sequence = update.sequence
        lifetime_s = min(update.lifetime_s, self._p.max_lifetime_s)
        lifetime_s -= lifetime_s % _UNIT_S
        lifetime_s = max(lifetime_s, _UNIT_S)
        self._timers.set(("lifetime", binding, b""), now + lifetime_s)
        actions: list[Action] = []
        if coa in binding.previous:  # back at an earlier one: its grace is void
            binding.previous.remove(coa)
            self._timers.cancel(("grace", binding, coa.packed))
        if coa != old:
            binding.coa = coa
            if old is not None and self._c.grace_s > 0:
                actions.append(AcceptFrom(home, old))
                actions += self._begin_grace(binding, old, now)
            actions.append(SetBinding(home, coa))
            if old is not None and self._c.grace_s <= 0:
                actions.append(RefuseFrom(home, old))
        return [*actions, self._ack(item, update, BAStatus.ACCEPTED, update.sequence, lifetime_s)]

    def _begin_grace(self, binding: _Binding, old: IPv6Address, now: float) -> list[Action]:
        binding.previous.append(old)
        self._timers.set(("grace", binding, old.packed), now + self._c.grace_s)
        if len(binding.previous) <= self._c.max_previous:
            return []
        oldest = binding.previous.pop(0)
        self._timers.cancel(("grace", binding, oldest.packed))
        return [RefuseFrom(binding.home_address, oldest)]

    def _deregister(
        self, binding: _Binding, item: Received, update: BindingUpdate, now: float
    ) -> list[Action]:
        actions = self._clear(binding)
        binding.go(BindingEvent.ZERO)
        binding.sequence = update.sequence
        self._timers.set(("memory", binding, b""), now + self._p.max_delete_bce_timeout_s)
        return [*actions, self._ack(item, update, BAStatus.ACCEPTED, update.sequence, 0)]

    def _clear(self, binding: _Binding) -> list[Action]:
        home = binding.home_address
        for coa in binding.previous:
            self._timers.cancel(("grace", binding, coa.packed))
        binding.previous.clear()
        self._timers.cancel(("lifetime", binding, b""))
        binding.coa = None
        return [RemoveBinding(home)]

    def _ack(
        self, item: Received, update: BindingUpdate, status: BAStatus, sequence: int, lifetime_s: int
    ) -> SendMessage:
        """9.5.4: to the BU's source, with a type 2 routing header if the BU had a Home Address option."""
        home = update.home_address if item.source != update.home_address else None
        ack = BindingAcknowledgement(status, sequence, lifetime_s, home)
        return SendMessage(ack, self._c.address, item.source)
