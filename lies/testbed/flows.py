"""The traffic's processes: one end point of the flow each, steered and counted through pipes."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define

from lies.testbed.node import Node
from lies.testbed.traffic import Endpoint, Flow, FlowLog, read_progress

Spawn = Callable[[str, Callable[[Callable[[], None]], int]], Node]


@define
class FlowProcess:
    """One end point's process; counts: (sent, received, answers) as last told."""

    node: Node
    control: int
    progress: int
    path: Path
    counts: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def start(cls, name: str, flow: Flow, folder: Path, spawn: Spawn) -> "FlowProcess":
        """Start it; `spawn(name, main)` forks it into its namespace."""
        path = folder / f"{name}.packets"
        control_read, control_write = os.pipe2(os.O_CLOEXEC)
        progress_read, progress_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

        def main(ready: Callable[[], None]) -> int:
            os.close(control_write)
            endpoint = Endpoint(flow)
            ready()
            endpoint.run(control_read, progress_write)
            endpoint.save(path)
            endpoint.close()
            return 0

        node = spawn(name, main)
        os.close(control_read)
        os.close(progress_write)
        return cls(node, control_write, progress_read, path)

    def order(self, letter: bytes) -> None:
        """Send an order of Endpoint.run."""
        with suppress(BrokenPipeError):
            os.write(self.control, letter)

    def poll(self) -> tuple[int, int, int]:
        """The newest counts."""
        with suppress(BlockingIOError):
            self.counts = read_progress(os.read(self.progress, 65536)) or self.counts
        return self.counts

    def log(self) -> FlowLog:
        """What it saved at its end."""
        return FlowLog.load(self.path)

    def close(self) -> None:
        """Close the pipes."""
        os.close(self.control)
        os.close(self.progress)
