"""Answers to consumers' requests (RFC 5184 sections 3 and 4)."""

from typing import Any

from attrs import evolve

from lies.bus._delivery import LEVELS, Delivery
from lies.bus._parties import MAX_NAME, Session
from lies.bus._registration import EVERY_LINK, PRIMITIVE_OF_REQUEST, check_parameters
from lies.bus.frames import Event
from lies.bus.messages import Action, ActionKind, Gap, LinkState, Repair
from lies.bus.rights import Right, Rights
from lies.errors import LiesError, LinkError, LinkErrorReason, MalformedMessage, NotPermitted
from lies.events import (
    PRIMITIVES,
    Confirm,
    LinkConnectConfirm,
    LinkConnectRequest,
    LinkDisconnectConfirm,
    LinkDisconnectRequest,
    LinkStatusConfirm,
    LinkStatusRequest,
    PoACondition,
    PoAListConfirm,
    PoAListRequest,
    Request,
    Result,
)


class RequestDesk:
    """Takes requests, checks rights and sense, and confirms before anything follows."""

    def __init__(self, delivery: Delivery, rights: Rights) -> None:
        self._delivery = delivery
        self._rights = rights

    def request(self, session: Session, request: Request) -> None:
        """Confirm a request; a Snapshot follows a registration's Confirm, the action a type 3's."""
        self._delivery.counters.requests += 1
        try:
            match request:
                case LinkStatusRequest():
                    self._link_status(session, request)
                case PoAListRequest():
                    self._poa_list(session, request)
                case LinkConnectRequest():
                    self._link_connect(session, request)
                case LinkDisconnectRequest():
                    self._link_disconnect(session, request)
                case _:
                    self._register(session, request)
        except LiesError as error:
            self._delivery.counters.refused += 1
            session.sink.confirm(_error_confirm(request, error))

    def repair(self, session: Session, repair: Repair) -> None:
        """Deliver `first`..`last` once more, or say what of it is gone, with a snapshot."""
        registration = session.by_number(repair.registration)
        if registration is None:
            return
        first, last = max(repair.first, 1), min(repair.last, registration.sequence)
        kept = registration.kept(first, last)
        oldest = kept[0][0] if kept else last + 1
        if first < oldest:
            self._delivery.counters.gaps += 1
            session.sink.gap(
                Gap(registration.id, registration.primitive, registration.link, None, first, oldest - 1)
            )
        for sequence, event in kept:
            self._delivery.counters.repaired += 1
            session.sink.deliver(registration, sequence, event)
        if first < oldest:
            session.sink.snapshot(self._delivery.snapshot())

    def report(self, session: Session, report: Any) -> None:  # noqa: ANN401 - one of the report classes
        """Publish an upper layer's report; needs the right to act. NotPermitted, MalformedMessage."""
        event = Event(report)
        try:
            self._rights.check(session.who, Right.ACT)
            if event.primitive != "report" or report.header.publisher != session.name:
                raise MalformedMessage(
                    f"{event.name} of {report.header.publisher[:MAX_NAME]!r} from consumer {session.name!r}"
                )
        except LiesError:
            self._delivery.counters.refused += 1
            raise
        self._delivery.do(lambda: self._delivery.report(session, event))

    def _link_status(self, session: Session, request: LinkStatusRequest) -> None:
        state = self._known(session, request.link, Right.LISTEN)
        session.sink.confirm(
            LinkStatusConfirm(request.request_id, Result.ACK, state.link, state.poa, state.condition)
        )

    def _poa_list(self, session: Session, request: PoAListRequest) -> None:
        state = self._known(session, request.link, Right.LISTEN)
        best_first = tuple(sorted(state.poas, key=_goodness, reverse=True))
        session.sink.confirm(PoAListConfirm(request.request_id, Result.ACK, state.link, best_first))

    def _known(self, session: Session, link: str, right: Right) -> LinkState:
        self._rights.check(session.who, right)
        state = self._delivery.states.get(link)
        if state is None:
            known = ", ".join(sorted(self._delivery.states)) or "none"
            raise LinkError(
                LinkErrorReason.UNKNOWN_LINK, f"no link is named {link[:MAX_NAME]!r}; known: {known[:255]}"
            )
        return state

    def _controllable(self, session: Session, link: str, poa: str | None) -> LinkState:
        state = self._known(session, link, Right.ACT)
        if link not in self._delivery.owners:
            raise LinkError(LinkErrorReason.UNSUPPORTED, f"the driver of {link} is lost")
        if not state.controllable:
            raise LinkError(LinkErrorReason.UNSUPPORTED, f"the driver of {link} cannot steer it")
        if poa is not None and not 0 < len(poa) <= 255:
            raise LinkError(LinkErrorReason.INVALID, "a PoA has 1 to 255 characters")
        return state

    def _link_connect(self, session: Session, request: LinkConnectRequest) -> None:
        state = self._controllable(session, request.link, request.poa)
        others = {entry.poa for entry in state.poas} - {state.poa}
        # a driver that tells of no other PoA, or of a link that is down, has to find out by itself
        if state.up and others and request.poa not in {state.poa, *others}:
            problem = f"{request.poa!r} is not heard; {request.link} stays at {state.poa}"
            raise LinkError(LinkErrorReason.UNKNOWN_POA, problem)
        session.sink.confirm(LinkConnectConfirm(request.request_id, request.link, Result.ACK))
        self._delivery.owners[request.link].port.act(Action(ActionKind.CONNECT, request.link, request.poa))

    def _link_disconnect(self, session: Session, request: LinkDisconnectRequest) -> None:
        state = self._controllable(session, request.link, request.poa)
        if state.up and request.poa is not None and request.poa != state.poa:
            raise LinkError(
                LinkErrorReason.UNKNOWN_POA, f"{request.link} is at {state.poa}, not at {request.poa}"
            )
        session.sink.confirm(LinkDisconnectConfirm(request.request_id, request.link, Result.ACK))
        self._delivery.owners[request.link].port.act(Action(ActionKind.DISCONNECT, request.link, request.poa))

    def _register(self, session: Session, request: Any) -> None:  # noqa: ANN401 - a registration request
        self._rights.check(session.who, Right.LISTEN)
        check_parameters(request)
        delivery = self._delivery
        primitive = PRIMITIVE_OF_REQUEST[type(request)]
        known = registration = session.registrations.get((primitive, request.link))
        confirm = PRIMITIVES[primitive].confirm
        if not request.enable:
            if registration is None:
                raise LinkError(
                    LinkErrorReason.INVALID, f"{primitive} of {request.link[:64]!r} is not enabled"
                )
            delivery.disable(registration)
            session.sink.confirm(confirm(request.request_id, request.link, Result.ACK, registration.id))
            return
        if registration is None:
            if request.link != EVERY_LINK:
                self._known(session, request.link, Right.LISTEN)
            registration = delivery.enable(session, request)
        snapshot = delivery.snapshot(request.link)
        registration.start(request, snapshot.links)
        session.sink.confirm(confirm(request.request_id, request.link, Result.ACK, registration.id))
        session.sink.snapshot(evolve(snapshot, registration=registration.id))
        if primitive == "raw":
            delivery.tell_raw(request.link, on=True)
        elif primitive in LEVELS:
            delivery.tell_levels(request.link)
        if primitive == "report" and known is None:
            delivery.catch_up(registration)


def _goodness(entry: PoACondition) -> tuple[int, float]:
    return entry.condition.quality.rank, entry.condition.bandwidth_mbps or 0.0


_CONFIRM_OF_REQUEST = {p.request: p.confirm for p in PRIMITIVES.values()}


def _error_confirm(request: Any, error: LiesError) -> Confirm:  # noqa: ANN401 - any request
    """Confirm(Error): its reason is `LinkErrorReason: sentence`."""
    code = LinkErrorReason.INVALID
    if isinstance(error, LinkError):
        code = error.reason
    elif isinstance(error, NotPermitted):
        code = LinkErrorReason.NOT_PERMITTED
    reason = f"{code.value}: {error}"
    match request:
        case LinkStatusRequest():
            return LinkStatusConfirm(request.request_id, Result.ERROR, reason=reason)
        case PoAListRequest():
            return PoAListConfirm(request.request_id, Result.ERROR, reason=reason)
    confirm: Confirm = _CONFIRM_OF_REQUEST[type(request)](
        request.request_id, request.link, Result.ERROR, reason=reason
    )
    return confirm
