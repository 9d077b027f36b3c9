"""The first moments of processes: before all is loaded they already end as they should."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polling import wait_until
from tools import die_with_parent

# Ctrl-C comes when the module that sys.argv[1] names is looked for.
INTERRUPTED = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

wanted, how = sys.argv.pop(1), sys.argv.pop(1)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
if how == "module":
    runpy.run_module("lies", run_name="__main__", alter_sys=True)
else:
    from lies.cli import main
    main()
"""


@pytest.mark.parametrize("how", ["module", "script"])
@pytest.mark.parametrize(
    "module", ["lies.cli._app", "typer", "lies.errors", "lies.cli.trace", "lies.cli._trace"]
)
def test_interrupt_while_loading(module: str, how: str, tmp_path: Path) -> None:
    """Ctrl-C before the command line is there ends it with 130, and without a word."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, how, "trace", "--runtime-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    """A background job of a shell that ignores Ctrl-C does so while it loads as well."""
    program = INTERRUPTED.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = subprocess.run(
        [sys.executable, "-c", program, "typer", "script", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("lies ")


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # of a parent that has not looked yet


def _orphaned(tmp_path: Path, parent: str, *words: str, env: dict[str, str] | None = None) -> None:
    """Start a parent whose child's number gets into a file, kill the parent, wait for the child's end."""
    pid_file = tmp_path / "pid"
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(pid_file), *words], env={**os.environ, **(env or {})}
    )
    pid = 0
    try:
        wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), 60)
        pid = int(pid_file.read_text())
        process.kill()
        process.wait()
        wait_until(lambda: _gone(pid), 60)
    finally:
        process.kill()
        process.wait()
        if pid and not _gone(pid):
            os.kill(pid, signal.SIGKILL)


def test_isolated_plugin_ends_with_the_daemon_while_it_loads(tmp_path: Path) -> None:
    """A child of the daemon that still loads its modules ends when the daemon is killed."""
    # Whatever imports ZeroMQ in the child hangs there, holding the end of file on stdin off.
    (tmp_path / "zmq.py").write_text(
        "import os, threading\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}\\n')\n"
        "threading.Event().wait()\n"
    )
    parent = (
        "import subprocess, sys, threading\n"
        "subprocess.Popen([sys.executable, '-m', 'lies._isolated'], stdin=subprocess.PIPE)\n"
        "threading.Event().wait()\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    _orphaned(tmp_path, parent, env={"PYTHONPATH": path})


def test_what_tests_start_ends_with_them(tmp_path: Path) -> None:
    """A process that a test began with `die_with_parent` does not outlive pytest, even if that is killed."""
    assert die_with_parent.__module__ == "tools"
    parent = (
        "import subprocess, sys, threading\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from tools import die_with_parent\n"
        "child = 'import threading; threading.Event().wait()'\n"
        "one = subprocess.Popen([sys.executable, '-c', child], preexec_fn=die_with_parent)\n"
        "open(sys.argv[1], 'w').write(f'{one.pid}\\n')\n"
        "threading.Event().wait()\n"
    )
    _orphaned(tmp_path, parent, str(Path(__file__).parents[1]))
