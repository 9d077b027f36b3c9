"""From one sender to its receivers: the floor's way, and those through LIES."""

from collections.abc import Sequence

from attrs import frozen

from lies.bench._hosts import LINK_IN_DAEMON, LINK_ISOLATED
from lies.bench._orders import Receive, Received, Send, Sent, Style
from lies.bench._processes import Mailbox, Processes


@frozen
class Segment:
    """What one stretch of indications gave, at all receivers together."""

    sent: Sent
    received: Received

    @property
    def per_s(self) -> float:
        """Indications received per second, from the first that was sent to the last that came."""
        took_ns = self.received.last_ns - self.sent.first_ns
        return self.received.received / took_ns * 1e9 if took_ns > 0 else 0.0


@frozen
class Lane:
    """name: its own; shown: in words; prefix: of its figures' names in JSON; floor: name of the lane it is
    compared with, its own for a floor; judged: the goals are for it; where: endpoint or runtime directory.
    """

    name: str
    shown: str
    prefix: str
    floor: str
    judged: bool
    sender: Mailbox
    receivers: tuple[Mailbox, ...]
    style: Style
    where: str
    link: str = LINK_IN_DAEMON

    @property
    def is_floor(self) -> bool:
        """It is pyzmq alone."""
        return self.floor == self.name

    def run(
        self, count: int, *, every_ns: int = 0, window: int = 0, keep: bool = False, clients: int = 1
    ) -> Segment:
        """Send `count` indications to `clients` receivers, spread over the receiving processes."""
        shares = [range(k, clients, len(self.receivers)) for k in range(len(self.receivers))]
        orders = [
            (mailbox, Receive(count, tuple(share), self.where, self.link, self.style, keep))
            for mailbox, share in zip(self.receivers, shares, strict=True)
            if share
        ]
        send = Send(count, tuple(range(clients)), every_ns, window, self.style, self.where)
        if self.is_floor:
            self.sender.begin(send)
        for mailbox, order in orders:
            mailbox.begin(order)
        if not self.is_floor:
            self.sender.begin(send)
        sent = self.sender.reply(Sent)
        return Segment(sent, _together([mailbox.reply(Received) for mailbox, _ in orders]))


def _together(parts: Sequence[Received]) -> Received:
    return Received(
        sum(p.received for p in parts),
        sum(p.lost for p in parts),
        sum(p.doubled for p in parts),
        sum(p.gaps for p in parts),
        max(p.last_ns for p in parts),
        tuple(ns for p in parts for ns in p.latencies_ns),
    )


class Lanes:
    """All lanes to one consumer."""

    def __init__(self, processes: Processes) -> None:
        def floor(style: Style) -> Lane:
            name = f"floor-{style}"
            endpoint = f"ipc://{processes.directory / name}"
            sender, receiver = processes.floor("sender"), processes.floor("receiver")
            return Lane(name, name, "", name, False, sender, (receiver,), style, endpoint)

        run_dir = str(processes.runtime_dir)
        floors = floor(Style.BLOCKING), floor(Style.ASYNCIO)
        driver, client = processes.daemon.post, (processes.client("client").post,)
        shown = "driver in the daemon, blocking client"
        blocking = Lane("blocking", shown, "", floors[0].name, True, driver, client, Style.BLOCKING, run_dir)
        shown = "driver in the daemon, asyncio client"
        on_loop = Lane(
            "asyncio", shown, "async_", floors[1].name, True, driver, client, Style.ASYNCIO, run_dir
        )
        isolated = Lane(
            "isolated",
            "isolated driver, blocking client",
            "isolated_",
            floors[0].name,
            False,
            processes.isolated,
            client,
            Style.BLOCKING,
            run_dir,
            LINK_ISOLATED,
        )
        inside = Lane(
            "in_daemon",
            "driver and consumer in the daemon, no socket",
            "in_daemon_",
            floors[1].name,
            False,
            driver,
            (processes.ear,),
            Style.ASYNCIO,
            run_dir,
        )
        self.all = (floors[0], blocking, floors[1], on_loop, isolated, inside)
        self.through_lies = (blocking, on_loop, isolated, inside)
