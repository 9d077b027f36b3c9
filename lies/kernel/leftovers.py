"""Removes what one owner has in the kernel, also what a consumer that was killed left behind.

Everything that LIES adds says whose it is (lies.kernel.messages), so that a consumer which is started again
needs no memory of what it did before.
"""

from lies.kernel import messages as m
from lies.kernel.attributes import dump
from lies.kernel.netlink import Netlink
from lies.kernel.precedence import claimants, release
from lies.kernel.sources import is_label_of_ours

_BATCH = 256  # messages at once; their answers must fit into the socket's buffer
_IFAL_LABEL = 2


def sweep(netlink: Netlink, owner: int = m.OWNER_LIES) -> None:
    """Remove an owner's rules, routes, neighbour entries and addresses, and its claim on the local table.

    With the last claim the address labels go too, which have no owner. Devices stay: a consumer that is
    started again takes them over.
    """
    release(netlink, owner)
    for kind, proxies in (
        (m.RTM_GETRULE, False),
        (m.RTM_GETROUTE, False),
        (m.RTM_GETNEIGH, True),
        (m.RTM_GETNEIGH, False),
        (m.RTM_GETADDR, False),
    ):
        told = dump(netlink, kind, proxies=proxies)
        _remove(netlink, [m.as_removal(t.kind, t.body) for t in told if t.owner == owner])
    if not claimants(netlink):
        labels = dump(netlink, m.RTM_GETADDRLABEL)
        ours = [t for t in labels if is_label_of_ours(t.number(_IFAL_LABEL))]
        _remove(netlink, [m.as_removal(t.kind, t.body) for t in ours])


def _remove(netlink: Netlink, messages: list[bytes]) -> None:
    for begin in range(0, len(messages), _BATCH):
        netlink.execute(messages[begin : begin + _BATCH], ignore=m.GONE)
