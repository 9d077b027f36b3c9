"""Shell completion: what the shells are told, and that bash understands it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_kit import daemon
from fake_plugins import install
from tools import need
from typer.testing import CliRunner

from lies.cli._app import COMMANDS, app
from lies.events import INDICATION_CLASSES

ROOT = Path(__file__).resolve().parents[2]


def offered(*words: str, **environ: str) -> list[str]:
    """What is offered for the last word of a command line."""
    environ |= {
        "_LIES_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["lies", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner(env=environ).invoke(app, [], prog_name="lies")
    assert done.exit_code == 0
    return done.stdout.split()


def test_commands() -> None:
    """Every command of the table is offered, in its order; what begins otherwise is not."""
    assert offered("") == list(COMMANDS)
    assert offered("re") == ["record", "replay"]


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_commands_that_are_imported_late(command: str) -> None:
    """The options and subcommands of a command are offered, though the table knows its name only."""
    assert "--help" in offered(command, "--")


def test_arguments() -> None:
    """Kinds of events are offered for trace and exec, the subcommand for config."""
    assert offered("config", "") == ["check"]
    assert offered("trace", "poa_") == ["poa_found", "poa_lost"]
    assert offered("exec", "--on", "link_going") == ["link_going_down", "link_going_down_cancelled"]
    assert set(INDICATION_CLASSES) < set(offered("trace", ""))


def test_names_of_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, and the PoAs that a link hears, come from the running daemon; without one there are none."""
    monkeypatch.setenv("LIES_RUNTIME_DIR", str(tmp_path / "run"))
    assert offered("poas", "") == []
    assert offered("connect", "fake0", "") == []
    install(tmp_path / "site", monkeypatch)
    with daemon(tmp_path, "[drivers.fake]\n") as running:
        running.wait_up()
        for words in (("poas", ""), ("disconnect", "fa"), ("trace", "--link", ""), ("connect", "f")):
            assert offered(*words) == ["fake0"]
        assert offered("connect", "fake0", "") == ["ap1"]
        assert offered("connect", "wlan9", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_name_the_program(shell: str) -> None:
    """The script of each shell, as a package would install it, calls `lies` back."""
    done = CliRunner(env={"_LIES_COMPLETE": f"source_{shell}"}).invoke(app, [], prog_name="lies")
    assert f"_LIES_COMPLETE=complete_{shell}" in done.stdout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with `lies` on its PATH."""
    program = tmp_path / "bin" / "lies"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lies "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def in_bash(script: str) -> str:
    """What a script prints in bash."""
    return subprocess.run(
        [need("bash"), "--norc", "-c", script], capture_output=True, text=True, check=True
    ).stdout


def test_bash_completes(home: Path) -> None:
    """`lies --install-completion` in bash makes the next bash complete commands, options and kinds."""
    in_bash("lies --install-completion; true")  # bash must be its parent, not be replaced by it
    assert str(home / ".bash_completions" / "lies.sh") in (home / ".bashrc").read_text()
    script = (
        f"source {home}/.bashrc; complete -p lies\n"
        'try() { COMP_WORDS=(lies "$@"); COMP_CWORD=$#; _lies_completion lies; echo ${COMPREPLY[*]}; }\n'
        "try tra; try trace --ti; try exec --on link_u\n"
    )
    registered, *tries = in_bash(script).splitlines()
    assert registered == "complete -o default -F _lies_completion lies"
    assert tries == ["trace", "--time", "link_up"]


def test_show_completion(home: Path) -> None:
    """`lies --show-completion` prints the script that it would install."""
    assert home.exists()
    script = in_bash("_LIES_COMPLETE=source_bash lies")
    assert in_bash("lies --show-completion; true").strip() == script.strip()
