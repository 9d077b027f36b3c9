"""The mobility consumers in a namespace of a test's own, on a bus that is played by hand."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from descriptors import open_descriptors
from netns_kit import kernel_state, left, namespace, netlink, settle, wire

from lies.consumer import Consumer
from lies.errors import LinkError, LinkErrorReason
from lies.events import (
    Crossing,
    Header,
    Indication,
    Link,
    LinkStatusConfirm,
    PoAListConfirm,
    Quality,
    Raw,
    Result,
    Technology,
)
from lies.kernel import messages as m
from lies.links import OtherLink
from lies.runtime import monotonic_ns, now_s, wall_ns
from lies.testbed.node import spawn
from lies_fmipv6 import Fmipv6
from lies_fmipv6.config import Config as FastConfig
from lies_fmipv6.config import Role as FastRole
from lies_mipv6 import Mipv6
from lies_mipv6.config import Config as HomeConfig
from lies_mipv6.config import Role as HomeRole

LINK = Link("wlan0", Technology.WIFI)
ROUTER, ROUTER_PREFIX = IPv6Address("2001:db8:1::1"), IPv6Network("2001:db8:1::/64")
HOME_AGENT, HOME_PREFIX = IPv6Address("2001:db8:99::1"), IPv6Network("2001:db8:99::/64")
FAR_AGENT = IPv6Address("2001:db8:98::1")  # the mobile node's, on no interface here
OTHER_ROUTER = IPv6Address("2001:db8:7::1")
HOME_ADDRESS = IPv6Address("2001:db8:99::99")
ROLES = ("mobile", "router", "mobile at home", "home agent")
_SYSCTLS = ("ipv6/conf/{}/proxy_ndp", "ipv6/neigh/{}/unres_qlen_bytes", "ipv6/neigh/{}/mcast_solicit")


@define
class HandBus:
    """lies.consumer.BusClient for one link; poa: where it is attached; refuse: a verb that fails."""

    poa: str | None = None
    known: bool = True
    refuse: dict[str, Exception] = field(factory=dict)
    registered: list[str] = field(factory=list)
    connects: list[str] = field(factory=list)
    published: list[Indication] = field(factory=list)
    _callbacks: list[Callable[[Indication | Raw], None]] = field(factory=list)

    def on_event(self, callback: Callable[[Indication | Raw], None]) -> None:
        """Keep it."""
        self._callbacks.append(callback)

    def indicate(self, event: Indication | Raw) -> None:
        """Indicate to the consumer."""
        for callback in self._callbacks:
            callback(event)

    async def register(
        self,
        primitive: str,
        link: str = "*",
        *,
        event: Crossing = Crossing.ANY,
        threshold: Quality | None = None,
        min_confidence: float = 0.0,
    ) -> int:
        """Keep which."""
        del link, event, threshold, min_confidence
        self._fail("register")
        self.registered.append(primitive)
        return len(self.registered)

    async def disable(self, registration: int) -> None:
        """Nothing to do."""

    async def link_status(self, link: str) -> LinkStatusConfirm:
        """As it was set."""
        self._fail("link_status")
        if not self.known:
            raise LinkError(LinkErrorReason.UNKNOWN_LINK, f"no link {link}")
        return LinkStatusConfirm(1, Result.ACK, LINK, self.poa)

    async def poa_list(self, link: str) -> PoAListConfirm:
        """No PoA but the one."""
        del link
        self._fail("poa_list")
        return PoAListConfirm(1, Result.ACK, LINK, ())

    async def link_connect(self, link: str, poa: str) -> None:
        """Keep where to."""
        del link
        self._fail("link_connect")
        self.connects.append(poa)

    async def link_disconnect(self, link: str, poa: str | None = None) -> None:
        """Nothing to do."""

    def publish(self, report: Indication) -> None:
        """Keep it."""
        self.published.append(report)

    def _fail(self, verb: str) -> None:
        if verb in self.refuse:
            raise self.refuse[verb]


def header() -> Header:
    """A header of the link, measured now."""
    return Header("radio", 1, 1, monotonic_ns(), wall_ns(), LINK)


@frozen
class Place:
    """A namespace with wlan0, ap and bb (each with a far end beside it), as it was before any consumer."""

    descriptor: int
    kernel: Any
    before: dict[str, list[str]]
    settings: dict[str, str]
    descriptors: int

    def more(self) -> dict[str, list[str]]:
        """What is in the kernel and was not before; changed settings of interfaces too."""
        found = left(self.before, kernel_state())
        changed = [f"{k} {v}" for k, v in _settings().items() if self.settings[k] != v]
        return {**found, "settings": changed} if changed else found

    @property
    def opened(self) -> int:
        """Descriptors that are open and were not before."""
        return open_descriptors() - self.descriptors

    def consumer(self, role: str, bus: HandBus | None = None, **options: object) -> Consumer:
        """The consumer of a role, not started."""
        bus = bus or HandBus()
        if role == "mobile on two links":
            role, options = "mobile", {"others": (OtherLink(link="bb", router=OTHER_ROUTER),), **options}
        if role == "mobile":
            fast: dict[str, Any] = {
                "role": FastRole.MOBILE_NODE,
                "insecure": True,
                "link": "wlan0",
                **options,
            }
            return Fmipv6("fmipv6", FastConfig(**fast), bus)
        if role == "router":
            fast = {"role": FastRole.ACCESS_ROUTER, "insecure": True, "access": "ap", "backbone": "bb"}
            fast |= {"address": ROUTER, "prefix": ROUTER_PREFIX, **options}
            return Fmipv6("fmipv6", FastConfig(**fast), bus)
        if role == "mobile at home":
            home: dict[str, Any] = {"role": HomeRole.MOBILE_NODE, "insecure": True, "link": "wlan0"}
            home |= {"home_address": HOME_ADDRESS, "home_agent": FAR_AGENT, **options}
            return Mipv6("mipv6", HomeConfig(**home), bus)
        home = {"role": HomeRole.HOME_AGENT, "insecure": True, "address": HOME_AGENT, "backbone": "bb"}
        return Mipv6("mipv6", HomeConfig(**{**home, "home_prefix": HOME_PREFIX, **options}), bus)

    def run(self, consumer: Consumer, work: Callable[[Any], Awaitable[None]]) -> None:
        """Start a consumer, do the work with its shell, stop it."""

        async def go() -> None:
            try:
                await consumer.start()
                await work(shell_of(consumer))
            finally:
                await consumer.stop()

        asyncio.run(go())

    def run_and_kill(self, role: str, work: Callable[[Any], None]) -> None:
        """The same in a process that is killed when the work is done."""

        def main(ready: Callable[[], None]) -> int:
            async def go() -> None:
                consumer = self.consumer(role)
                await consumer.start()
                work(shell_of(consumer))
                ready()
                await asyncio.Event().wait()

            asyncio.run(go())
            return 0

        node = spawn("victim", self.descriptor, main)
        node.wait_ready(now_s() + 20)
        os.kill(node.pid, signal.SIGKILL)
        node.finish(now_s() + 10)


def shell_of(consumer: Consumer) -> Any:
    """The consumer's shell."""
    return consumer._shell  # type: ignore[attr-defined]  # both consumers have one


