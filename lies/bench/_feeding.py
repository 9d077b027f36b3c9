"""The abstract entity at work on a trace, as fast as it can; in a process of its own."""

import resource
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from lies.abstract import AbstractEntity, AeParameters
from lies.bench._drive import drive
from lies.bench._orders import Fed, Feed
from lies.bench._proc import rss_kb
from lies.errors import TraceFormatError
from lies.events import Header, Link, RawItem, Technology
from lies.trace import open_trace

PARTS = 5
_CHUNK = 1000  # items made or read at a time; only feeding them is measured


def feed(order: Feed) -> Fed:
    """Feed what is asked for, in PARTS parts; fewer items where the traces hold fewer."""
    items, cpu_s, rss, indications = [], [], [], 0
    numbers = count(1)
    source = _recorded(order.traces) if order.traces is not None else iter([("made", drive(order.seed))])
    link = Link("bench0", Technology.WIFI)
    chunks = _chunks(source)
    name, entity = "", None
    for _ in range(PARTS):
        fed, used_s = 0, 0.0
        while fed < order.samples // PARTS and (chunk := next(chunks, None)) is not None:
            if entity is None or chunk[0] != name:
                name = chunk[0]
                entity = AbstractEntity(
                    link, AeParameters(), lambda t_ns: Header("bench", 1, next(numbers), t_ns, t_ns, link)
                )
            begun_s = _cpu_s()
            for item in chunk[1]:
                indications += len(entity.feed(item))
            used_s += _cpu_s() - begun_s
            fed += len(chunk[1])
        items.append(fed)
        cpu_s.append(used_s)
        rss.append(round(rss_kb("self")))
    return Fed(tuple(items), tuple(cpu_s), tuple(rss), indications)


def _chunks(source: Iterator[tuple[str, Iterator[RawItem]]]) -> Iterator[tuple[str, list[RawItem]]]:
    for name, items in source:
        while chunk := list(islice(items, _CHUNK)):
            yield name, chunk


def _recorded(folder: Path) -> Iterator[tuple[str, Iterator[RawItem]]]:
    for path in sorted(folder.rglob("*.csv*")):
        try:
            yield path.name, (item for _, item in open_trace(path).items())
        except TraceFormatError:
            continue  # a list of files, not a trace


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
