"""Write spec/events.schema.json, spec/asyncapi.yaml, and what pages show of the code.

`python scripts/make_spec.py` writes them; test_spec.py compares what is committed with what this makes.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import attrs
import msgspec
import yaml
from wire_example import with_example

from lies.bus.frames import BUS_LAYER, BUS_PROTOCOL, DELIVERY
from lies.bus.messages import BUS_MESSAGES
from lies.events import INDICATION_CLASSES, PRIMITIVES, PrimitiveClass, PrimitiveType
from lies.events.wire import CLASSES, MAX_BODY, VERSION, Tag

ROOT = Path(__file__).resolve().parent.parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "events.schema.json"
_HEADER_KEYS = ("link", "technology", "publisher", "epoch", "sequence", "mono_ns", "wall_ns")
_OTHER_STANDARDS = ("rfc5184", "ieee80221", "rfc4957")

Json = dict[str, Any]
Key = tuple[PrimitiveClass, str]


# ---- events.schema.json


def events_schema() -> Json:
    """The JSON Schema of one JSON line (the root), and under $defs of every msgpack body by class name."""
    _, bodies = msgspec.json.schema_components(
        [*CLASSES.values(), *BUS_MESSAGES.values()], ref_template="#/$defs/{name}"
    )
    definitions = {name: _tidy(body) for name, body in bodies.items()}
    lines = {f"line.{name}": _line(name, definitions) for name in INDICATION_CLASSES}
    return {
        "$schema": DIALECT,
        "title": "LIES events",
        "description": (
            "The root describes one line of `lies trace -j` and of a recording: flat objects, told apart by "
            "`type`. The definitions that are named after classes describe the msgpack bodies on the bus; "
            "there, values with contentEncoding base64 are msgpack bin."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in lines],
        "$defs": dict(sorted({**definitions, **lines}.items())),
    }


def _tidy(body: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """A schema of msgspec's with its docstrings unwrapped."""
    if isinstance(body, dict):
        tidied = {k: _tidy(v) for k, v in body.items()}
        if isinstance(body.get("description"), str):
            tidied["description"] = inspect.cleandoc(body["description"])
        return tidied
    if isinstance(body, list):
        return [_tidy(v) for v in body]
    return body


def _line(name: str, definitions: Json) -> Json:
    """The flat form that lies.events.json gives the indication `name`."""
    body = definitions[INDICATION_CLASSES[name].__name__]
    header = definitions["Header"]["properties"]
    link = definitions["Link"]["properties"]
    properties: Json = {
        "type": {"const": name},
        "link": link["name"],
        "technology": link["technology"],
        **{k: header[k] for k in _HEADER_KEYS if k not in {"link", "technology"}},
        **{k: v for k, v in body["properties"].items() if k != "header"},
    }
    required = ["type", *_HEADER_KEYS, *(k for k in body["required"] if k != "header")]
    return {
        "title": name,
        "description": body["description"],
        "type": "object",
        "properties": properties,
        "required": required,
    }


# ---- asyncapi.yaml

_ON_BUS_IN = ("hello", "snapshot", "plugins", "repair", "heartbeat", "goodbye")
_ON_BUS_OUT = ("welcome", "refused", "heartbeat", "gap", "snapshot", "batch", "plugins", "goodbye")
_ON_PUBLISH_IN = ("hello", "publish_link", "remove_link", "publish", "heartbeat", "goodbye")
_ON_PUBLISH_OUT = ("welcome", "refused", "heartbeat", "action", "raw_wanted", "levels_wanted", "goodbye")
_REQUESTS_OF_PUBLISH = {"hello", "publish_link", "remove_link", "publish"}


