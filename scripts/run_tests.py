#!/usr/bin/env python3
"""Run pytest where network namespaces can be made: `python scripts/run_tests.py [PYTEST ARGUMENT...]`.

Root has them. Anybody else gets a user namespace and a network namespace of their own around all of pytest;
where that is not allowed, the tests that need one say so (and fail where CI=true). Nothing in either case
reaches a real network: the tests make namespaces of their own.
"""

import os
import sys

from lies.errors import NotPermitted
from lies.kernel.netns import ensure_privileged, enter, new_namespace


def main() -> None:
    """Enter namespaces if need be, then become pytest."""
    try:
        if ensure_privileged():
            enter(new_namespace())
    except NotPermitted as error:
        print(f"{error}; tests that need them are skipped", file=sys.stderr)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main()
