"""From one sender to its receivers: the floor's way, and those through LIES."""

import time

from attrs import evolve, frozen

from lies.bench._board import Board
from lies.bench._names import LINK_IN_DAEMON, LINK_ISOLATED
from lies.bench._orders import BURST, PATIENCE_S, Receive, Received, Send, Sent, Style, Turn
from lies.bench._pace import total
from lies.bench._processes import REPLY_S, Mailbox, Processes
from lies.runtime import monotonic_ns, now_s

_SLOWEST_S = 0.01  # for one delivery: who is slower still is given up
_LOOK_S = 0.002
_AHEAD_NS = 20_000_000  # senders have seen the time of their start by then


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
class Load:
    """What a lane is to carry: lies.bench._orders.Send says what is what.

    clients: how many receive it, spread over the receiving processes; first_slot: theirs on the board begin
    there.
    """

    count: int
    every_ns: int = 0
    window: int = 0
    keep: bool = False
    clients: int = 1
    first_slot: int = 0
    turn: Turn | None = None

    @property
    def slots(self) -> tuple[int, ...]:
        """Slots of all receivers."""
        return tuple(range(self.first_slot, self.first_slot + self.clients))


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

    def run(self, load: Load) -> Segment:
        """Send and receive all of it."""
        self.begin(load)
        return self.end(load)

    def begin(self, load: Load) -> None:
        """Have sender and receivers begin."""
        if self.is_floor:
            self._send(load)
        for mailbox, slots in self._shares(load):
            mailbox.begin(Receive(load.count, slots, self.where, self.link, self.style, load.keep))
        if not self.is_floor:
            self._send(load)

    def end(self, load: Load) -> Segment:
        """Wait until they are done."""
        limit_s = REPLY_S + load.count * (load.every_ns / 1e9 + load.clients * _SLOWEST_S)
        sent = self.sender.reply(Sent, limit_s)
        parts = [mailbox.reply(Received, limit_s) for mailbox, _ in self._shares(load)]
        return Segment(load.clients, sent, total(parts))

    def _send(self, load: Load) -> None:
        self.sender.begin(
            Send(
                load.count,
                load.slots,
                load.every_ns,
                load.window,
                self.burst,
                load.turn,
                self.style,
                self.where,
            )
        )

    def _shares(self, load: Load) -> list[tuple[Mailbox, tuple[int, ...]]]:
        """The receiving processes, each with its slots: they have as many, or one more than the next."""
        step = len(self.receivers)
        shares = [(mailbox, load.slots[k::step]) for k, mailbox in enumerate(self.receivers)]
        return [share for share in shares if share[1]]


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


def by_turns(contest: Contest, load: Load, board: Board, *, events: int) -> tuple[Segment, Segment]:
    """The same load on the floor and on ours, `events` of the one and as many of the other by turns.

    What else the machine does meanwhile then meets both. Returns floor and ours.
    """
    lanes = (contest.floor, contest.ours)
    loads = [evolve(load, first_slot=k, turn=Turn(events, len(lanes), k)) for k in range(len(lanes))]
    board.start_ns = 0
    for lane, one in zip(lanes, loads, strict=True):
        board.set(one.first_slot, 0)
        lane.begin(one)
    end_s = now_s() + PATIENCE_S
    while board.slowest(range(len(lanes))) == 0 and now_s() < end_s:
        time.sleep(_LOOK_S)
    board.start_ns = monotonic_ns() + _AHEAD_NS
    floor, ours = (lane.end(one) for lane, one in zip(lanes, loads, strict=True))
    return floor, ours


class Lanes:
    """The lanes of a bench; those to one consumer are `contests`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.board = processes.board
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
