"""The outer source of tunnels, chosen with address labels (RFC 6724 section 2.1, rule 6).

A route into a tunnel names the far end only; the kernel takes the address of the interface whose label is
that of the far end. So a tunnel changes its source when the label of its far end changes, which happens in
one step: an entry for one interface goes before one for all. Taking the old label away first would leave a
moment in which packets go out with any source.
"""

import zlib
from ipaddress import IPv6Address, IPv6Network

from lies.kernel import messages as m

_LABELS = 0x40000000
_ALL = 0  # interfaces


def label_of(address: IPv6Address) -> int:
    """An address label that pairs a tunnel's far end with one of our addresses."""
    return _LABELS | (zlib.crc32(address.packed) & 0x3FFFFFFF)


def is_label_of_ours(label: int) -> bool:
    """Whether label_of gives such labels."""
    return label & 0xC0000000 == _LABELS


class OuterSources:
    """The sources of the tunnels that leave by one interface, given by its index.

    Methods return messages, for lies.kernel.netlink.Netlink.execute with ignore=GONE.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._sources: set[IPv6Address] = set()
        self._peers: dict[
            IPv6Address, tuple[IPv6Address, int]
        ] = {}  # far end -> source, interface of its entry

    def choose(self, peer: IPv6Address, source: IPv6Address) -> list[bytes]:
        """Tunnels to `peer` come from `source`, an address of the interface."""
        messages: list[bytes] = []
        if source not in self._sources:
            self._sources.add(source)
            messages += [_label(source, None), _label(source, source)]
        known = self._peers.get(peer)
        if known is None:  # also what somebody who was killed may have left
            messages += [_label(peer, None, i) for i in (self._index, _ALL)]
            messages.append(_label(peer, source, self._index))
            self._peers[peer] = source, self._index
        elif known[0] != source:
            other = _ALL if known[1] == self._index else self._index
            messages += [_label(peer, source, other), _label(peer, None, known[1])]
            self._peers[peer] = source, other
        return messages

    def forget(self, address: IPv6Address) -> list[bytes]:
        """An address that is no far end any more, or no source."""
        messages = []
        if address in self._sources:
            self._sources.discard(address)
            messages.append(_label(address, None))
        if (known := self._peers.pop(address, None)) is not None:
            messages.append(_label(address, None, known[1]))
        return messages

    def forget_all(self) -> list[bytes]:
        """Every address."""
        return [message for a in (*self._sources, *self._peers) for message in self.forget(a)]


def _label(address: IPv6Address, source: IPv6Address | None, index: int = _ALL) -> bytes:
    number = 0 if source is None else label_of(source)
    return m.address_label(IPv6Network((address, 128)), number, index=index, add=source is not None)
