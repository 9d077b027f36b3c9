"""15 Mbit/s from hosts to hosts of the machine: radio.flow's four processes."""

import subprocess
from ipaddress import IPv6Address

from attrs import frozen

from radio.guest import LOGS, PATIENCE_S, PYTHON, mark, pause, said, start

_PORT = 5001
_DRAIN_S = 0.5  # what is on its way, or waits


@frozen
class Host:
    """Where a flow begins and ends."""

    namespace: str
    address: IPv6Address


class TwoWays:
    """Flows by name: (from, to). The files NAME.sent and NAME.came are there after `end`."""

    def __init__(self, ways: dict[str, tuple[Host, Host]]) -> None:
        self._receivers = [_flow("receive", f"{name}.came", to, to) for name, (_, to) in ways.items()]
        for name in ways:
            said(f"{name}.came", "ready")
        mark("flow begins")
        self._senders = [_flow("send", f"{name}.sent", *ends) for name, ends in ways.items()]

    def end(self) -> None:
        """Send no more; what is on its way arrives."""
        mark("flow ends")
        _end(self._senders)
        pause(_DRAIN_S)
        _end(self._receivers)


def _flow(what: str, file: str, here: Host, there: Host) -> "subprocess.Popen[str]":
    where = [str(here.address), *([str(there.address)] if what == "send" else []), str(_PORT)]
    words = (PYTHON, "-m", "radio.flow", what, str(LOGS / file), *where)
    return start(file, *words, namespace=here.namespace)


def _end(processes: list["subprocess.Popen[str]"]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(PATIENCE_S)
