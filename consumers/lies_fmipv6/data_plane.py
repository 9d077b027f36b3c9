"""What the shells want of the kernel: the data plane's interface, one for each role.

lies_fmipv6.router_plane and lies_fmipv6.mobile_plane are the ones for Linux. Every method is an action of
lies_fmipv6.actions with its arguments. It raises LiesError where it cannot, and has done what it could.
"""

from ipaddress import IPv6Address
from typing import Protocol


class RouterDataPlane(Protocol):
    """An access router's: tunnels of nodes that left, waiting packets of nodes to come."""

    @property
    def opened(self) -> str:
        """The interface by which packets come in that were in a tunnel."""
        ...

    def start(self) -> None:
        """Begin to serve, on the running loop."""
        ...

    def add_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address) -> None:
        """AddTunnel."""
        ...

    def remove_tunnel(self, pcoa: IPv6Address, endpoint: IPv6Address, *, returned: bool = False) -> None:
        """RemoveTunnel."""
        ...

    def hold(self, pcoa: IPv6Address) -> None:
        """HoldNode."""
        ...

    def release(self, pcoa: IPv6Address) -> None:
        """ReleaseNode."""
        ...

    def expect(self, ncoa: IPv6Address, *, buffer: bool) -> None:
        """ExpectNode."""
        ...

    def defend(self, ncoa: IPv6Address) -> None:
        """DefendNode."""
        ...

    def admit(self, ncoa: IPv6Address, lla: bytes) -> None:
        """AdmitNode."""
        ...

    def forget(self, ncoa: IPv6Address) -> None:
        """ForgetNode."""
        ...

    def add_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """AddHostRoute."""
        ...

    def remove_host_route(self, pcoa: IPv6Address, par: IPv6Address) -> None:
        """RemoveHostRoute."""
        ...

    def rehearse(self) -> None:
        """Do what a handover does, for nobody and without effect, so that the next one finds it warm."""
        ...

    def close(self) -> None:
        """Remove everything."""
        ...


class MobileDataPlane(Protocol):
    """A mobile node's: care-of addresses on its links, what is held of them, tunnels with earlier routers."""

    @property
    def addresses(self) -> tuple[IPv6Address, ...]:
        """The care-of addresses that the node has now."""
        ...

    @property
    def own_addresses(self) -> tuple[IPv6Address, ...]:
        """Those of them that no other program has given the node."""
        ...

    def use_link(self, link: str) -> None:
        """UseLink."""
        ...

    def use_router(
        self, coa: IPv6Address, router: IPv6Address | None, router_lla: bytes | None, *, theirs: bool = False
    ) -> None:
        """UseRouter."""
        ...

    def prepare(
        self,
        pcoa: IPv6Address,
        ncoa: IPv6Address,
        par: IPv6Address,
        nar: IPv6Address,
        nar_lla: bytes | None,
        link: str = "",
    ) -> None:
        """PrepareHandover."""
        ...

    def hold(self, pcoa: IPv6Address) -> None:
        """HoldUplink."""
        ...

    def release(self, pcoa: IPv6Address) -> None:
        """ReleaseUplink."""
        ...

    def complete(
        self,
        pcoa: IPv6Address,
        ncoa: IPv6Address,
        par: IPv6Address,
        nar: IPv6Address,
        nar_lla: bytes | None,
        *,
        tunnel: bool,
    ) -> None:
        """CompleteHandover."""
        ...

    def end_tunnel(
        self, pcoa: IPv6Address, ncoa: IPv6Address, par: IPv6Address, *, keep_address: bool
    ) -> None:
        """EndTunnel."""
        ...

    def drop(self, coa: IPv6Address) -> None:
        """DropAddress."""
        ...

    def abandon(self, ncoa: IPv6Address) -> None:
        """AbandonHandover."""
        ...

    def close(self) -> None:
        """Remove everything."""
        ...
