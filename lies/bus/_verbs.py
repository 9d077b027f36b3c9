"""The verbs of lies.consumer.BusClient, over `_ask`: how a request gets its Confirm."""

from abc import ABC, abstractmethod
from itertools import count
from typing import Any, NoReturn

from attrs import evolve

from lies.bus._registration import EVERY_LINK
from lies.errors import LinkError, LinkErrorReason, NotPermitted
from lies.events import (
    PRIMITIVES,
    Crossing,
    Indication,
    LinkConnectRequest,
    LinkDisconnectRequest,
    LinkGoingDownRequest,
    LinkStatusChangedRequest,
    LinkStatusConfirm,
    LinkStatusRequest,
    PoAFoundRequest,
    PoAListConfirm,
    PoAListRequest,
    PoALostRequest,
    PrimitiveType,
    Quality,
    Result,
)


def raise_refusal(reason: str) -> NoReturn:
    """Raise what the reason of a Confirm(Error), `LinkErrorReason: sentence`, stands for."""
    code, _, sentence = reason.partition(": ")
    try:
        known = LinkErrorReason(code)
    except ValueError:
        raise LinkError(LinkErrorReason.INVALID, reason) from None
    if known is LinkErrorReason.NOT_PERMITTED:
        raise NotPermitted(sentence)
    raise LinkError(known, sentence)


def registration_request(
    primitive: str,
    link: str,
    *,
    event: Crossing,
    threshold: Quality | None,
    min_confidence: float,
) -> Any:  # noqa: ANN401 - one of the eight registration requests
    """The Request(Enable), request_id 0; LinkError(INVALID) for a primitive nobody can register for."""
    known = PRIMITIVES.get(primitive)
    if known is None or known.kind is not PrimitiveType.EVENT:
        names = ", ".join(p.name for p in PRIMITIVES.values() if p.kind is PrimitiveType.EVENT)
        raise LinkError(
            LinkErrorReason.INVALID, f"{primitive!r} cannot be registered for; these can: {names}"
        )
    request = known.request(0, link)
    match request:
        case LinkStatusChangedRequest():
            return evolve(request, event=event, threshold=threshold)
        case LinkGoingDownRequest():
            return evolve(request, min_confidence=min_confidence)
        case PoAFoundRequest() | PoALostRequest():
            return evolve(request, threshold=threshold)
    return request


class Asker(ABC):
    """What every kind of client has: its name, numbers for its requests, its registrations, its reports."""

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self._epoch = epoch
        self._request_ids = count(1)
        self._reported = 0
        self._enabled: dict[int, Any] = {}  # registration -> its Request(Enable)

    @abstractmethod
    def _send_report(self, report: Indication) -> None:
        """Hand a report with its final header to the bus."""

    def _enabled_as(self, request: Any, confirm: Any) -> int:  # noqa: ANN401 - a request and its confirm
        """Remember a registration that was confirmed; its number for the consumer."""
        number: int = confirm.registration
        self._enabled[number] = request
        return number

    def _disabling(self, registration: int) -> Any:  # noqa: ANN401 - a registration request
        """The Request(Disable) of a registration; LinkError(INVALID) if there is none."""
        request = self._enabled.get(registration)
        if request is None:
            raise LinkError(LinkErrorReason.INVALID, f"there is no registration {registration}")
        return evolve(request, request_id=next(self._request_ids), enable=False)

    def publish(self, report: Indication) -> None:
        """Publish an L3 report; its header's publisher, epoch and sequence are set here.

        The bus takes it only with the right to act, as its effect is on what other consumers do.
        """
        self._reported += 1
        header = evolve(report.header, publisher=self.name, epoch=self._epoch, sequence=self._reported)
        self._send_report(evolve(report, header=header))


class Verbs(Asker):
    """Requests of a consumer as calls; `_ask` sends one and gives back its Confirm(Ack)."""

    @abstractmethod
    async def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        """The Confirm(Ack) of a request; raises what a Confirm(Error) stands for."""

    async def register(
        self,
        primitive: str,
        link: str = EVERY_LINK,
        *,
        event: Crossing = Crossing.ANY,
        threshold: Quality | None = None,
        min_confidence: float = 0.0,
    ) -> int:
        """Request(Enable) -> Confirm(Ack): the registration's number.

        A second one for the same primitive and link changes the parameters and keeps the number.
        """
        request = registration_request(
            primitive, link, event=event, threshold=threshold, min_confidence=min_confidence
        )
        confirm = await self._ask(evolve(request, request_id=next(self._request_ids)))
        return self._enabled_as(request, confirm)

    async def disable(self, registration: int) -> None:
        """Request(Disable): nothing more is indicated for that registration."""
        await self._ask(self._disabling(registration))
        self._enabled.pop(registration, None)

    async def link_status(self, link: str) -> LinkStatusConfirm:
        """L2-LinkStatus (RFC 5184 section 4.1)."""
        confirm: LinkStatusConfirm = await self._ask(LinkStatusRequest(next(self._request_ids), link))
        return confirm

    async def poa_list(self, link: str) -> PoAListConfirm:
        """L2-PoAList (RFC 5184 section 4.2), best first."""
        confirm: PoAListConfirm = await self._ask(PoAListRequest(next(self._request_ids), link))
        return confirm

    async def link_connect(self, link: str, poa: str) -> None:
        """L2-LinkConnect: returns at the Confirm(Ack) (RFC 5184 section 4.8)."""
        await self._ask(LinkConnectRequest(next(self._request_ids), link, poa))

    async def link_disconnect(self, link: str, poa: str | None = None) -> None:
        """L2-LinkDisconnect: returns at the Confirm(Ack) (RFC 5184 section 4.9)."""
        await self._ask(LinkDisconnectRequest(next(self._request_ids), link, poa))


def checked(confirm: Any) -> Any:  # noqa: ANN401 - any confirm
    """The confirm if it is an Ack; raises what an Error stands for."""
    if confirm.result is Result.ERROR:
        raise_refusal(confirm.reason or "invalid: refused without a reason")
    return confirm
