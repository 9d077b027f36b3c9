"""Request, Confirm and Response classes of the primitives (RFC 5184 sections 3, 4 and 6.5).

Every request carries `request_id` (the requester's own number, copied into the Confirm) and the link's
name. Type 2 requests accept link "*": every link, also those that come later.
"""

from enum import StrEnum

from attrs import frozen

from lies.events._types import Condition, Crossing, Link, PoACondition, Quality


class Result(StrEnum):
    """Ack/Error (RFC 5184 section 6.5)."""

    ACK = "ack"
    ERROR = "error"


@frozen
class LinkStatusRequest:
    """L2-LinkStatus.request (RFC 5184 section 4.1)."""

    request_id: int
    link: str


@frozen
class LinkStatusConfirm:
    """L2-LinkStatus.confirm: poa None and quality NONE while the link is down; link None on Error."""

    request_id: int
    result: Result
    link: Link | None = None
    poa: str | None = None
    condition: Condition | None = None
    reason: str | None = None


@frozen
class PoAListRequest:
    """L2-PoAList.request (RFC 5184 section 4.2)."""

    request_id: int
    link: str


@frozen
class PoAListConfirm:
    """L2-PoAList.confirm: the candidate PoAs, best first."""

    request_id: int
    result: Result
    link: Link | None = None
    poas: tuple[PoACondition, ...] = ()
    reason: str | None = None


@frozen
class _Registration:
    request_id: int
    link: str
    enable: bool = True


@frozen
class _RegistrationConfirm:
    request_id: int
    link: str
    result: Result
    registration: int | None = None  # names the registration in deliveries and heartbeats
    reason: str | None = None


@frozen
class _Response:
    registration: int
    sequence: int  # every indication of the registration up to this one was received


@frozen
class LinkUpRequest(_Registration):
    """L2-LinkUp.request (RFC 5184 section 4.5)."""


@frozen
class LinkUpConfirm(_RegistrationConfirm):
    """L2-LinkUp.confirm (RFC 5184 section 4.5)."""


@frozen
class LinkUpResponse(_Response):
    """L2-LinkUp.response (optional, RFC 5184 section 3)."""


@frozen
class LinkDownRequest(_Registration):
    """L2-LinkDown.request (RFC 5184 section 4.6)."""


@frozen
class LinkDownConfirm(_RegistrationConfirm):
    """L2-LinkDown.confirm (RFC 5184 section 4.6)."""


@frozen
class LinkDownResponse(_Response):
    """L2-LinkDown.response (optional, RFC 5184 section 3)."""


@frozen
class LinkStatusChangedRequest:
    """L2-LinkStatusChanged.request: event type and threshold (RFC 5184 section 4.7)."""

    request_id: int
    link: str
    enable: bool = True
    event: Crossing = Crossing.ANY
    threshold: Quality | None = None  # needed by BELOW and ABOVE


@frozen
class LinkStatusChangedConfirm(_RegistrationConfirm):
    """L2-LinkStatusChanged.confirm (RFC 5184 section 4.7)."""


@frozen
class LinkStatusChangedResponse(_Response):
    """L2-LinkStatusChanged.response (optional, RFC 5184 section 3)."""


@frozen
class LinkGoingDownRequest(_Registration):
    """Registration for LinkGoingDown and LinkGoingDownCancelled (ours)."""

    min_confidence: float = 0.0  # 0.0..1.0


@frozen
class LinkGoingDownConfirm(_RegistrationConfirm):
    """Confirm of LinkGoingDownRequest (ours)."""


@frozen
class LinkGoingDownResponse(_Response):
    """Response to LinkGoingDown or LinkGoingDownCancelled (ours)."""


@frozen
class PoAFoundRequest(_Registration):
    """L2-PoAFound.request (RFC 5184 section 4.3); threshold: report PoAs of at least this level (ours)."""

    threshold: Quality | None = None


@frozen
class PoAFoundConfirm(_RegistrationConfirm):
    """L2-PoAFound.confirm (RFC 5184 section 4.3)."""


@frozen
class PoAFoundResponse(_Response):
    """L2-PoAFound.response (optional, RFC 5184 section 3)."""


@frozen
class PoALostRequest(_Registration):
    """L2-PoALost.request (RFC 5184 section 4.4); threshold: a PoA is lost below this level (ours)."""

    threshold: Quality | None = None


@frozen
class PoALostConfirm(_RegistrationConfirm):
    """L2-PoALost.confirm (RFC 5184 section 4.4)."""


@frozen
class PoALostResponse(_Response):
    """L2-PoALost.response (optional, RFC 5184 section 3)."""


@frozen
class LinkConnectRequest:
    """L2-LinkConnect.request (type 3, RFC 5184 section 4.8)."""

    request_id: int
    link: str
    poa: str


@frozen
class LinkConnectConfirm:
    """L2-LinkConnect.confirm: Ack at once, the action follows (RFC 5184 section 4.8)."""

    request_id: int
    link: str
    result: Result
    reason: str | None = None


@frozen
class LinkDisconnectRequest:
    """L2-LinkDisconnect.request (type 3, RFC 5184 section 4.9); poa None: whichever it is."""

    request_id: int
    link: str
    poa: str | None = None


@frozen
class LinkDisconnectConfirm:
    """L2-LinkDisconnect.confirm: Ack at once, the action follows (RFC 5184 section 4.9)."""

    request_id: int
    link: str
    result: Result
    reason: str | None = None


@frozen
class LinkActionRequest(_Registration):
    """Registration for LinkActionFailed (ours)."""


@frozen
class LinkActionConfirm(_RegistrationConfirm):
    """Confirm of LinkActionRequest (ours)."""


@frozen
class LinkActionResponse(_Response):
    """Response to LinkActionFailed (ours)."""


@frozen
class RawRequest(_Registration):
    """Registration for raw samples and driver inputs (ours)."""


@frozen
class RawConfirm(_RegistrationConfirm):
    """Confirm of RawRequest (ours)."""


@frozen
class ReportRequest(_Registration):
    """Registration for the reports of upper layers: care_of_address_changed and its kin (ours)."""


@frozen
class ReportConfirm(_RegistrationConfirm):
    """Confirm of ReportRequest (ours)."""


RegistrationRequest = (
    LinkUpRequest
    | LinkDownRequest
    | LinkStatusChangedRequest
    | LinkGoingDownRequest
    | PoAFoundRequest
    | PoALostRequest
    | LinkActionRequest
    | RawRequest
    | ReportRequest
)
Request = (
    RegistrationRequest | LinkStatusRequest | PoAListRequest | LinkConnectRequest | LinkDisconnectRequest
)
RegistrationConfirm = (
    LinkUpConfirm
    | LinkDownConfirm
    | LinkStatusChangedConfirm
    | LinkGoingDownConfirm
    | PoAFoundConfirm
    | PoALostConfirm
    | LinkActionConfirm
    | RawConfirm
    | ReportConfirm
)
Confirm = (
    RegistrationConfirm | LinkStatusConfirm | PoAListConfirm | LinkConnectConfirm | LinkDisconnectConfirm
)
Response = (
    LinkUpResponse
    | LinkDownResponse
    | LinkStatusChangedResponse
    | LinkGoingDownResponse
    | PoAFoundResponse
    | PoALostResponse
    | LinkActionResponse
)
