"""The cellular side of a vertical drive: the real ModemManager with the tests' modem, where that can be.

The rig is part of the source tree (tests/modem) and needs the daemons that it runs; without them the cellular
link is a plain interface that is always up, and the result says so.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import lies
from lies.runtime import now_s

_TESTS = Path(lies.__file__).resolve().parents[1] / "tests"
_TOOLS = ("/usr/sbin/ModemManager", "mmcli", "dbus-daemon", "unshare", "ip")
_READY_S, _END_S = 60.0, 20.0
_SCRIPT = (
    "mmcli -m any --enable && "
    'printf %s "$DBUS_SYSTEM_BUS_ADDRESS" > "$0.part" && mv "$0.part" "$0" && exec cat >/dev/null'
)


def rig_missing() -> str | None:
    """Why there is no ModemManager with a modem here; None if there can be one."""
    if not (_TESTS / "modem" / "__main__.py").is_file():
        return "this is no source tree, which the modem rig is part of"
    if os.geteuid() != 0:
        return "the modem rig needs root, or a user namespace"
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            return f"{Path(tool).name} is not installed"
    return None if find_spec("dbus_next") else 'dbus-next is not installed: pip install "lies[cellular]"'


def described(missing: str | None) -> str:
    """Where the cellular link comes from, by what `rig_missing` says."""
    if missing is None:
        return "the driver cellular, over ModemManager with a modem of the tests"
    return f"simulated, an interface that is always up: {missing}"


def run_rig(address_file: Path, ready: Callable[[], None]) -> int:
    """Keep the rig until SIGTERM: when `ready` is called its bus is in the file, and the modem enabled."""
    path = os.pathsep.join(p for p in (str(_TESTS), os.environ.get("PYTHONPATH", "")) if p)
    rig = subprocess.Popen(  # noqa: S603 - words of our own
        [sys.executable, "-m", "modem", "sh", "-c", _SCRIPT, str(address_file)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        deadline = now_s() + _READY_S
        while not address_file.exists():
            if rig.poll() is not None or now_s() > deadline:
                return 1
            if signal.sigtimedwait(signals, 0.05) is not None:
                return 0
        ready()
        signal.sigwait(signals)
        return 0
    finally:
        assert rig.stdin is not None
        rig.stdin.close()  # the command in the rig ends, and the rig with it
        try:
            rig.wait(_END_S)
        except subprocess.TimeoutExpired:
            rig.kill()
            rig.wait()
