"""15 Mbit/s from one host of the machine to another: radio.flow's two processes."""

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


class Sending:
    """A flow from one host to the other, begun; the files NAME.sent and NAME.came are there after `end`."""

    def __init__(self, name: str, here: Host, there: Host) -> None:
        self._name = name
        self._receiver = _flow("receive", f"{name}.came", there, there)
        said(f"{name}.came", "ready")
        mark("flow begins", name=name)
        self._sender = _flow("send", f"{name}.sent", here, there)

    def end(self) -> None:
        """Send no more; what is on its way arrives."""
        mark("flow ends", name=self._name)
        _end(self._sender)
        pause(_DRAIN_S)
        _end(self._receiver)


def _flow(what: str, file: str, here: Host, there: Host) -> "subprocess.Popen[str]":
    where = [str(here.address), *([str(there.address)] if what == "send" else []), str(_PORT)]
    words = (PYTHON, "-m", "radio.flow", what, str(LOGS / file), *where)
    return start(file, *words, namespace=here.namespace)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(PATIENCE_S)
