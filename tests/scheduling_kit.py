"""Whether processes may go before the ordinary work of this host."""

import subprocess
import sys
from functools import cache


def run_program(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@cache
def may_go_first() -> bool:
    """Whether SCHED_RR is allowed: it takes CAP_SYS_NICE."""
    return not run_program("from lies._scheduling import go_first\ngo_first()").returncode
