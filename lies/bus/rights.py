"""The three rights on the bus, asked in one place."""

import os
from collections.abc import Collection, Mapping
from enum import StrEnum

from lies.errors import NotPermitted


class Right(StrEnum):
    """What a peer may do; none includes another."""

    LISTEN = "listen"  # type 1 and type 2 requests, snapshots
    ACT = "act"  # type 3 requests, and the reports of upper layers
    PUBLISH = "publish"  # announce links and indicate their events


ALL_RIGHTS = frozenset(Right)


class Rights:
    """Which user may do what on this machine.

    by_uid: rights of listed users; others: rights of everyone else who can open the socket files. Root and
    the user that the daemon runs as have all rights unless `by_uid` lists them with less.
    """

    def __init__(
        self,
        by_uid: Mapping[int, Collection[Right]] | None = None,
        *,
        others: Collection[Right] = (),
        owner: int | None = None,
    ) -> None:
        own = os.geteuid() if owner is None else owner
        self._by_uid: dict[int, frozenset[Right]] = {0: ALL_RIGHTS, own: ALL_RIGHTS}
        self._by_uid.update({uid: frozenset(rights) for uid, rights in (by_uid or {}).items()})
        self._others = frozenset(others)

    def of(self, uid: int | None) -> frozenset[Right]:
        """The rights of a user; uid None is a peer whose user is not known, who has none."""
        if uid is None:
            return frozenset()
        return self._by_uid.get(uid, self._others)

    def check(self, uid: int | None, right: Right) -> None:
        """NotPermitted if the user does not have the right."""
        if right not in self.of(uid):
            who = "a peer of unknown user" if uid is None else f"uid {uid}"
            raise NotPermitted(f"{who} has no right to {right.value} on this bus")
