"""`python -m lies.bench.child ROLE ...`: one process of a bench.

It ends when its stdin does, or with the process that started it.
"""

import ctypes
import signal
import sys
from pathlib import Path

from lies.bench._board import Board
from lies.bench._orders import Ask, Confirm, Failed, Feed, Ready, Receive, Reply, Send, decode, encode
from lies.errors import LiesError

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Run a role until it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    role, board, *rest = sys.argv[1:]
    if role in {"floor", "client", "abstract"}:
        return _serve(role, Board(Path(board)))
    from lies.bench import _hosts  # noqa: PLC0415 - large to load, and not for the floor's processes

    directory, driver, *ear = rest
    if role == "daemon":
        return _hosts.run_bench_daemon(Path(board), Path(directory), driver, (int(ear[0]), int(ear[1])))
    return _hosts.run_isolated_driver(Path(board), Path(directory), driver)


def _serve(role: str, board: Board) -> int:
    for line in sys.stdin.buffer:
        try:
            reply = _follow(role, decode(line), board)
        except LiesError as error:
            reply = Failed(str(error))
        _say(reply)
    return 0


def _say(reply: Reply) -> None:
    sys.stdout.buffer.write(encode(reply))
    sys.stdout.buffer.flush()


def _ready() -> None:
    _say(Ready())


def _follow(role: str, order: object, board: Board) -> Reply:
    if role == "abstract":
        from lies.bench import _feeding  # noqa: PLC0415 - as above

        if isinstance(order, Feed):
            _say(Ready())
            return _feeding.feed(order)
    else:
        reply = _traffic(role, order, board)
        if reply is not None:
            return reply
    return Failed(f"a process of the kind {role} cannot {type(order).__name__}")


def _traffic(role: str, order: object, board: Board) -> Reply | None:
    from lies.bench import _clients, _floor  # noqa: PLC0415 - as above

    floor = role == "floor"
    match order:
        case Receive():
            return (_floor.receive if floor else _clients.receive)(order, board, _ready)
        case Ask():
            return (_floor.ask if floor else _clients.ask)(order, _ready)
        case Send() if floor:
            return _floor.send(order, board, _ready)
        case Confirm() if floor:
            return _floor.confirm(order, _ready)
    return None


if __name__ == "__main__":
    sys.exit(main())
