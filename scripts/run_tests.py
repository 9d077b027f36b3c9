"""Run pytest in a network namespace of its own: `python scripts/run_tests.py [PYTEST ARGUMENT...]`.

There is nothing but a loopback in it, so no test reaches a real network. Who is not root gets a user
namespace around it, in which further namespaces can be made. Where neither is allowed pytest runs where it
is, and the tests that need namespaces are skipped with the reason (and fail where CI=true).
"""

import os
import signal
import sys

from lies.errors import NotPermitted
from lies.kernel import messages
from lies.kernel.netlink import Netlink
from lies.kernel.netns import ensure_privileged, enter, new_namespace

_LOOPBACK = 1  # its index in every new network namespace


def main() -> None:
    """Enter the namespaces, then become pytest."""
    uid = os.getuid()
    try:
        if ensure_privileged():
            # inside, everybody is root: pytest would look into the real root's folder for temporary files
            os.environ["LOGNAME"] = f"uid-{uid}"
        enter(new_namespace())
        netlink = Netlink()
        netlink.execute([messages.set_link(_LOOPBACK, up=True)])
        netlink.close()
    except NotPermitted as error:
        print(f"{error}; tests that need them are skipped", file=sys.stderr)
    # background jobs of a shell are born ignoring Ctrl-C, those of nohup(1) a closed terminal, and so would
    # every process be that a test starts
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main()
