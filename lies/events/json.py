"""JSON form of indications and raw messages: what recordings and `lies trace -j` write.

One flat object an event: `type` (name on the wire), the header's fields (`link`, `technology`,
`publisher`, `epoch`, `sequence`, `mono_ns`, `wall_ns`), then the parameters. bytes are base64.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from lies.errors import MalformedMessage
from lies.events._indications import Indication
from lies.events._raw import Raw
from lies.events._table import INDICATION_CLASSES, INDICATION_NAMES
from lies.events._types import Header, Link

_HEADER = ("publisher", "epoch", "sequence", "mono_ns", "wall_ns")


def to_json_object(event: Indication | Raw) -> dict[str, Any]:
    """The flat object of an event; KeyError if it is neither an indication nor a raw message."""
    header = event.header
    out: dict[str, Any] = {
        "type": INDICATION_NAMES[type(event)],
        "link": header.link.name,
        "technology": str(header.link.technology),
    }
    out.update((name, getattr(header, name)) for name in _HEADER)
    for field in attrs.fields(type(event)):
        if field.name != "header":
            out[field.name] = msgspec.to_builtins(getattr(event, field.name))
    return out


def from_json_object(data: Mapping[str, Any]) -> Indication | Raw:
    """The event of a flat object; MalformedMessage if it is none. Unknown keys are left out."""
    name = data.get("type")
    cls = INDICATION_CLASSES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise MalformedMessage(f"not an event: type {str(name)[:40]!r}")
    try:
        link = msgspec.convert({"name": data["link"], "technology": data["technology"]}, Link)
        header = msgspec.convert({**{k: data[k] for k in _HEADER}, "link": link}, Header)
        given = {f.name: data[f.name] for f in attrs.fields(cls) if f.name in data}
        event: Indication | Raw = msgspec.convert({**given, "header": header}, cls)
    except KeyError as error:
        raise MalformedMessage(f"{name}: {error.args[0]} is missing") from error
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise MalformedMessage(f"{name}: {error}") from error
    return event
