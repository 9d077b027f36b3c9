"""The faults and attacks of docs/reliability.md: `python scripts/run_soak.py [RUN...] [--scale X] [-o FILE]`.

Prints one line for each run with its figures, and writes them to a file as one JSON object a line. Exit code
1 if something crashed, leaked, hung or was lost silently.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from soak.rig import Figures
from soak.runs import RUNS, run

from lies.runtime import now_s


def main() -> int:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is in full; the tests take a tenth")
    where = Path("build/soak.ndjson")
    parser.add_argument("-o", "--output", type=Path, default=where, help="where the figures go")
    options = parser.parse_args()
    if unknown := set(options.runs) - set(RUNS):
        parser.error(f"there is no run {', '.join(sorted(unknown))}")
    failed = False
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", encoding="utf-8") as output:
        for name in options.runs or RUNS:
            began_s = now_s()
            with tempfile.TemporaryDirectory(prefix="lies-soak-") as directory:
                figures = _run(name, options.scale, Path(directory))
            figures.values["took_s"] = round(now_s() - began_s, 1)
            failed = failed or bool(figures.faults)
            print(figures.line, flush=True)
            record = {
                "type": "run",
                "run": name,
                "scale": options.scale,
                **figures.values,
                "faults": figures.faults,
            }
            output.write(json.dumps(record) + "\n")
            output.flush()
    return 1 if failed else 0


def _run(name: str, scale: float, directory: Path) -> Figures:
    try:
        return run(name, scale, directory)
    except Exception as error:  # noqa: BLE001 - the other runs are to be seen as well
        return Figures(name, scale, faults=[f"{type(error).__name__}: {error}"])


if __name__ == "__main__":
    sys.exit(main())
