"""Room before the local table for rules that judge packets to own addresses.

The kernel asks its local table first, by a rule of preference 0. Who needs rules before it has a claim: a
rule `3: from all lookup local` of its own (the kernel keeps equal rules of different owners apart). While
there is any claim the rule at 0 is away; it comes back when the last claim goes. So no consumer depends on
another's end, and the claim of one that was killed is told by its owner.
"""

import errno

from lies.kernel import messages as m
from lies.kernel.attributes import rules
from lies.kernel.netlink import Netlink

PREFERENCE_FIRST = 0
PREFERENCE_LOCAL = 3  # 1 and 2 are for lies.kernel.tunnels
_TURNS = 8  # of settling with somebody who claims or releases at the same time


def claimants(netlink: Netlink) -> set[int | None]:
    """The owners that have a claim."""
    return {
        rule.owner
        for rule in rules(netlink)
        if rule.table == m.TABLE_LOCAL and rule.preference == PREFERENCE_LOCAL
    }


def claim(netlink: Netlink, owner: int) -> bool:
    """Have the local table asked after preference 0; False if the owner has a claim already."""
    if owner in claimants(netlink):
        return False
    netlink.execute([_claim(owner, add=True)], ignore=(errno.EEXIST,))
    _settle(netlink)
    return True


def release(netlink: Netlink, owner: int) -> None:
    """Give the claim up; nothing happens to who has none. The local table is asked at every moment."""
    have = claimants(netlink)
    if owner not in have:
        return
    if have == {owner}:
        netlink.execute([_first(add=True)], ignore=(errno.EEXIST,))
    netlink.execute([_claim(owner, add=False)], ignore=m.GONE)
    _settle(netlink)


def _settle(netlink: Netlink) -> None:
    """Have the rule at 0 if, and only if, there is no claim."""
    for _ in range(_TURNS):
        local = {rule.preference for rule in rules(netlink) if rule.table == m.TABLE_LOCAL}
        if local == {PREFERENCE_FIRST, PREFERENCE_LOCAL}:
            netlink.execute([_first(add=False)], ignore=m.GONE)
        elif not local:
            netlink.execute([_first(add=True)], ignore=(errno.EEXIST,))
        else:
            return


def _claim(owner: int, *, add: bool) -> bytes:
    return m.rule(PREFERENCE_LOCAL, table=m.TABLE_LOCAL, owner=owner, add=add)


def _first(*, add: bool) -> bytes:
    owner = m.OWNER_KERNEL if add else None
    return m.rule(PREFERENCE_FIRST, table=m.TABLE_LOCAL, owner=owner, add=add)
