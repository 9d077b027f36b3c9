"""Which tunnels this kernel has: routes with seg6, or an ip6tnl device in external mode.

Both put IPv6 into IPv6 (RFC 2473), look the same on the wire, and have the same methods.
"""

import errno
from ipaddress import IPv6Address, IPv6Network

from lies.errors import LiesError
from lies.kernel import messages as m
from lies.kernel.interfaces import index_of
from lies.kernel.kinds import TunnelKind
from lies.kernel.netlink import KernelError, Netlink
from lies.kernel.precedence import PREFERENCE_LOCAL
from lies.kernel.tunnels import (
    GONE,
    IPV6_IN_IPV6,
    PREFERENCE_INNER_ELSE,
    Decapsulator,
    host,
    remove_device,
)

_DEVICE = "lies-t0"
_TABLE_GUARD = 51841
_PROBE = IPv6Address("2001:db8:5184::")  # documentation: no packet goes there
_TABLE_PROBE = 51842
_LOOPBACK = 1
_SEG6, _IP6TNL = "seg6 (CONFIG_IPV6_SEG6_LWTUNNEL)", "ip6tnl (CONFIG_IPV6_TUNNEL)"
_LACKING = (errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL, errno.ENODEV, errno.EPROTONOSUPPORT)


class DeviceTunnels(Decapsulator):
    """Tunnels by one ip6tnl device in external mode (kernels with CONFIG_IPV6_TUNNEL).

    The device opens whatever comes to an own address: so tunnels to an end point that is guarded are dropped
    unless a rule before that lets a named peer's pass.
    """

    opened = _DEVICE
    _opens = (None, PREFERENCE_LOCAL)

    def towards(
        self,
        destination: IPv6Network,
        peer: IPv6Address,
        *,
        local: IPv6Address,
        oif: int,
        table: int = m.TABLE_MAIN,
        mtu: int | None = None,
    ) -> bytes:
        """Message for the route that puts packets to a destination into a tunnel from `local` to `peer`."""
        del oif  # the device asks the routes for that
        return m.route(
            destination,
            oif=index_of(_DEVICE),
            encap=peer,
            encap_source=local,
            table=table,
            mtu=mtu,
            owner=self._owner,
        )

    def device(self, oif: str) -> str:
        """The interface that routes into tunnels lead to."""
        del oif
        return _DEVICE

    def guard(self, endpoint: IPv6Address) -> list[bytes]:
        """Messages that have tunnels to an own address refused, but for those that `accept` names."""
        refused = m.route(
            host(endpoint), table=_TABLE_GUARD, kind="blackhole", oif=_LOOPBACK, owner=self._owner
        )
        return [refused]

    def close(self) -> None:
        """Remove what the constructor made, unless another owner has a decapsulator here."""
        self._netlink.execute([self._guarded(add=False)], ignore=GONE)
        super().close()

    def _guarded(self, *, add: bool) -> bytes:
        return m.rule(
            PREFERENCE_INNER_ELSE,
            table=_TABLE_GUARD,
            ip_protocol=IPV6_IN_IPV6,
            owner=self._owner,
            add=add,
        )

    def _prepare(self) -> None:
        self._netlink.execute([m.new_ip6tnl(_DEVICE), self._guarded(add=True)], ignore=(errno.EEXIST,))

    def _remove(self) -> None:
        remove_device(self._netlink, _DEVICE)


def open_tunnels(
    netlink: Netlink,
    kind: TunnelKind = TunnelKind.AUTO,
    *,
    only_known_inner: bool,
    owner: int = m.OWNER_LIES,
) -> Decapsulator:
    """Tunnels of the kind that is asked for, or of one that this kernel has, which is found by trying.

    Raises LiesError where there is none.
    """
    if kind is not TunnelKind.IP6TNL and _has_seg6(netlink):
        return Decapsulator(netlink, only_known_inner=only_known_inner, owner=owner)
    if kind is TunnelKind.SEG6:
        raise LiesError(f"this kernel has no tunnels by {_SEG6}")
    try:
        return DeviceTunnels(netlink, only_known_inner=only_known_inner, owner=owner)
    except KernelError as error:
        if error.errno not in _LACKING:
            raise
        lacking = _IP6TNL if kind is TunnelKind.IP6TNL else f"{_SEG6}, nor by {_IP6TNL}"
        raise LiesError(f"this kernel has no tunnels by {lacking}") from error


def _has_seg6(netlink: Netlink) -> bool:
    """Whether the kernel takes the two routes that tunnels with seg6 are made of."""

    def routes(*, add: bool) -> list[bytes]:
        where = {"table": _TABLE_PROBE, "oif": _LOOPBACK}
        return [
            m.route(host(_PROBE), encap=_PROBE, add=add, **where),  # type: ignore[arg-type]  # numbers, all
            m.route(host(_PROBE + 1), decap_to=_PROBE, add=add, **where),  # type: ignore[arg-type]  # as above
        ]

    try:
        netlink.execute(routes(add=True))
    except KernelError as error:
        if error.errno not in _LACKING:
            raise
        return False
    finally:
        netlink.execute(routes(add=False), ignore=(*GONE, *_LACKING))
    return True
