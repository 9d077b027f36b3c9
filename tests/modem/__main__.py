"""A rig with a command in it, a shell unless one is named.

    cd tests; ../.venv/bin/python -m modem [--rootless] [COMMAND...]

In it mmcli, `lies run` and `python -m modem.control signal csq=20` all mean the rig's bus and modem.
"""

import os
import subprocess
import sys
from contextlib import ExitStack

from netns_kit import namespace

from modem.control import VARIABLE
from modem.rig import PluggedRig, SocketRig, running


def main() -> int:
    """Run the command in a rig; its exit code."""
    words = sys.argv[1:]
    rootless = words[:1] == ["--rootless"]
    command = words[rootless:] or [os.environ.get("SHELL", "sh")]
    with ExitStack() as stack:
        if not rootless:
            stack.enter_context(namespace())
        rig = stack.enter_context(running(SocketRig if rootless else PluggedRig))
        env = {**rig.env, VARIABLE: str(rig.control)}
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
