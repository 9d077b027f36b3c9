"""What a driver's engine wants done with its links, as plain values, and the shell that does it.

An engine that follows a radio answers with these beside actions of its own; the driver's shell hands them to
`Links`, which owns the ports.
"""

import logging
from typing import assert_never

from attrs import frozen

from lies.driver import DriverHost, LinkPort
from lies.errors import LinkError
from lies.events import Link, LinkAction, RawItem


@frozen
class Open:
    """Announce a link."""

    link: Link
    controllable: bool


@frozen
class Close:
    """A link is no more."""

    link: str


@frozen
class Feed:
    """A raw item of a link."""

    link: str
    item: RawItem


@frozen
class Fail:
    """Indicate that a LinkConnect or LinkDisconnect came to nothing."""

    link: str
    action: LinkAction
    poa: str | None
    why: str


@frozen
class Say:
    """A sentence for people; serious: as a warning."""

    sentence: str
    serious: bool = False


LinkStep = Open | Close | Feed | Fail | Say


class Links:
    """The ports of one driver's links, by the links' names.

    name: the driver's configured one, with which everything begins that is logged; log: the driver's own. A
    link that the host does not take, such as another driver's, is not followed, and the log says so.
    """

    def __init__(self, name: str, host: DriverHost, log: logging.Logger) -> None:
        self._name = name
        self._host = host
        self._log = log
        self._ports: dict[str, LinkPort] = {}

    def perform(self, step: LinkStep) -> None:
        """Do what the engine wants; what is about a link that is not followed is passed over."""
        match step:
            case Feed(link=link, item=item):
                if link in self._ports:
                    self._ports[link].feed(item)
            case Open(link=link, controllable=controllable):
                self._open(link, controllable)
            case Close(link=link):
                port = self._ports.pop(link, None)
                if port is not None:
                    port.remove()
            case Fail():
                self._fail(step)
            case Say(sentence=sentence, serious=serious):
                level = logging.WARNING if serious else logging.INFO
                self._log.log(level, "%s: %s", self._name, sentence)
            case _:
                assert_never(step)

    def steer(self, link: str, *, controllable: bool) -> None:
        """Say anew whether requests of a link can be followed."""
        if link in self._ports:
            self._ports[link].steer(controllable=controllable)

    def _open(self, link: Link, controllable: bool) -> None:
        try:
            self._ports[link.name] = self._host.add_link(link, controllable=controllable)
        except LinkError as error:
            self._log.warning("%s: %s is not followed: %s", self._name, link.name, error)

    def _fail(self, step: Fail) -> None:
        what = f"Link{step.action.capitalize()} of {step.link}"
        where = f" to {step.poa}" if step.action is LinkAction.CONNECT else ""
        self._log.warning("%s: %s%s came to nothing: %s", self._name, what, where, step.why)
        if step.link in self._ports:
            self._ports[step.link].action_failed(step.action, step.poa, step.why)
