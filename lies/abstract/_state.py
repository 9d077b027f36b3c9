"""The whole memory of an abstract entity: what an export holds and a restore brings back."""

from collections.abc import Iterator
from typing import Any, Literal

import attrs
import msgspec
from attrs import define, field

from lies.abstract._damping import Damped
from lies.abstract._measure import is_name
from lies.abstract._slope import Line
from lies.errors import MalformedMessage
from lies.events import LinkGoingDown, Technology


@define
class PoaMemory:
    """One PoA that was heard, or is attached to.

    heard_ns: when last; rank: its level by hysteresis, 0 NONE ... 4 EXCELLENT; found: indicated by PoAFound
    and not yet by PoALost; damped: None where it was never measured; network, frequency_mhz: said last.
    """

    technology: Technology
    heard_ns: int
    rank: int = 0
    found: bool = False
    damped: Damped | None = None
    network: str | None = None
    frequency_mhz: float | None = None

    def learn(self, network: str | None, frequency_mhz: float | None) -> None:
        """Take what was said; None says nothing."""
        if network is not None:
            self.network = network
        if frequency_mhz is not None:
            self.frequency_mhz = frequency_mhz


@define
class Episode:
    """A LinkGoingDown that is neither withdrawn nor come true.

    indication: the last one; began_ns: of the first; told_ns: of the last; deadline_ns: withdrawn then;
    level_db: lowest margin to the break it was told at; sound_ns: since when the signal looks sound again,
    None while it does not; warned: the driver was told so, and will be told if it is no longer so.
    """

    indication: LinkGoingDown
    began_ns: int
    told_ns: int
    deadline_ns: int
    level_db: float
    sound_ns: int | None = None
    warned: bool = False


@define
class Service:
    """What the network said last of how it serves the link; as in Served."""

    technology: str | None = None
    registration: str | None = None
    limit_mbps: float | None = None


@define
class AeState:
    """Memory of an abstract entity; times are the driver's.

    refused: items ignored; behind: those in a row that went back in time; rank: level of the link as last
    indicated; bitrate_mbps, bitrate_ns: damped, and when; retries_hz, retries_ns: likewise; nearest_db,
    nearest_ns: strongest neighbour of the last scan; line, line_ns: margin to the break and its last time;
    quiet_ns, told_db: no LinkGoingDown before, unless far below; failures: withdrawals in a row; due_ns: a
    PoA may be too old then; service: as last told.
    """

    kind: Literal["lies-ae-1"] = "lies-ae-1"
    t_ns: int | None = None
    refused: int = 0
    behind: int = 0
    poa: str | None = None
    rank: int = 0
    bitrate_mbps: float | None = None
    bitrate_ns: int = 0
    retries_hz: float = 0.0
    retries_ns: int | None = None
    nearest_db: float = 0.0
    nearest_ns: int | None = None
    line: Line = field(factory=Line)
    line_ns: int | None = None
    episode: Episode | None = None
    quiet_ns: int | None = None
    told_db: float = 0.0
    failures: int = 0
    due_ns: int | None = None
    poas: dict[str, PoaMemory] = field(factory=dict)
    service: Service | None = None


_FIELDS = frozenset(a.name for a in attrs.fields(AeState))
_SINCE = frozenset({"service"})  # fields that memories of older recordings lack
_LIMIT = 1e12  # beyond every sum of dB and of squares that the memory keeps
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AeState)


def encode(state: AeState) -> bytes:
    """The msgpack of a memory."""
    return _encoder.encode(state)


def _numbers(value: Any) -> Iterator[int | float]:  # noqa: ANN401 - walks the msgpack of a state
    if isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _measured_ns(state: AeState) -> Iterator[int]:
    """The times of measurements, none of which can be after the state's own."""
    for t_ns in (state.retries_ns, state.nearest_ns, state.line_ns):
        if t_ns is not None:
            yield t_ns
    if state.bitrate_mbps is not None:
        yield state.bitrate_ns
    for memory in state.poas.values():
        yield memory.heard_ns
        if memory.damped is not None:
            yield memory.damped.t_ns


def _faults(state: AeState, raw: dict[str, Any], max_poas: int) -> Iterator[str]:
    """Why no entity can have this memory."""
    if raw.keys() | _SINCE != _FIELDS:
        yield "fields are missing or unknown"
    if not all(isinstance(n, int) or -_LIMIT < n < _LIMIT for n in _numbers(raw)):
        yield "a number is out of range"
    if not all(0 <= rank <= 4 for rank in (state.rank, *(m.rank for m in state.poas.values()))):
        yield "a level is none of the five"
    if not all(is_name(m.network) for m in state.poas.values() if m.network is not None):
        yield "a network's name is too long or cannot be shown"
    if len(state.poas) > max_poas:
        yield f"more than {max_poas} PoAs"
    if state.poa is None and state.episode is not None:
        yield "a link that is down is going down"
    if state.poa is not None and state.poa not in state.poas:
        yield "the attached PoA is missing"
    if any(state.t_ns is None or t_ns > state.t_ns for t_ns in _measured_ns(state)):
        yield "a measurement is later than the state"


def decode(data: bytes, max_poas: int) -> AeState:
    """The memory in `data`; MalformedMessage if it is none or one that no entity can have."""
    try:
        raw = msgspec.msgpack.decode(data)
        state = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise MalformedMessage(f"not the memory of an abstract entity: {error}") from error
    for fault in _faults(state, raw, max_poas):
        raise MalformedMessage(f"not the memory of an abstract entity: {fault}")
    return state
