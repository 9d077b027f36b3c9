"""Applications of other people on a drive: what one must do, and how a drive runs them.

An application is a few processes in the namespaces of mobile node and correspondent. It is started when the
home address is reachable and lasts the drive; what it saw comes back as streams (lies.testbed.rates).
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen

from lies.errors import LiesError
from lies.kernel.netns import die_with_parent
from lies.runtime import now_s
from lies.testbed.node import Node, stop_all
from lies.testbed.rates import Stream

Main = Callable[[Callable[[], None]], int]
_LATE_S = 90.0  # how long an application may last after the drive: a stalled TCP backs off for long
_SUM_UP_S = 5.0  # and its servers after their clients
_POLL_S = 0.05


class ApplicationFailed(LiesError):
    """An application that could not be run, or that left nothing which can be judged."""


@frozen
class Site:
    """Where an application is run.

    folder: for its files; spawn(name, main): forks a process into the namespace `name`; descriptor(name):
    that namespace; rate_mbps: each way.
    """

    folder: Path
    spawn: Callable[[str, Main], Node]
    descriptor: Callable[[str], int]
    rate_mbps: float


class Application(Protocol):
    """One application. Its methods are called in this order; each may raise ApplicationFailed."""

    def prepare(self, site: Site) -> list[Node]:
        """Start what listens: processes that say when they are ready, and end after their clients."""
        ...

    async def start(self, site: Site, left_s: float) -> list[Node]:
        """Begin, for `left_s` of driving: the processes whose end is the application's end."""
        ...

    def ended(self, site: Site, node: Node) -> None:
        """One of these has ended: raise if the drive need not go on."""
        ...

    def streams(self, site: Site) -> list[Stream]:
        """What was seen; every process has ended."""
        ...


@define
class Applications:
    """The applications of one drive and their processes; none until `prepare`."""

    servers: list[Node] = field(factory=list, init=False)
    _sites: list[tuple[Application, Site]] = field(factory=list)
    _clients: list[tuple[Application, Site, Node]] = field(factory=list)
    _ended: set[int] = field(factory=set)
    _streams: list[Stream] = field(factory=list)

    def prepare(self, application: Application, site: Site) -> None:
        """Take an application on, and start what listens."""
        self._sites.append((application, site))
        self.servers += application.prepare(site)

    async def start(self, left_s: float) -> None:
        """Begin."""
        for application, site in self._sites:
            started = await application.start(site, left_s)
            self._clients += [(application, site, node) for node in started]

    def check(self) -> bool:
        """Whether all have ended; ApplicationFailed if one ended in a way that leaves nothing to see."""
        for application, site, node in self._clients:
            if node.pid not in self._ended and node.poll() is not None:
                self._ended.add(node.pid)
                application.ended(site, node)
        return len(self._ended) == len(self._clients)

    async def finish(self) -> None:
        """Wait for their end, some time at most, then for what they saw."""
        limit = now_s() + _LATE_S
        while not self.check() and now_s() < limit:  # noqa: ASYNC110 - a process ends, nobody tells
            await asyncio.sleep(_POLL_S)
        limit = now_s() + _SUM_UP_S
        while any(n.poll() is None for n in self.servers) and now_s() < limit:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_POLL_S)
        self.stop()
        self._streams = [s for a, site in self._sites for s in a.streams(site)]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What they saw, after `finish`."""
        return tuple(self._streams)

    def stop(self) -> None:
        """End every process that is left: clients first."""
        stop_all([*self.servers, *(node for _, _, node in self._clients)])


def executes(path: str, words: Sequence[str], output: Path) -> Main:
    """A main that becomes another program, whose output goes into a file; it dies with the drive."""

    def main(ready: Callable[[], None]) -> int:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.dup2(descriptor, 1)
        die_with_parent(signal.SIGKILL)  # SIGTERM it may take for a wish to sum up first
        ready()
        os.execv(path, [path, *words])  # noqa: S606 - no shell wanted

    return main
