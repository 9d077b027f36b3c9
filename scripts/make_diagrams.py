"""Write spec/fmipv6.mmd and spec/mipv6.mmd from the state tables of the engines.

`python scripts/make_diagrams.py` writes them; test_fmipv6_engine_states.py compares them with the tables.
"""

from pathlib import Path

import lies_fmipv6.states
import lies_mipv6.states

SPEC = Path(__file__).resolve().parent.parent / "spec"


def main() -> None:
    """Write both."""
    for name, text in (
        ("fmipv6.mmd", lies_fmipv6.states.diagram()),
        ("mipv6.mmd", lies_mipv6.states.diagram()),
    ):
        path = SPEC / name
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