def asyncapi() -> Json:
    """AsyncAPI 3.0: the two endpoints as channels, every primitive's classes and the bus's own messages."""
    messages = {
        **{_message_name(key): _message(key, cls) for key, cls in CLASSES.items()},
        **{_message_name(key, bus=True): _message(key, cls, bus=True) for key, cls in BUS_MESSAGES.items()},
    }
    exchanges = _exchanges()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "LIES bus",
            "version": VERSION.decode(),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/msgpack",
        "servers": {
            "local": {
                "host": "localhost",
                "protocol": "zeromq",
                "description": "ROUTER sockets in the daemon's runtime directory; a peer is a DEALER.",
            },
            "remote": {
                "host": "{host}:{port}",
                "protocol": "zeromq",
                "description": (
                    "The same sockets as tcp://{host}:{port}, where [daemon.tcp] has them: one port for the "
                    "channel bus, another for publish."
                ),
                "variables": {"host": {"default": "localhost"}, "port": {"default": "5184"}},
                "security": [{"$ref": "#/components/securitySchemes/curve"}],
            },
        },
        "channels": {
            "bus": _channel("bus", "For consumers: requests, deliveries, reports.", exchanges),
            "publish": _channel("publish", "For drivers in processes of their own.", exchanges),
        },
        "operations": {name: _operation(name, names) for name, names in exchanges.items()},
        "components": {"messages": messages, "securitySchemes": {"curve": _CURVE}},
    }


_ABOUT = f"""\
Every message is a list of ZeroMQ frames: `{VERSION.decode()}`, the tag `LAYER:PROTOCOL:CLASS:NAME`
(RFC 5184 section 3), and a msgpack body of at most {MAX_BODY} octets whose keys are the fields of the class.
An indication that is delivered for a registration has a fourth frame of {DELIVERY.size} octets:
the registration (32 bits) and the indication's number in it (64 bits), both big-endian.
Behind a `publish` follow pairs of frames: tag and body of each of its indications.
PROTOCOL is the link's technology in requests (`*` where that is not known), `*` in publications, the
consumer's own protocol in confirms, deliveries and reports, and `{BUS_PROTOCOL}` in the layer `{BUS_LAYER}`.
"""


_CURVE = {
    "type": "asymmetricEncryption",
    "description": (
        "CurveZMQ (ZeroMQ RFC 26). A peer sets ZMQ_CURVE_SERVERKEY to the daemon's public key, and "
        "ZMQ_CURVE_PUBLICKEY and ZMQ_CURVE_SECRETKEY to a pair of its own, whose public key the daemon lists "
        "with rights. Any other handshake fails."
    ),
}


def _bus_key(name: str, *, incoming: bool) -> Key:
    """`snapshot` and `plugins` are requests inwards and something else outwards; no other name is."""
    keys = [key for key in BUS_MESSAGES if key[1] == name]
    if len(keys) == 1:
        return keys[0]
    (found,) = (key for key in keys if (key[0] is PrimitiveClass.REQUEST) == incoming)
    return found


def _exchanges() -> dict[str, list[str]]:
    """Operation of the daemon -> names of the messages in it."""
    reports = PRIMITIVES["report"].indications
    requests = [k for k in CLASSES if k[0] in {PrimitiveClass.REQUEST, PrimitiveClass.RESPONSE}]
    indications = [k for k in CLASSES if k[0] is PrimitiveClass.INDICATION]

    def bus(names: tuple[str, ...], *, incoming: bool) -> list[str]:
        return [_message_name(_bus_key(n, incoming=incoming), bus=True) for n in names]

    return {
        "bus.receive": [
            *bus(_ON_BUS_IN, incoming=True),
            *map(_message_name, requests),
            *(_message_name(k) for k in indications if k[1] in reports),
        ],
        "bus.send": [
            *bus(_ON_BUS_OUT, incoming=False),
            *(_message_name(k) for k in CLASSES if k[0] is PrimitiveClass.CONFIRM),
            *map(_message_name, indications),
        ],
        "publish.receive": [
            *bus(_ON_PUBLISH_IN, incoming=True),
            *(_message_name(k) for k in indications if k[1] not in reports),
        ],
        "publish.send": bus(_ON_PUBLISH_OUT, incoming=False),
    }


def _message_name(key: Key, *, bus: bool = False) -> str:
    cls, name = key
    return f"{'bus.' if bus else ''}{name}.{cls.value}"


