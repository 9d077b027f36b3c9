"""Which of a node's links carries its traffic, and which are to be connected: preference, prediction, return.

The policy sees what the links' indications say and nothing else. Who watches the links (lies.links) asks it
at every indication, and again from time to time while a link that is not in use is up. It keeps no state, so
that it can be replaced by a class of one's own (lies.policies.make_link_policy).
"""

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from lies.events import Quality

_MAX_S = 3600
_SETTLE_S = 3.0


@frozen
class LinkView:
    """One link as the policy sees it; links are given in the order of the configuration.

    ready: it is up and can carry (of Mobile IPv6: has a care-of address); going_down: a LinkGoingDown holds,
    down_in_s: for so much longer; up_s: for how long it is up where it is; quality: its level, None if none
    was told; elsewhere: the best level of another PoA that it hears; in_use: it carries the traffic;
    reported: its care-of address is what a consumer reported last (FMIPv6, where that moves the node between
    links).
    """

    name: str
    up: bool = False
    ready: bool = False
    going_down: bool = False
    down_in_s: float = 0.0
    up_s: float = 0.0
    quality: Quality | None = None
    elsewhere: Quality = Quality.NONE
    in_use: bool = False
    reported: bool = False


class LinkPolicy(Protocol):
    """A policy: pure functions of the links."""

    def choose(self, links: Sequence[LinkView], /) -> str | None:
        """The link to use now, None to leave things as they are."""
        ...

    def wanted(self, links: Sequence[LinkView], /) -> Sequence[str]:
        """The links that are to be connected, if they are not."""
        ...


@frozen
class PreferredLinks:
    """The first link of the configuration that is sound; a link is left before it breaks.

    spare: a link that is going down is not left while it hears another PoA of this level or better (it moves
    by itself), and none below this level, or that is going down, is returned to; lead_s: a link is left when
    the break is that near, while the next one is connected as soon as a break is announced; return_after_s: a
    link that is preferred to the one in use is taken once it is up for so long; keep_connected: every link is
    connected all the time, not only when the ones before it are leaving.
    """

    spare: Quality = Quality.FAIR
    lead_s: float = 1.0
    return_after_s: float = 2.0
    keep_connected: bool = False

    def __attrs_post_init__(self) -> None:
        for name in ("lead_s", "return_after_s"):
            if not 0 <= getattr(self, name) <= _MAX_S:  # also refuses NaN
                raise ValueError(f"{name} must lie between 0 and {_MAX_S}")

    def choose(self, links: Sequence[LinkView], /) -> str | None:
        """The first that is sound and up for long enough; of those that are not, the one in use, or any."""
        now = next((k for k in links if k.in_use), None)
        works = now is not None and (self._sound(now) or _settling(now))
        for link in links:
            if link.in_use and works:
                return link.name
            if self._sound(link) and (not works or self._worth(link)):
                return link.name
        if now is not None and (now.ready or _settling(now)):
            return now.name
        return next((k.name for k in links if k.ready), None)

    def wanted(self, links: Sequence[LinkView], /) -> Sequence[str]:
        """Links in order, down to the first that is sound."""
        found = []
        for link in links:
            if not link.up:
                found.append(link.name)
            elif self._stays(link) and not self.keep_connected:
                break
        return found

    def _sound(self, link: LinkView) -> bool:
        return link.ready and (link.down_in_s > self.lead_s or not self._leaves(link))

    def _worth(self, link: LinkView) -> bool:
        if link.up_s < self.return_after_s or self._leaves(link):
            return False
        return link.quality is None or link.quality >= self.spare

    def _leaves(self, link: LinkView) -> bool:
        return link.going_down and link.elsewhere < self.spare

    def _stays(self, link: LinkView) -> bool:
        return (link.ready and not self._leaves(link)) or _settling(link)


@frozen
class ReportedLinks:
    """The link whose care-of address was reported last: for Mobile IPv6 beside an FMIPv6 with several links.

    It connects none, for FMIPv6 does.
    """

    def choose(self, links: Sequence[LinkView], /) -> str | None:
        """That link, None before the first report."""
        return next((k.name for k in links if k.reported), None)

    def wanted(self, links: Sequence[LinkView], /) -> Sequence[str]:
        """None."""
        del links
        return ()


def _settling(link: LinkView) -> bool:
    """It has just come up somewhere, and is about to have an address there."""
    return link.up and not link.ready and link.up_s < _SETTLE_S
