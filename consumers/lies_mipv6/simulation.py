"""Mobile IPv6 on the virtual network of `lies sim`: what the shell and planes are on a real host."""

from typing import assert_never

from lies.events import CareOfAddressChanged, Indication
from lies.sim import HomeHost, MobileHost, Program, RouterHost, Seat, kind_of
from lies_mipv6 import actions as a
from lies_mipv6.codec import decode, encode
from lies_mipv6.home_agent import HomeAgent
from lies_mipv6.items import MobileNodeItem, Received
from lies_mipv6.mobile_node import MobileNode
from lies_mipv6.parameters import HomeAgentConfig, MobileNodeConfig
from lies_mipv6.states import MobileNodeState

_MAX_NODES = 1 << 20  # a simulation is as large as its user says


class MipPart:
    """The mobile nodes' and the home agent's part."""

    def on_mobile(self, host: MobileHost) -> Program | None:
        """The engine of a mobile node."""
        return MobileProgram(host)

    def on_router(self, host: RouterHost) -> None:
        """Mobile IPv6 has nothing to do there."""

    def on_home(self, host: HomeHost) -> Program | None:
        """The engine of the home agent."""
        return HomeProgram(host)


class MobileProgram:
    """lies_mipv6.mobile_node.MobileNode on a simulated host."""

    __slots__ = (
        "_host",
        "_seat",
        "engine",
    )

    def __init__(self, host: MobileHost) -> None:
        f = host.facts
        self.engine = MobileNode(MobileNodeConfig(f.home_address, f.home_agent, insecure=True))
        self._host = host
        self._seat: Seat[MobileNodeItem, a.MobileNodeAction] = Seat(
            host.net.clock, self.engine, self._perform
        )

    def event(self, event: Indication) -> None:
        """New care-of addresses are for the engine."""
        if isinstance(event, CareOfAddressChanged):
            self._seat.feed(event)

    def packet(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet."""
        del link_layer
        got = decode(packet)
        self._seat.feed(Received(got.message, got.source, got.destination))

    def leftovers(self) -> list[str]:
        """A registration that is not done."""
        bound = self.engine.state is MobileNodeState.REGISTERED
        return [] if bound else [f"the home registration is {self.engine.state}"]

    def close(self) -> None:
        """Do nothing any more."""
        self._seat.close()

    def _perform(self, action: a.MobileNodeAction) -> None:
        host = self._host
        match action:
            case a.SendMessage():
                message = action.message
                host.send(encode(message, action.source, action.destination), kind_of(message))
            case a.AcceptCareOf():
                host.accept_tunnel(action.coa, action.home_agent)
            case a.UseTunnel():
                host.use_uplink(action.coa)
            case a.DropCareOf():
                host.refuse_tunnel(action.coa, host.facts.home_agent)
            case a.Publish():
                host.publish(action.report)
            case _:
                assert_never(action)


class HomeProgram:
    """lies_mipv6.home_agent.HomeAgent on a simulated host."""

    def __init__(self, host: HomeHost) -> None:
        config = HomeAgentConfig(host.address, host.prefix, insecure=True, max_bindings=_MAX_NODES)
        self.engine = HomeAgent(config)
        self._host = host
        self._seat: Seat[Received, a.HomeAgentAction] = Seat(host.net.clock, self.engine, self._perform)

    def event(self, event: Indication) -> None:
        """A home agent has no link to hear of."""

    def packet(self, packet: bytes, link_layer: bytes | None) -> None:
        """A packet."""
        del link_layer
        got = decode(packet)
        self._seat.feed(Received(got.message, got.source, got.destination))

    def leftovers(self) -> list[str]:
        """Nothing that is not also in the host."""
        return []

    def close(self) -> None:
        """Do nothing any more."""
        self._seat.close()

    def _perform(self, action: a.HomeAgentAction) -> None:
        host = self._host
        match action:
            case a.SendMessage():
                message = action.message
                host.send(encode(message, action.source, action.destination), kind_of(message))
            case a.SetBinding():
                host.set_binding(action.home_address, action.coa)
            case a.AcceptFrom():
                host.accept_from(action.home_address, action.coa)
            case a.RefuseFrom():
                host.refuse_from(action.home_address, action.coa)
            case a.RemoveBinding():
                host.remove_binding(action.home_address)
            case _:
                assert_never(action)
