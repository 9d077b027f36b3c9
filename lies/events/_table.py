"""The table of primitives: names, types and classes, and what each is called elsewhere.

Names on the wire, in JSON and on the command line are lower case with underscores.
"""

from enum import IntEnum, StrEnum
from typing import Any

from attrs import frozen

from lies.events import _indications as i
from lies.events import _raw as w
from lies.events import _requests as r


class PrimitiveType(IntEnum):
    """How a primitive is used (RFC 5184 section 3)."""

    INFORMATION = 1  # Request, Confirm with the data
    EVENT = 2  # Request(Enable), Confirm(Ack), then Indications
    ACTION = 3  # Request, Confirm(Ack) at once, then the action


class PrimitiveClass(StrEnum):
    """Class of a primitive (RFC 5184 section 3)."""

    REQUEST = "request"
    CONFIRM = "confirm"
    INDICATION = "indication"
    RESPONSE = "response"


@frozen
class Primitive:
    """One primitive: its registration name, its classes, and its names in other standards.

    indications: name on the wire -> class; a registration for `name` delivers all of them.
    """

    name: str
    kind: PrimitiveType
    request: type[Any]
    confirm: type[Any]
    indications: dict[str, type[Any]]
    response: type[Any] | None = None
    rfc5184: str | None = None
    ieee80221: str | None = None
    rfc4957: str | None = None


_INFO, _EVENT, _ACTION = PrimitiveType.INFORMATION, PrimitiveType.EVENT, PrimitiveType.ACTION

PRIMITIVES: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive(
            "link_status",
            _INFO,
            r.LinkStatusRequest,
            r.LinkStatusConfirm,
            {},
            rfc5184="L2-LinkStatus",
            ieee80221="Link_Get_Parameters",
        ),
        Primitive("poa_list", _INFO, r.PoAListRequest, r.PoAListConfirm, {}, rfc5184="L2-PoAList"),
        Primitive(
            "poa_found",
            _EVENT,
            r.PoAFoundRequest,
            r.PoAFoundConfirm,
            {"poa_found": i.PoAFound},
            r.PoAFoundResponse,
            "L2-PoAFound",
            "Link_Detected",
        ),
        Primitive(
            "poa_lost",
            _EVENT,
            r.PoALostRequest,
            r.PoALostConfirm,
            {"poa_lost": i.PoALost},
            r.PoALostResponse,
            "L2-PoALost",
        ),
        Primitive(
            "link_up",
            _EVENT,
            r.LinkUpRequest,
            r.LinkUpConfirm,
            {"link_up": i.LinkUp},
            r.LinkUpResponse,
            "L2-LinkUp",
            "Link_Up",
            "Link Up",
        ),
        Primitive(
            "link_down",
            _EVENT,
            r.LinkDownRequest,
            r.LinkDownConfirm,
            {"link_down": i.LinkDown},
            r.LinkDownResponse,
            "L2-LinkDown",
            "Link_Down",
            "Link Down",
        ),
        Primitive(
            "link_status_changed",
            _EVENT,
            r.LinkStatusChangedRequest,
            r.LinkStatusChangedConfirm,
            {"link_status_changed": i.LinkStatusChanged},
            r.LinkStatusChangedResponse,
            "L2-LinkStatusChanged",
            "Link_Parameters_Report",
        ),
        Primitive(
            "link_going_down",
            _EVENT,
            r.LinkGoingDownRequest,
            r.LinkGoingDownConfirm,
            {
                "link_going_down": i.LinkGoingDown,
                "link_going_down_cancelled": i.LinkGoingDownCancelled,
            },
            r.LinkGoingDownResponse,
            None,
            "Link_Going_Down, Link_Event_Rollback",
        ),
        Primitive(
            "link_connect",
            _ACTION,
            r.LinkConnectRequest,
            r.LinkConnectConfirm,
            {},
            rfc5184="L2-LinkConnect",
            ieee80221="Link_Action",
        ),
        Primitive(
            "link_disconnect",
            _ACTION,
            r.LinkDisconnectRequest,
            r.LinkDisconnectConfirm,
            {},
            rfc5184="L2-LinkDisconnect",
            ieee80221="Link_Action",
        ),
        Primitive(
            "link_action",
            _EVENT,
            r.LinkActionRequest,
            r.LinkActionConfirm,
            {"link_action_failed": i.LinkActionFailed},
            r.LinkActionResponse,
            None,
            "Link_Action",
        ),
        Primitive(
            "raw",
            _EVENT,
            r.RawRequest,
            r.RawConfirm,
            {
                "raw_sample": w.RawSample,
                "raw_attached": w.RawAttached,
                "raw_detached": w.RawDetached,
                "raw_warned": w.RawWarned,
                "raw_served": w.RawServed,
                "raw_state": w.RawState,
            },
        ),
        Primitive(
            "report",
            _EVENT,
            r.ReportRequest,
            r.ReportConfirm,
            {
                "care_of_address_changed": i.CareOfAddressChanged,
                "binding_updated": i.BindingUpdated,
                "handover_done": i.HandoverDone,
                "packets_buffered": i.PacketsBuffered,
            },
        ),
    )
}

INDICATION_CLASSES: dict[str, type[Any]] = {
    n: c for p in PRIMITIVES.values() for n, c in p.indications.items()
}
INDICATION_NAMES: dict[type[Any], str] = {c: n for n, c in INDICATION_CLASSES.items()}
PRIMITIVE_OF_INDICATION: dict[str, str] = {n: p.name for p in PRIMITIVES.values() for n in p.indications}


def indication_name(indication: object) -> str:
    """Name on the wire of an indication or raw message; KeyError if it is none."""
    return INDICATION_NAMES[type(indication)]
