"""What a follower makes of its links, for tests: ports that hold it to what a driver promises."""

from collections.abc import Callable
from typing import Any

from lies.abstract import AbstractEntity, AeParameters
from lies.events import Header, Indication, Link, RawItem
from lies.link_steps import Close, Fail, Feed, Open, Say


class FollowedLinks:
    """The links that a follower has announced, what each was fed, and the abstract entities behind them.

    actions: all that were performed; links: name -> controllable; opened: every link in order.
    """

    def __init__(self) -> None:
        self.actions: list[Any] = []
        self.links: dict[str, bool] = {}
        self.opened: list[Link] = []
        self.items: dict[str, list[RawItem]] = {}
        self.entities: dict[str, AbstractEntity] = {}
        self.indications: list[Indication] = []
        self._number = 0

    def said(self) -> list[str]:
        """The sentences."""
        return [a.sentence for a in self.actions if isinstance(a, Say)]

    def failed(self) -> list[tuple[str, str | None, str]]:
        """What was asked for and came to nothing: action, PoA, and why."""
        return [(a.action.value, a.poa, a.why) for a in self.actions if isinstance(a, Fail)]

    def step(self, action: Any) -> None:
        """Perform what is about links; everything else is passed over."""
        match action:
            case Open(link=link, controllable=controllable):
                assert link.name not in self.links
                self.links[link.name] = controllable
                self.opened.append(link)
                self.items.setdefault(link.name, [])
                self.entities[link.name] = AbstractEntity(link, AeParameters(), self._stamp(link))
            case Close(link=link):
                assert not self.entities[link].status.up, "what is gone is down"
                del self.links[link], self.entities[link]
            case Feed(link=link, item=item):
                assert link in self.links
                self._take(link, item)
            case _:
                pass

    def _take(self, link: str, item: RawItem) -> None:
        entity = self.entities[link]
        before = self.items[link][-1].t_ns if self.items[link] else 0
        assert item.t_ns >= before, "times never go back"
        self.items[link].append(item)
        refused = entity.refused
        self.indications += entity.feed(item)
        assert entity.refused == refused, f"the abstract entity refuses {item}"

    def _stamp(self, link: Link) -> Callable[[int], Header]:
        def stamp(t_ns: int) -> Header:
            self._number += 1
            return Header("test", 1, self._number, t_ns, t_ns, link)

        return stamp
