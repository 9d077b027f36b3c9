"""Boots machines for experiments, as many at a time as there are processors, and hands out what they found."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from tools import need

from radio.kernel import Kernel, NoKernel, cached
from radio.machine import Machine, MachineFailed, machine
from radio.results import Results

LIMIT_S = 900.0  # of one machine; it takes two minutes where nothing else runs
_TOOLS = ("qemu-system-x86_64", "busybox", "ip", "iw", "hostapd", "wpa_supplicant", "wpa_cli")


def kernel() -> Kernel:
    """The kernel to boot; without one, or without a tool, tests are skipped, and fail where CI=true."""
    for tool in _TOOLS:
        need(tool)
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
    """Run experiments (modules of radio.experiments) side by side, each in a machine of its own."""
    one = kernel()
    with ExitStack() as stack:
        running: dict[str, Machine] = {}
        for name in names:
            share = folder / name
            share.mkdir()
            command = (sys.executable, "-m", f"radio.experiments.{name}")
            running[name] = stack.enter_context(machine(one, share, command))
        found = {}
        for name, there in running.items():
            try:
                code = there.wait(LIMIT_S)
            except MachineFailed as error:
                pytest.fail(f"the experiment {name}: {error}", pytrace=False)
            if code:
                pytest.fail(f"the experiment {name} failed with {code}\n{there.said()}", pytrace=False)
            found[name] = Results(there.share)
        yield found
