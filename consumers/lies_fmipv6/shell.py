"""The consumer: one role of FMIPv6 on this host."""

from typing import Any

from lies.capabilities import Capability
from lies.consumer import BusClient, Consumer
from lies_fmipv6.config import Config, Role
from lies_fmipv6.mobile_shell import MobileShell
from lies_fmipv6.policy_shell import make_policy
from lies_fmipv6.router_shell import RouterShell


class Fmipv6(Consumer):
    """FMIPv6 (RFC 5568) as a consumer of link events; fed by indications, PoA lists and packets."""

    Config = Config
    capabilities = frozenset({Capability.NET_ADMIN, Capability.NET_RAW})  # routes, tunnels; mobility headers

    def __init__(self, name: str, config: Any, bus: BusClient) -> None:  # noqa: ANN401 - its own Config
        super().__init__(name, config, bus)
        self._policy = make_policy(config.policy, name=name)
        self._shell: MobileShell | RouterShell | None = None

    async def start(self) -> None:
        """Open sockets, take over the kernel's part, begin."""
        if self.config.role is Role.MOBILE_NODE:
            self._shell = MobileShell(self.config, self.bus, self._policy)
        else:
            self._shell = RouterShell(self.config)
        await self._shell.start()

    async def stop(self) -> None:
        """Stop, and clear what was set up in the kernel."""
        if self._shell is not None:
            shell, self._shell = self._shell, None
            await shell.stop()
