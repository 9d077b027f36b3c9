"""The mobile node's shell: link events and packets into the engine, its actions onto bus, wire and kernel."""

import asyncio
import logging
import os
import secrets
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack, closing
from ipaddress import IPv6Address
from typing import assert_never

from lies.consumer import BusClient
from lies.errors import LiesError, LinkError
from lies.events import (
    BindingUpdated,
    Header,
    Indication,
    Link,
    LinkActionFailed,
    LinkDown,
    LinkGoingDown,
    LinkGoingDownCancelled,
    LinkStatusChanged,
    LinkUp,
    PoAFound,
    PoALost,
    Raw,
    Technology,
)
from lies.kernel.interfaces import global_addresses, link_local_addresses
from lies.kernel.netlink import Netlink
from lies.kernel.packet_filter import Wanted
from lies.kernel.signalling import Signalling
from lies.kernel.tunnels import ethernet_address, link_address
from lies.links import Raise
from lies.packet import OtherProtocol
from lies.runtime import Runtime, monotonic_ns, now_s, wall_ns
from lies_fmipv6 import actions as a
from lies_fmipv6.codec import decode, encode
from lies_fmipv6.config import Config, mobile_node
from lies_fmipv6.data_plane import MobileDataPlane
from lies_fmipv6.items import AddressConfigured, ConnectRefused, FbuSent, MobileNodeItem, Received
from lies_fmipv6.link_layer import check_addresses, group_address
from lies_fmipv6.messages import FastBindingUpdate
from lies_fmipv6.mobile_node import MobileNode
from lies_fmipv6.mobile_plane import MobilePlane
from lies_fmipv6.parameters import MobileNodeConfig, NodeLink, Parameters, eui64
from lies_fmipv6.policy import Policy
from lies_fmipv6.wire import ICMPV6_FMIPV6, ICMPV6_NA, ICMPV6_RA, MH_FBACK

_log = logging.getLogger("lies.fmipv6")
EVENTS = (
    LinkUp,
    LinkDown,
    LinkStatusChanged,
    LinkGoingDown,
    LinkGoingDownCancelled,
    PoAFound,
    PoALost,
)
_WANTED = Wanted(frozenset({MH_FBACK}), frozenset({ICMPV6_RA, ICMPV6_NA, ICMPV6_FMIPV6}))
_INTERFACE_ID = (1 << 64) - 1
_PUT_OFF_S = 0.005  # what can wait for the FBack, and then for the LinkDown, each at most so long
_PRIMITIVES = (
    "link_up",
    "link_down",
    "link_status_changed",
    "link_going_down",
    "link_action",
    "poa_found",
    "poa_lost",
)


def node_link(name: str) -> NodeLink:
    """A further link as the engine knows it; without an Ethernet address there is no fast handover to it."""
    if (lla := ethernet_address(name)) is not None:
        return NodeLink(name, lla, eui64(lla))
    own = next(iter(link_local_addresses(name)), None)
    interface_id = int(own) & _INTERFACE_ID if own is not None else secrets.randbits(64)
    return NodeLink(name, b"", interface_id)


