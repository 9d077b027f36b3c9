"""The options of the route netlink driver."""

from fnmatch import fnmatchcase

from attrs import frozen

OWN = "lies-*"  # devices that LIES makes for its tunnels and buffers
LEAST_RECEIVE_OCTETS = 4096


@frozen(kw_only=True)
class RtnetlinkConfig:
    """The table `[drivers.NAME]`.

    interfaces: patterns (*, ?, [...]) of names; ignore: patterns of names that are left out all the same;
    loopback, wireless interfaces and LIES' own (lies-*) are never served. control: LinkConnect sets an
    interface up, LinkDisconnect down; it needs CAP_NET_ADMIN. receive_octets: what of the kernel's messages
    may wait; the kernel gives no more than net.core.rmem_max.
    """

    interfaces: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    control: bool = False
    receive_octets: int = 1 << 20

    def __attrs_post_init__(self) -> None:
        if not self.interfaces or not all((*self.interfaces, *self.ignore)):
            raise ValueError("interfaces needs a pattern, and no pattern is empty")
        if self.receive_octets < LEAST_RECEIVE_OCTETS:
            raise ValueError(f"receive_octets must be {LEAST_RECEIVE_OCTETS} or more")

    def names(self, interface: str) -> bool:
        """Whether an interface of this name is wanted."""
        return any(fnmatchcase(interface, p) for p in self.interfaces) and not any(
            fnmatchcase(interface, p) for p in (OWN, *self.ignore)
        )
