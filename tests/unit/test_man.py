"""The man pages: made from the command line's help, and good roff."""

import re
import subprocess
from pathlib import Path

import make_man
import pytest
from tools import need

from lies import errors
from lies.cli._app import COMMANDS

PAGES = make_man.pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_committed_is_made(path: Path) -> None:
    """What is committed is what the command line's help makes: `make spec` writes it anew."""
    assert path.read_text(encoding="utf-8") == PAGES[path]


def test_no_other_page() -> None:
    """There is a page for `lies` and for each command, and none for a command that is no more."""
    assert {p.name for p in make_man.FOLDER.iterdir()} == {"lies.1", *(f"lies-{name}.1" for name in COMMANDS)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_on_its_page(name: str) -> None:
    """Every option and argument of a command, and of its subcommands, is on its page with a sentence."""
    shown = rendered(make_man.FOLDER / f"lies-{name}.1")
    of = make_man.command(name)
    for command in (of, *getattr(of, "commands", {}).values()):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert re.search(rf"^ +(-\w, )?{max(parameter.opts, key=len)}\b", shown, flags=re.MULTILINE)
            assert parameter.help, (name, parameter.name)


def test_exit_codes() -> None:
    """The main page names every exit code that an error can end with."""
    shown = " ".join(rendered(make_man.FOLDER / "lies.1").split())
    codes = {
        e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.LiesError)
    }
    listed = {
        int(code)
        for code in re.findall(r"\b(\d+) [a-z]", shown.partition("Exit codes: ")[2].partition(".")[0])
    }
    assert listed == codes | {0, 130}


def test_roff_is_good() -> None:
    """The formatter mandoc warns of nothing in the pages but that they bear no date."""
    checked = subprocess.run(
        [need("mandoc"), "-T", "lint", "-W", "warning", *map(str, PAGES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in checked.stdout.splitlines() if "missing date" not in line] == []
    assert checked.stderr == ""


def rendered(page: Path) -> str:
    """The page as a reader sees it, without its fonts."""
    shown = subprocess.run(
        [need("mandoc"), "-T", "ascii", str(page)], capture_output=True, text=True, check=True
    ).stdout
    return re.sub(r".\x08", "", shown)