def _message(key: Key, cls: type[Any], *, bus: bool = False) -> Json:
    tag = Tag(BUS_LAYER, BUS_PROTOCOL, *key) if bus else Tag("{layer}", "{protocol}", *key)
    doc = inspect.cleandoc(cls.__doc__ or "")
    return {
        "name": _message_name(key, bus=bus),
        "title": cls.__name__,
        "summary": doc.partition("\n")[0],
        "headers": {
            "type": "object",
            "required": ["version", "tag"],
            "properties": {
                "version": {"const": VERSION.decode()},
                "tag": {"type": "string", "pattern": _pattern(tag)},
            },
        },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{SCHEMA_FILE}#/$defs/{cls.__name__}"},
        },
    }


def _pattern(tag: Tag) -> str:
    """The regular expression of the tags that a message can have."""
    shape = tag.encode().decode().replace("{layer}", "L[23]").replace("{protocol}", "[^:]+")
    return f"^{shape}$"


def _channel(name: str, what: str, exchanges: dict[str, list[str]]) -> Json:
    carried = dict.fromkeys([*exchanges[f"{name}.receive"], *exchanges[f"{name}.send"]])
    return {
        "address": f"ipc://{{directory}}/{name}",
        "description": what,
        "parameters": {"directory": {"description": "The daemon's runtime directory."}},
        "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in carried},
    }


def _operation(name: str, names: list[str]) -> Json:
    channel, _, action = name.partition(".")
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"What the daemon {'takes' if action == 'receive' else 'sends'} on {channel}.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{m}"} for m in names],
    }


class _Dumper(yaml.SafeDumper):
    """Text of several lines keeps its lines, and nothing is an alias of something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - yaml's own
        """Write every value where it stands."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


# ---- docs/primitives.md

_KINDS = {
    PrimitiveType.INFORMATION: "1, information",
    PrimitiveType.EVENT: "2, event",
    PrimitiveType.ACTION: "3, action",
}


def names_table() -> str:
    """Each primitive's name here, in RFC 5184, in IEEE 802.21 and in RFC 4957."""
    rows = [["LIES", "type", "classes", "RFC 5184", "IEEE 802.21", "RFC 4957"]]
    for p in PRIMITIVES.values():
        classes = [p.request, p.confirm, *p.indications.values(), *([p.response] if p.response else [])]
        others = [getattr(p, standard) or "-" for standard in _OTHER_STANDARDS]
        rows.append([f"`{p.name}`", _KINDS[p.kind], ", ".join(f"`{c.__name__}`" for c in classes), *others])
    return _markdown(rows)


def fields_table() -> str:
    """Every indication and raw message with its fields beside the header."""
    rows = [["indication", "fields beside the header", "what it says"]]
    for name, cls in INDICATION_CLASSES.items():
        fields = ", ".join(f"`{f.name}`" for f in attrs.fields(cls) if f.name != "header")
        rows.append([f"`{name}`", fields, " ".join((cls.__doc__ or "").split())])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *rest])


def with_tables(text: str) -> str:
    """The page with what stands between `<!-- NAME -->` and `<!-- end -->` made anew."""
    for name, table in (("names", names_table()), ("fields", fields_table())):
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = f"{before}{mark}{table}\n{end}{after}"
    return text


def files() -> dict[Path, str]:
    """Every generated file and what belongs in it."""
    primitives = ROOT / "docs" / "primitives.md"
    protocol = ROOT / "spec" / "wire-protocol.md"
    return {
        ROOT / "spec" / SCHEMA_FILE: json.dumps(events_schema(), indent=2) + "\n",
        ROOT / "spec" / "asyncapi.yaml": yaml.dump(asyncapi(), Dumper=_Dumper, sort_keys=False, width=110),
        primitives: with_tables(primitives.read_text(encoding="utf-8")),
        protocol: with_example(protocol.read_text(encoding="utf-8")),
    }


def main() -> None:
    """Write them."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
