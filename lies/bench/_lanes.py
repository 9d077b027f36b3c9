"""From one sender to its receivers: the floor's way, and those through LIES."""

from collections.abc import Iterable

from attrs import evolve, frozen

from lies.bench._names import LINK_IN_DAEMON, LINK_ISOLATED
from lies.bench._orders import BURST, Receive, Received, Send, Sent, Style
from lies.bench._pace import total
from lies.bench._processes import REPLY_S, Mailbox, Processes

_SLOWEST_S = 0.01  # for one delivery: who is slower still is given up


@frozen
class Segment:
    """What one stretch of indications gave, at all receivers together."""

    clients: int
    sent: Sent
    received: Received

    @property
    def lost(self) -> int:
        """Sequence numbers that were sent and did not come, over all receivers."""
        return self.clients * self.sent.sent - self.received.received

    @property
    def per_s(self) -> float:
        """Indications received per second, from the first that was sent to the last that came."""
        took_ns = self.received.last_ns - self.sent.first_ns
        return self.received.received / took_ns * 1e9 if took_ns > 0 else 0.0


@frozen
class Lane:
    """One way from a sender to receivers.

    is_floor: pyzmq alone; where: its endpoint, or the daemon's runtime directory; burst: items that
    the sender has in one turn of its loop, at most.
    """

    name: str
    sender: Mailbox
    receivers: tuple[Mailbox, ...]
    style: Style
    where: str
    link: str = LINK_IN_DAEMON
    is_floor: bool = False
    burst: int = BURST

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
        send = Send(count, tuple(range(clients)), every_ns, window, self.burst, self.style, self.where)
        if self.is_floor:
            self.sender.begin(send)
        for mailbox, order in orders:
            mailbox.begin(order)
        if not self.is_floor:
            self.sender.begin(send)
        limit_s = REPLY_S + count * (every_ns / 1e9 + clients * _SLOWEST_S)
        sent = self.sender.reply(Sent, limit_s)
        return Segment(clients, sent, total([mailbox.reply(Received, limit_s) for mailbox, _ in orders]))


@frozen
class Contest:
    """A lane through LIES and the floor's beside it.

    shown: the lane in words; prefix: of its figures' names; judged: the goals are for it.
    """

    prefix: str
    shown: str
    judged: bool
    ours: Lane
    floor: Lane


def in_turn(contests: Iterable[Contest]) -> tuple[Lane, ...]:
    """Each floor, and right after it who is compared with it."""
    lanes: dict[str, Lane] = {}
    for contest in contests:
        lanes.setdefault(contest.floor.name, contest.floor)
        lanes[contest.ours.name] = contest.ours
    return tuple(lanes.values())


class Lanes:
    """The lanes of a bench; those to one consumer are `contests`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        run_dir = str(processes.runtime_dir)
        driver, client = processes.daemon.post, (processes.client("client").post,)
        self.blocking = Contest(
            "",
            "driver in the daemon, blocking client",
            True,
            Lane("blocking", driver, client, Style.BLOCKING, run_dir),
            self._floor(Style.BLOCKING),
        )
        self.on_loop = Contest(
            "async_",
            "driver in the daemon, asyncio client",
            True,
            Lane("asyncio", driver, client, Style.ASYNCIO, run_dir),
            self._floor(Style.ASYNCIO),
        )
        isolated = Contest(
            "isolated_",
            "isolated driver, blocking client",
            False,
            Lane("isolated", processes.isolated, client, Style.BLOCKING, run_dir, LINK_ISOLATED),
            self.blocking.floor,
        )
        inside = Contest(
            "in_daemon_",
            "driver and consumer in the daemon",
            False,
            Lane("in_daemon", driver, (processes.ear,), Style.ASYNCIO, run_dir),
            self.on_loop.floor,
        )
        self.contests = (self.blocking, self.on_loop, isolated, inside)
        self.single = Contest(
            "single_",
            "driver in the daemon one item a turn, blocking client",
            False,
            evolve(self.blocking.ours, name="single", burst=1),
            self.blocking.floor,
        )

    def to_many(self) -> Contest:
        """Lanes to many asyncio clients, in two processes."""
        processes = self._processes
        names = ("client", "client-2")
        receivers = tuple(processes.floor(f"receiver{n}").post for n in ("", "-2"))
        clients = tuple(processes.client(name).post for name in names)
        run_dir = str(processes.runtime_dir)
        return Contest(
            "fanout_",
            "asyncio clients in two processes",
            False,
            Lane("many", processes.daemon.post, clients, Style.ASYNCIO, run_dir),
            evolve(self._floor(Style.ASYNCIO), receivers=receivers),
        )

    def _floor(self, style: Style) -> Lane:
        processes, name = self._processes, f"floor-{style}"
        endpoint = f"ipc://{processes.directory / name}"
        return Lane(
            name,
            processes.floor("sender").post,
            (processes.floor("receiver").post,),
            style,
            endpoint,
            is_floor=True,
        )
