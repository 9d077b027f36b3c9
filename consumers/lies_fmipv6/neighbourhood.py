"""What an access router tells of its neighbourhood: PrRtAdv, asked for and not (RFC 5568 section 6.1.2)."""

from ipaddress import IPv6Address

from attrs import evolve

from lies_fmipv6.items import is_family
from lies_fmipv6.messages import AccessPointInfo, OptionCode, PrRtAdv, PrRtAdvCode, RtSolPr
from lies_fmipv6.parameters import AccessRouterConfig

_HEADERS = 40 + 8 + 16  # IPv6, PrRtAdv, the router's own LLA option
_ADDRESS_OPTION = 24  # RFC 5568 section 6.4.1


_UNKNOWN = AccessPointInfo(b"\0", OptionCode.UNKNOWN)


def _lla_option(octets: int) -> int:
    """Length of an LLA option in octets (RFC 5568 section 6.4.3)."""
    return -(-(3 + octets) // 8) * 8


class Neighbourhood:
    """The access points that a router knows, and the messages about them.

    Those whose link wants DHCP travel in a message of their own, for its code 5 is said of a whole message.
    """

    def __init__(self, config: AccessRouterConfig) -> None:
        self._c = config
        self._dhcp = {ap for n in config.neighbours if n.dhcp for ap in n.access_points}
        self._infos: dict[bytes, AccessPointInfo] = {}
        self._families: list[tuple[bytes, AccessPointInfo]] = []  # beginnings of names, the longest first
        for n in config.neighbours:
            for ap in n.access_points:
                self._infos[ap] = (
                    AccessPointInfo(ap, OptionCode.TUPLE_FOLLOWS, n.lla, n.address, n.prefix)
                    if config.trusts(n)
                    else AccessPointInfo(ap, OptionCode.NO_FAST_HANDOVER)
                )
        own = OptionCode.SAME_INTERFACE
        self._infos.update((ap, AccessPointInfo(ap, own)) for ap in config.access_points)
        for ap in [ap for ap in self._infos if is_family(ap)]:
            self._families.append((ap[:-1], self._infos.pop(ap)))
        self._families.sort(key=lambda family: -len(family[0]))

    def answers(self, solicitation: RtSolPr) -> list[PrRtAdv]:
        """To an RtSolPr: one message, or two; none to a wildcard where there are no neighbours."""
        if solicitation.wildcard:
            wanted = self._tuples()
        else:
            wanted = [self._info(ap) for ap in solicitation.access_points]
        return self._advertisements(wanted, solicitation.identifier)

    def unasked(self) -> list[PrRtAdv]:
        """Everything, and no order to move: code 4."""
        wanted = self._that_fit([i for i in self._tuples() if i.access_point not in self._dhcp])
        return [PrRtAdv(PrRtAdvCode.NEIGHBOURHOOD, 0, self._c.lla, wanted)] if wanted else []

    def order(self, access_point: bytes, ncoa: IPv6Address | None) -> PrRtAdv | None:
        """To move to an access point, with the care-of address to use there or without: code 1 (3.3).

        None where there is no fast handover to it.
        """
        info = self._info(access_point)
        if info.prefix is None or access_point in self._dhcp:
            return None
        if ncoa is not None and ncoa not in info.prefix:
            return None
        return PrRtAdv(PrRtAdvCode.HANDOVER, 0, self._c.lla, (evolve(info, ncoa=ncoa),))

    def _info(self, access_point: bytes) -> AccessPointInfo:
        """What is known of one, itself or its family."""
        info = self._infos.get(access_point)
        if info is not None:
            return info
        families = (info for begins, info in self._families if access_point.startswith(begins))
        return evolve(next(families, _UNKNOWN), access_point=access_point)

    def _tuples(self) -> list[AccessPointInfo]:
        return [i for i in self._infos.values() if i.option_code == OptionCode.TUPLE_FOLLOWS]

    def _advertisements(self, wanted: list[AccessPointInfo], identifier: int) -> list[PrRtAdv]:
        def by_dhcp(info: AccessPointInfo) -> bool:
            return info.option_code == OptionCode.TUPLE_FOLLOWS and info.access_point in self._dhcp

        answers = []
        plain = self._that_fit([i for i in wanted if not by_dhcp(i)])
        if plain:
            tuples = sum(i.option_code == OptionCode.TUPLE_FOLLOWS for i in plain)
            code = PrRtAdvCode.PARTIAL
            if tuples in {0, len(plain)}:
                code = PrRtAdvCode.TUPLES if tuples else PrRtAdvCode.NO_ROUTER_INFORMATION
            answers.append(PrRtAdv(code, identifier, self._c.lla, plain))
        dhcp = self._that_fit([i for i in wanted if by_dhcp(i)])
        if dhcp:
            answers.append(PrRtAdv(PrRtAdvCode.USE_DHCP, identifier, self._c.lla, dhcp))
        return answers

    def _that_fit(self, infos: list[AccessPointInfo]) -> tuple[AccessPointInfo, ...]:
        """As many tuples as the link's MTU lets through (4, item 4)."""
        room = self._c.mtu - _HEADERS
        fit: list[AccessPointInfo] = []
        for info in infos:
            room -= _lla_option(len(info.access_point))
            if info.router_lla is not None:
                room -= _lla_option(len(info.router_lla)) + 2 * _ADDRESS_OPTION
            if room < 0:
                break
            fit.append(info)
        return tuple(fit)
