"""Boots machines for experiments, two at a time for each processor, and hands out what they found."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from polling import wait_until
from tools import need

from radio.bytecode import bytecode
from radio.kernel import Kernel, NoKernel, cached
from radio.machine import Machine, MachineFailed, machine
from radio.results import Results

LIMIT_S = 1500.0  # of one machine; it takes three minutes where nothing else runs
MOST_AT_A_TIME = 4  # they wait for half of their time
_TOOLS = ("qemu-system-x86_64", "busybox", "ip", "iw", "hostapd", "wpa_supplicant", "wpa_cli", "tcpdump")
_IKE = ("charon-systemd", "swanctl")


def kernel() -> Kernel:
    """The kernel to boot; without one, or without a tool, tests are skipped, and fail where CI=true."""
    for tool in (*_TOOLS, *_IKE):
        need(tool)
    if b"/ld-linux" in Path(need("busybox")).read_bytes():
        _refuse("busybox is not linked statically here: install busybox-static")
    try:
        return cached()
    except NoKernel as error:
        _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; CI=true needs it", pytrace=False)
    pytest.skip(why)


@contextmanager
def experiments(names: Sequence[str], folder: Path) -> Iterator[Mapping[str, Results]]:
    """Run experiments (modules of radio.experiments), each in a machine of its own; the longest first."""
    one = kernel()
    at_a_time = min(MOST_AT_A_TIME, 2 * len(os.sched_getaffinity(0)))
    waiting = list(names)
    modules = folder / "bytecode.tar"
    bytecode(modules)
    with ExitStack() as stack:
        running: dict[str, Machine] = {}
        found = {}
        while waiting or running:
            while waiting and len(running) < at_a_time:
                name = waiting.pop(0)
                share = folder / name
                share.mkdir()
                script = f"tar -x -f {modules} -C / && exec {sys.executable} -m radio.experiments.{name}"
                command = ("sh", "-c", script)
                running[name] = stack.enter_context(machine(one, share, command, limit_s=LIMIT_S))
            wait_until(lambda: any(there.done for there in running.values()), 2 * LIMIT_S)
            for name in [name for name, there in running.items() if there.done]:
                found[name] = _result(name, running.pop(name))
        yield found


def _result(name: str, there: Machine) -> Results:
    try:
        code = there.code()
    except MachineFailed as error:
        pytest.fail(f"the experiment {name}: {error}", pytrace=False)
    if code:
        pytest.fail(f"the experiment {name} failed with {code}\n{there.said()}", pytrace=False)
    return Results(there.share)