def perform(shell: Any, *actions: object) -> None:
    """Have the shell carry out actions, as its engine would; a refusal is an error here."""
    for action in actions:
        performer = getattr(shell, "_dispatch", shell)  # an access router's
        if hasattr(performer, "_carry_out"):
            performer._carry_out(action)
        else:
            performer._perform(action)


@contextmanager
def place() -> Iterator[Place]:
    """Be in such a namespace for the block."""
    with ExitStack() as stack:
        descriptor = stack.enter_context(namespace())
        kernel = stack.enter_context(netlink())
        indexes = [wire(kernel, name, f"{name}-far")[0] for name in ("wlan0", "ap", "bb")]
        owned = m.OWNER_ADMINISTRATOR
        kernel.execute([m.address(indexes[1], ROUTER, prefix_length=64, prefix_route=True, owner=owned)])
        kernel.execute([m.address(indexes[2], HOME_AGENT, owner=owned)])
        settle()
        yield Place(descriptor, kernel, kernel_state(), _settings(), open_descriptors())


def _settings() -> dict[str, str]:
    names = [name.format(i) for i in ("wlan0", "ap", "bb") for name in _SYSCTLS]
    return {name: Path("/proc/sys/net", name).read_text(encoding="ascii").strip() for name in names}


async def until(condition: Callable[[], bool]) -> None:
    """Let the shell work until something holds."""
    end_s = now_s() + 20
    while not condition():
        assert now_s() < end_s
        await asyncio.sleep(0.01)
