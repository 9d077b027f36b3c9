"""The consumer: one role of FMIPv6 on this host."""

from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

from lies.capabilities import Capability
from lies.consumer import BusClient, Consumer
from lies.errors import ProtocolViolation
from lies.paths import keys_dir
from lies.policies import make_link_policy
from lies.shared_keys import load_shared_key
from lies_fmipv6.config import Config, Role
from lies_fmipv6.mobile_shell import MobileShell
from lies_fmipv6.policy_shell import make_policy
from lies_fmipv6.router_shell import RouterShell
from lies_fmipv6.vertical_shell import VerticalShell

if TYPE_CHECKING:
    from lies.sim import Part


def read_secrets(config: Config) -> Mapping[str, bytes]:
    """The handover keys that a configuration names, by name; ConfigError if one cannot be used."""
    names = {option.key for option in config.keys}
    names |= {n.esp_key for n in config.neighbours if n.esp_key is not None}
    directory = config.keys_dir or keys_dir()
    return {name: load_shared_key(directory, name).secret for name in sorted(names)}


class Fmipv6(Consumer):
    """FMIPv6 (RFC 5568) as a consumer of link events; fed by indications, PoA lists and packets."""

    Config = Config
    capabilities = frozenset({Capability.NET_ADMIN, Capability.NET_RAW})  # routes, tunnels; mobility headers

    def __init__(self, name: str, config: Any, bus: BusClient) -> None:  # noqa: ANN401 - its own Config
        super().__init__(name, config, bus)
        self._policy = make_policy(config.policy, name=name)
        self._link_policy = make_link_policy(config.link_policy, name=name, key="link_policy")
        self._shell: MobileShell | RouterShell | None = None
        self._secrets = read_secrets(config)

    @classmethod
    def simulation(cls) -> "Part":
        """The engines on the virtual network."""
        from lies_fmipv6.simulation import FmipPart  # noqa: PLC0415 - the daemon needs no simulation

        return FmipPart()

    async def start(self) -> None:
        """Open sockets, take over the kernel's part, begin."""
        if self.config.role is Role.MOBILE_NODE and self.config.others:
            self._shell = VerticalShell(self.config, self.bus, self._secrets, self._policy, self._link_policy)
        elif self.config.role is Role.MOBILE_NODE:
            self._shell = MobileShell(self.config, self.bus, self._secrets, self._policy)
        else:
            self._shell = RouterShell(self.config, self._secrets, self.bus.publish)
        await self._shell.start()

    async def stop(self) -> None:
        """Stop, and clear what was set up in the kernel."""
        if self._shell is not None:
            shell, self._shell = self._shell, None
            await shell.stop()

    def order_handover(self, node: IPv6Address, poa: str, ncoa: IPv6Address | None = None) -> None:
        """Have a mobile node on this access router's link move to a PoA (RFC 5568 section 3.3).

        node: its care-of address; ncoa: the one to use there. ProtocolViolation where this is no access
        router or is not running.
        """
        if not isinstance(self._shell, RouterShell):
            raise ProtocolViolation("only a running access router orders handovers")
        self._shell.order_handover(node, poa, ncoa)
