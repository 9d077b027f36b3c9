"""What the kernel says of a process: proc(5)."""

import os
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024


def rss_kb(pid: int | str) -> float:
    """Resident memory in kB (2^10 octets), what it shares with others included."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_KB


def cpu_s(pid: int | str) -> float:
    """What it used of a processor so far, all its threads, user and system; to one clock tick (10 ms)."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) * _TICK_S
