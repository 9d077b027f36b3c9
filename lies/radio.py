"""The shell of a driver whose radio is computed or recorded: measurements in, items and moves out.

A RadioSource says what is heard and when; the association rules say which PoA serves; the attachment
makes it so; the link port gets samples, Attached and Detached in order of t_ns. Nothing is measured while
the port is between two PoAs, as with a real radio.
"""

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from lies.association import Association, AssociationRules, Go
from lies.attachment import Attachment, attachment_needs, open_attachment
from lies.capabilities import Capability
from lies.driver import Driver, DriverHost, LinkPort
from lies.errors import LinkError
from lies.events import Attached, Detached, DownReason, LinkAction, RawItem, Sample
from lies.pace import Pace

log = logging.getLogger(__name__)


@frozen
class Measurement:
    """What the radio has just measured; levels: every PoA heard, in the association rules' dB."""

    sample: Sample
    levels: Mapping[str, float] = field(factory=dict)


class RadioSource(Protocol):
    """A radio's ears. Both methods know nothing beyond the time they are asked for."""

    def next_ns(self, after_ns: int) -> int | None:
        """When the first measurement later than after_ns is due; None when there is none any more."""
        ...

    def measure(self, t_ns: int, serving: str | None) -> Measurement:
        """What is heard at t_ns, seen from the serving PoA."""
        ...


@frozen
class _Connect:
    poa: str


@frozen
class _Disconnect:
    poa: str | None


class RadioShell:
    """Runs one link over a source; requests come in through `connect` and `disconnect` at any time."""

    def __init__(self, port: LinkPort, attachment: Attachment, association: Association, pace: Pace) -> None:
        self._port = port
        self._attachment = attachment
        self._association = association
        self._pace = pace
        self._requests: deque[_Connect | _Disconnect] = deque()
        self._last_ns = -1

    @property
    def serving(self) -> str | None:
        """The PoA that serves now."""
        return self._association.serving

    def connect(self, poa: str) -> None:
        """L2-LinkConnect: followed as soon as the loop runs."""
        self._requests.append(_Connect(poa))
        self._pace.wake()

    def disconnect(self, poa: str | None) -> None:
        """L2-LinkDisconnect: followed as soon as the loop runs."""
        self._requests.append(_Disconnect(poa))
        self._pace.wake()

    async def run(self, source: RadioSource) -> None:
        """Measure and move until the source has no more."""
        while (due_ns := source.next_ns(self._last_ns)) is not None:
            if await self._pace.wait_until(due_ns):
                await self._follow_request()
                continue
            measured = source.measure(due_ns, self.serving)
            self._feed(measured.sample)
            await self._go(self._association.measured(due_ns, measured.levels))

    async def _follow_request(self) -> None:
        """The oldest request; the next one has to wait for a measurement that is due."""
        if not self._requests:
            return
        request = self._requests.popleft()
        if self._requests:
            self._pace.wake()
        match request:
            case _Connect(poa):
                go = self._association.connect(self._pace.now_ns(), poa)
                if go is None and self.serving not in {None, poa}:
                    why = "it is not heard well enough"
                    log.warning("LinkConnect to %s is not followed: %s", poa, why)
                    self._port.action_failed(LinkAction.CONNECT, poa, why)
                await self._go(go, LinkAction.CONNECT)
            case _Disconnect(poa):
                await self._go(self._association.disconnect(poa), LinkAction.DISCONNECT)

    async def _go(self, go: Go | None, asked: LinkAction | None = None) -> None:
        if go is None:
            return
        try:
            if go.poa is None:
                self._on_out(await self._attachment.detach(), go.reason)
            else:
                await self._move(go.poa, go.reason)
        except (LinkError, OSError) as error:
            log.warning("the radio cannot move to %s: %s", go.poa or "no PoA", error)
            if asked is not None:
                self._port.action_failed(asked, go.poa, str(error))
            self._association.refused(self._pace.now_ns())

    async def _move(self, poa: str, reason: DownReason) -> None:
        moved = await self._attachment.move(poa, lambda out_ns: self._on_out(out_ns, reason))
        self._association.arrived(poa)
        self._feed(Attached(moved.up_ns, poa, moved.port_out_ns, moved.port_in_ns))

    def _on_out(self, out_ns: int, reason: DownReason) -> None:
        serving = self.serving
        if serving is not None:
            self._association.left(out_ns)
            self._feed(Detached(out_ns, serving, reason))

    def _feed(self, item: RawItem) -> None:
        self._last_ns = max(self._last_ns, item.t_ns)
        self._port.feed(item)


class RadioDriver(Driver):
    """Base of drivers whose radio is computed or recorded: one task that plays, and at most one RadioShell.

    Its Config has `port` and `l2_gap_ms`.
    """

    def __init__(self, name: str, config: Any, host: DriverHost) -> None:  # noqa: ANN401 - its own Config
        super().__init__(name, config, host)
        self._attachment: Attachment | None = None
        self._shell: RadioShell | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def needs(cls, config: Any) -> frozenset[Capability]:  # noqa: ANN401 - its own Config
        """Those of its port."""
        return attachment_needs(config.port)

    async def stop(self) -> None:
        """Stop playing and give the port back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._attachment is not None:
            await self._attachment.close()
            self._attachment = None

    def link_connect(self, link: str, poa: str) -> None:
        """Move to a PoA if it is heard well enough; a link that is up stays where it is otherwise."""
        if self._shell is not None and self._follows(link):
            self._shell.connect(poa)

    def link_disconnect(self, link: str, poa: str | None) -> None:
        """Leave the PoA and stay away until the next LinkConnect."""
        if self._shell is not None and self._follows(link):
            self._shell.disconnect(poa)

    @abstractmethod
    def _follows(self, link: str) -> bool:
        """Whether requests of a link are for the shell."""

    def _open_radio(self, rules: AssociationRules, pace: Pace, port: Callable[[], LinkPort]) -> RadioShell:
        """The shell; port: announces its link, once the radio is there."""
        bridged = self.config.port
        candidates = frozenset(bridged.bridges) if bridged is not None else None
        self._attachment = open_attachment(bridged, l2_gap_ms=self.config.l2_gap_ms, pace=pace)
        self._shell = RadioShell(port(), self._attachment, Association(rules, candidates), pace)
        return self._shell

    def _begin(self, play: Callable[[], Coroutine[None, None, None]]) -> None:
        """Play to the end, and tell the host of it."""
        self._task = asyncio.create_task(self._run(play), name=f"{self.name}: play")

    async def _run(self, play: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await play()
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor decides
            self.host.failed(error)
        else:
            self.host.finished()