class MobileShell:
    """Runs lies_fmipv6.mobile_node.MobileNode on one link of this host."""

    def __init__(self, config: Config, bus: BusClient, secrets_: Mapping[str, bytes], policy: Policy) -> None:
        self._link = self._here = config.link or ""
        others = [other.link for other in config.others]
        self._of = self._link if not others else "*"  # another one may be announced later
        self._bus = bus
        with ExitStack() as undo:
            netlink = undo.enter_context(closing(Netlink()))
            plane: MobileDataPlane = MobilePlane(netlink, self._link, config.tunnels, others)
            self._plane = undo.enter_context(closing(plane))
            self._signalling = undo.enter_context(
                closing(
                    Signalling(
                        netlink, [self._link, *others], self._on_packet, addresses=None, wanted=_WANTED
                    )
                )
            )
            lla = link_address(self._link)
            self._undo = undo.pop_all()
        links = tuple(node_link(name) for name in others)
        engine_config = mobile_node(config, lla, secrets.randbelow(1 << 16), secrets_, links)
        self._keys = engine_config.keys
        self._dhcp = config.dhcp
        engine = self._engine(engine_config, config.parameters, policy)
        self._runtime: Runtime[MobileNodeItem, a.MobileNodeAction] = Runtime(engine, self._perform)
        self._tasks: set[asyncio.Task[None]] = set()
        self._expected: a.ExpectLinkUp | None = None
        self._announcement = b""  # its UNA, as it is sent
        self._done: list[a.MobileNodeAction] = []  # before the engine asked for it
        self._unprepared: a.PrepareHandover | None = None
        self._timer: asyncio.TimerHandle | None = None  # until which it, and the UNA, can wait
        self._seen_up = False

    def _engine(self, config: MobileNodeConfig, parameters: Parameters, policy: Policy) -> MobileNode:
        return MobileNode(config, parameters, policy)

    async def start(self) -> None:
        """Register, then catch up with a link that is up already."""
        self._signalling.start()
        self._runtime.start()
        self._bus.on_event(self._on_event)
        for primitive in _PRIMITIVES:
            await self._bus.register(primitive, self._of)
        await self._bus.register("report", "*")
        await self._catch_up()

    async def stop(self) -> None:
        """Stop, and clear the kernel."""
        self._runtime.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._undo.close()  # in the reverse order; one that fails does not keep the others

    async def _catch_up(self) -> None:
        try:
            status = await self._bus.link_status(self._link)
        except LinkError:  # the link's driver has not announced it yet: its LinkUp will come
            return
        if status.poa is not None and not self._seen_up:
            link = status.link or Link(self._link, Technology.OTHER)
            header = Header("fmipv6", 0, 0, monotonic_ns(), wall_ns(), link)
            self._seen_up = True
            self._runtime.feed(LinkUp(header, status.poa))

    def _on_event(self, event: Indication | Raw) -> None:
        if isinstance(event, EVENTS):
            if event.header.link.name == self._link:
                if isinstance(event, LinkUp):
                    self._seen_up = True
                    self._arrive(event.poa)
                self._runtime.feed(event)
                self._done.clear()
                if isinstance(event, LinkDown):
                    self._prepare()
        elif isinstance(event, LinkActionFailed):
            if event.header.link.name == self._link and event.poa is not None:
                self._runtime.feed(ConnectRefused(event.poa, event.detail))
        elif isinstance(event, BindingUpdated):
            self._runtime.feed(event)

    def _arrive(self, poa: str) -> None:
        """Do at once what was built for this LinkUp."""
        self._prepare()  # what the UNA lets go is for an address that has to be there
        expected, self._expected = self._expected, None
        if expected is None or expected.poa != poa:
            return
        self._send(self._announcement, expected.announce.destination)
        self._perform(expected.complete)
        self._done = [expected.announce, expected.complete]

    def _on_packet(self, packet: bytes, lla: bytes, interface: str) -> None:
        arrived = now_s()
        try:
            got = decode(packet, key_for=self._keys.get)
        except OtherProtocol:
            return
        message = check_addresses(got.message)
        item = Received(message, got.source, got.destination, lla, got.authenticated, interface)
        self._runtime.feed(item, arrived)

    def _perform(self, action: a.MobileNodeAction) -> None:
        if action in self._done:
            self._done.remove(action)
            return
        try:
            self._carry_out(action)
        except LiesError as error:
            _log.error("%s: %s", type(action).__name__, error)

    def _carry_out(self, action: a.MobileNodeAction) -> None:
        match action:
            case a.SendMessage(message, source, destination):
                packet = encode(message, source, destination, key=self._keys.get(destination))
                is_fbu = isinstance(message, FastBindingUpdate)
                leaves = now_s()
                self._send(packet, destination, awaited=is_fbu)
                if isinstance(message, FastBindingUpdate):
                    self._runtime.feed(FbuSent(message.sequence), leaves)
            case a.RequestPoAList(link):
                self._spawn(self._poa_list(link))
            case a.RequestConnect(link, poa):
                self._spawn(self._connect(link, poa))
            case a.ConfigureAddress(link):
                self._spawn(self._configure(link))
            case a.ExpectLinkUp():
                self._expected, self._announcement = action, b""
                self._put_off_more()
            case a.Publish(report):
                self._bus.publish(report)
            case a.PrepareHandover():
                self._prepare()  # another one
                self._unprepared = action
                self._put_off_more()
            case a.HoldUplink(pcoa):
                self._plane.hold(pcoa)
            case Raise():
                self._raise(action)
            case _:
                self._prepare()
                self._change(action)

    def _raise(self, action: Raise) -> None:
        """Connect a link; where there is one only, it connects by itself."""

    def _use_link(self, action: a.UseLink) -> None:
        self._here = action.link
        self._plane.use_link(action.link)

    def _put_off_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_PUT_OFF_S, self._prepare)

    def _prepare(self) -> None:
        """Do what was put off, which kept neither the routers from answering nor the node from moving."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        action, self._unprepared = self._unprepared, None
        if action is not None:
            try:
                self._change(action)
            except LiesError as error:
                _log.error("%s: %s", type(action).__name__, error)
        if self._expected is not None and not self._announcement:
            una = self._expected.announce
            self._announcement = encode(una.message, una.source, una.destination)

    def _change(self, action: a.KernelAction) -> None:
        """Change addresses, routes and tunnels."""
        plane = self._plane
        match action:
            case a.UseLink():
                self._use_link(action)
            case a.UseRouter(coa, _, router, router_lla, theirs):
                plane.use_router(coa, router, router_lla, theirs=theirs)
            case a.PrepareHandover(pcoa, ncoa, par, nar, nar_lla, link):
                plane.prepare(pcoa, ncoa, par, nar, nar_lla, link)
            case a.HoldUplink(pcoa):
                plane.hold(pcoa)
            case a.ReleaseUplink(pcoa):
                self._expected = None
                plane.release(pcoa)
            case a.CompleteHandover(pcoa, ncoa, par, nar, nar_lla, tunnel):
                plane.complete(pcoa, ncoa, par, nar, nar_lla, tunnel=tunnel)
            case a.EndTunnel(pcoa, ncoa, par, keep_address):
                plane.end_tunnel(pcoa, ncoa, par, keep_address=keep_address)
            case a.AbandonHandover(ncoa):
                self._expected = None
                plane.abandon(ncoa)
            case a.DropAddress(coa):
                plane.drop(coa)
            case _:
                assert_never(action)

    def _send(self, packet: bytes, destination: IPv6Address, *, awaited: bool = False) -> None:
        group = group_address(destination)
        self._signalling.send(packet, destination, interface=self._here, link_layer=group, awaited=awaited)

    async def _poa_list(self, link: str) -> None:
        try:
            confirm = await self._bus.poa_list(link)
        except LiesError as error:
            _log.warning("PoA list of %s: %s", link, error)
            return
        self._runtime.feed(confirm)

    async def _connect(self, link: str, poa: str) -> None:
        try:
            await self._bus.link_connect(link, poa)
        except LiesError as error:
            _log.warning("connect %s to %s: %s", link, poa, error)
            self._runtime.feed(ConnectRefused(poa, str(error)))

    async def _configure(self, link: str) -> None:
        """Run the command that gets the link an address, and tell the engine what there is then."""
        environment = {**os.environ, "LIES_LINK": link}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._dhcp, stdin=asyncio.subprocess.DEVNULL, env=environment
            )
        except OSError as error:
            _log.error("dhcp: %s: %s", self._dhcp[0], error.strerror)
            return
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if status:
            _log.warning("dhcp: %s ended with %d", self._dhcp[0], status)
        for address in global_addresses(link):
            if address not in self._plane.addresses:
                self._runtime.feed(AddressConfigured(address))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
