"""What route netlink tells of an interface: up or down, its name, and whether somebody manages it."""

import struct

from attrs import frozen

from lies_nl80211 import uapi
from lies_nl80211.attributes import Frame, attributes, text, unsigned

_INFO = struct.Struct("=BxHiII")  # family, type, index, flags, change (struct ifinfomsg)


@frozen
class NetState:
    """An interface as of one message; name None: it is gone.

    up: the administrator's switch; passing: its operational state is UP; owned: its link mode is dormant,
    which wpa_supplicant and iwd set on the interfaces that they manage.
    """

    index: int
    name: str | None
    up: bool
    passing: bool
    owned: bool


def read_link(frame: Frame) -> NetState | None:
    """The state in a message; None if it holds none."""
    if frame.kind not in {uapi.RTM_NEWLINK, uapi.RTM_DELLINK} or len(frame.body) < _INFO.size:
        return None
    family, _, index, flags, _ = _INFO.unpack_from(frame.body)
    if family:  # a bridge's view of its port
        return None
    found = dict(attributes(frame.body, _INFO.size))
    gone = frame.kind == uapi.RTM_DELLINK
    return NetState(
        index,
        None if gone else text(found.get(uapi.IFLA_IFNAME)),
        bool(flags & uapi.IFF_UP) and not gone,
        unsigned(found.get(uapi.IFLA_OPERSTATE)) == uapi.IF_OPER_UP,
        unsigned(found.get(uapi.IFLA_LINKMODE)) == uapi.LINK_MODE_DORMANT,
    )


def get_links() -> bytes:
    """The body of a request for every interface."""
    return _INFO.pack(0, 0, 0, 0, 0)
