"""The verbs of a blocking client: those of lies.bus._verbs.Verbs, each returning when it is confirmed."""

from abc import abstractmethod
from typing import Any

from attrs import evolve

from lies.bus._registration import EVERY_LINK
from lies.bus._verbs import Asker, registration_request
from lies.events import (
    Crossing,
    LinkConnectRequest,
    LinkDisconnectRequest,
    LinkStatusConfirm,
    LinkStatusRequest,
    PoAListConfirm,
    PoAListRequest,
    Quality,
)


class BlockingVerbs(Asker):
    """Requests of a consumer as calls that wait; LinkError, NotPermitted, TimedOut."""

    @abstractmethod
    def _ask(self, request: Any) -> Any:  # noqa: ANN401 - any request and its confirm
        """The Confirm(Ack) of a request; raises what a Confirm(Error) stands for."""

    def register(
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
        confirm = self._ask(evolve(request, request_id=next(self._request_ids)))
        return self._enabled_as(request, confirm)

    def disable(self, registration: int) -> None:
        """Request(Disable): nothing more is indicated for that registration, once what waits was taken."""
        self._ask(self._disabling(registration))
        self._enabled.pop(registration, None)

    def link_status(self, link: str) -> LinkStatusConfirm:
        """L2-LinkStatus (RFC 5184 section 4.1)."""
        confirm: LinkStatusConfirm = self._ask(LinkStatusRequest(next(self._request_ids), link))
        return confirm

    def poa_list(self, link: str) -> PoAListConfirm:
        """L2-PoAList (RFC 5184 section 4.2), best first."""
        confirm: PoAListConfirm = self._ask(PoAListRequest(next(self._request_ids), link))
        return confirm

    def link_connect(self, link: str, poa: str) -> None:
        """L2-LinkConnect: returns at the Confirm(Ack) (RFC 5184 section 4.8)."""
        self._ask(LinkConnectRequest(next(self._request_ids), link, poa))

    def link_disconnect(self, link: str, poa: str | None = None) -> None:
        """L2-LinkDisconnect: returns at the Confirm(Ack) (RFC 5184 section 4.9)."""
        self._ask(LinkDisconnectRequest(next(self._request_ids), link, poa))
