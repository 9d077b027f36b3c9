"""Configurations of the runs."""

from pathlib import Path


def quick_restarts() -> str:
    """A daemon that starts what failed again at once."""
    return "[daemon]\nrestart_min_s = 0.05\nrestart_max_s = 0.1\n"


def metronome(name: str, *, rate_hz: float, link: str, isolate: bool = False, **files: Path) -> str:
    """The table of one metronome."""
    lines = [f"[drivers.{name}]", 'driver = "metronome"', f'link = "{link}"', f"rate_hz = {rate_hz:g}"]
    if isolate:
        lines.append("isolate = true")
    lines += [f'{key} = "{path}"' for key, path in files.items()]
    return "\n".join(lines) + "\n"
