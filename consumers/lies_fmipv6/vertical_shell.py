"""The shell of a mobile node with several links: their indications in, LinkConnect and addresses out."""

import logging
from collections.abc import Mapping
from ipaddress import IPv6Address

from lies.consumer import BusClient
from lies.events import Indication, LinkDown, LinkUp, Raw
from lies.link_policy import LinkPolicy
from lies.links import OtherLink, Raise
from lies.links_shell import catch_up, connect, find_address
from lies_fmipv6 import actions as a
from lies_fmipv6.config import Config
from lies_fmipv6.items import AddressFound
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.mobile_shell import EVENTS, MobileShell
from lies_fmipv6.parameters import MobileNodeConfig, Parameters
from lies_fmipv6.policy import Policy
from lies_fmipv6.vertical import VerticalNode

_log = logging.getLogger("lies.fmipv6")


class VerticalShell(MobileShell):
    """Runs lies_fmipv6.vertical.VerticalNode on this host."""

    def __init__(
        self,
        config: Config,
        bus: BusClient,
        secrets_: Mapping[str, bytes],
        policy: Policy,
        link_policy: LinkPolicy,
    ) -> None:
        self._link_policy = link_policy
        self._others: dict[str, OtherLink] = {other.link: other for other in config.others}
        self._up: dict[str, str] = {}  # of the others: link -> PoA
        super().__init__(config, bus, secrets_, policy)

    def _engine(self, config: MobileNodeConfig, parameters: Parameters, policy: Policy) -> MobileNode:
        return VerticalNode(config, parameters, policy, self._link_policy)

    async def _catch_up(self) -> None:
        await super()._catch_up()
        for name in self._others:
            for event in await catch_up(self._bus, name, "fmipv6"):
                if not (isinstance(event, LinkUp) and name in self._up):
                    self._on_event(event)

    def _on_event(self, event: Indication | Raw) -> None:
        name = event.header.link.name
        if not isinstance(event, EVENTS) or name not in self._others:
            super()._on_event(event)
            return
        if isinstance(event, LinkUp):
            self._up[name] = event.poa
            self._spawn(self._find_address(name, event.poa))
        elif isinstance(event, LinkDown):
            self._up.pop(name, None)
        self._runtime.feed(event)

    async def _find_address(self, name: str, poa: str) -> None:
        """The kernel's address there, which is used where there is no FMIPv6."""

        def is_ours(address: IPv6Address) -> bool:
            return address in self._plane.own_addresses

        found = await find_address(name, is_ours, lambda: self._up.get(name) == poa)
        if found is not None:
            self._runtime.feed(AddressFound(name, found, self._others[name].router))

    def _raise(self, action: Raise) -> None:
        if action.link in self._others:  # the first one connects by itself
            self._spawn(connect(self._bus, action, self._others[action.link]))

    def _use_link(self, action: a.UseLink) -> None:
        super()._use_link(action)
        if action.why:
            _log.info("%s carries the traffic now; no fast handover: %s", action.link, action.why)
        else:
            _log.info("%s carries the traffic now", action.link)
