"""The three rights on the bus, asked in one place."""

import os
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeAlias

from attrs import frozen

from lies.errors import NotPermitted

Who: TypeAlias = int | str | None
"""Whom the transport vouches for: the uid of a local peer, the public CURVE key of one on TCP, or nobody."""


class Right(StrEnum):
    """What a peer may do; none includes another."""

    LISTEN = "listen"  # type 1 and type 2 requests, snapshots
    ACT = "act"  # type 3 requests, and the reports of upper layers
    PUBLISH = "publish"  # announce links and indicate their events


ALL_RIGHTS = frozenset(Right)


@frozen
class ListedKey:
    """A public key of the allow-list; name: what the administrator calls it, for sentences and logs."""

    name: str
    rights: frozenset[Right]


class Rights:
    """Who may do what: users of this machine by uid, peers on TCP by public key.

    by_uid: rights of listed users; others: rights of everyone else who can open the socket files; owner: the
    user that the daemon runs as, None for that of this process. Root and the owner have all rights unless
    `by_uid` lists them with less. keys: public CURVE key -> what its holder may do; who is not in it is not
    let in at all.
    """

    def __init__(
        self,
        by_uid: Mapping[int, Collection[Right]] | None = None,
        *,
        others: Collection[Right] = (),
        owner: int | None = None,
        keys: Mapping[str, ListedKey] | None = None,
    ) -> None:
        own = os.geteuid() if owner is None else owner
        self._by_uid: dict[int, frozenset[Right]] = {0: ALL_RIGHTS, own: ALL_RIGHTS}
        self._by_uid.update({uid: frozenset(rights) for uid, rights in (by_uid or {}).items()})
        self._others = frozenset(others)
        self._keys = dict(keys or {})

    def of(self, who: Who) -> frozenset[Right]:
        """The rights of a peer; None is a peer whom nothing vouches for, who has none."""
        if who is None:
            return frozenset()
        if isinstance(who, str):
            listed = self._keys.get(who)
            return frozenset() if listed is None else listed.rights
        return self._by_uid.get(who, self._others)

    def become(self, other: "Rights") -> None:
        """Grant from now on what `other` grants; BusServer.recheck then lets go who has lost a right."""
        vars(self).update(vars(other))

    def lists(self, key: str) -> bool:
        """Whether a public CURVE key is on the allow-list."""
        return key in self._keys

    def check(self, who: Who, right: Right) -> None:
        """NotPermitted if the peer does not have the right."""
        if right not in self.of(who):
            raise NotPermitted(f"{self._called(who)} has no right to {right.value} on this bus")

    def _called(self, who: Who) -> str:
        if who is None:
            return "a peer of unknown user"
        if isinstance(who, str):
            return f"key {self._keys[who].name}" if who in self._keys else "a key that is not listed"
        return f"uid {who}"
