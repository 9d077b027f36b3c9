"""The examples of README.md and docs/ run as they stand, beside a daemon of `lies run`."""

import functools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from daemon_kit import LIES, daemon, text_of
from polling import wait_until

from lies.cli._app import COMMANDS
from lies.config import parse

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "consumer.py"
PLUGIN = ROOT / "examples" / "plugin"
CAR = '[drivers.car]\ndriver = "simwifi"\nlink = "wlan0"\nrate = 20.0\n'


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_readme_shows_the_example() -> None:
    """README's consumer is examples/consumer.py without its docstring."""
    (shown,) = blocks(ROOT / "README.md", "python")
    assert shown == EXAMPLE.read_text(encoding="utf-8").partition("\n\n")[2]


def test_consumer_example(tmp_path: Path) -> None:
    """The consumer prints a link that is about to break, as its one line says."""
    with daemon(tmp_path, CAR) as running:
        watcher = subprocess.Popen(
            [sys.executable, str(EXAMPLE)], stdout=subprocess.PIPE, text=True, env=running.env
        )
        try:
            assert watcher.stdout is not None
            assert re.fullmatch(r"wlan0 leaves \S+ in \d+ ms\n", watcher.stdout.readline())
        finally:
            watcher.kill()
            watcher.wait()
            assert watcher.stdout is not None
            watcher.stdout.close()


@pytest.mark.parametrize("isolate", [False, True])
def test_plugin_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, isolate: bool) -> None:
    """A third party's driver and consumer are found by their entry points and work, in and out of process."""
    install(PLUGIN, tmp_path / "site", monkeypatch)
    level = tmp_path / "wireless"
    level.write_text("Inter-| sta-|\n")
    diary = tmp_path / "diary"
    config = (
        f'[drivers.card]\ndriver = "procwifi"\nfile = "{level}"\nisolate = {str(isolate).lower()}\n'
        f'[consumers.diary]\nfile = "{diary}"\nisolate = {str(isolate).lower()}\n'
    )
    with daemon(tmp_path / "daemon", config) as running:
        wait_until(lambda: "begun" in text_of(diary), 20)
        level.write_text("Inter-| sta-|\n wlan0: 0000   54.  -50.  -256        0\n")
        wait_until(lambda: "wlan0 LinkUp" in text_of(diary), 20)
        wait_until(lambda: "wlan0 LinkStatusChanged" in text_of(diary), 20)
        (link,) = running.links()
        assert (link["link"], link["technology"], link["up"]) == ("wlan0", "wifi", True)
        assert link["condition"]["quality"] == "excellent"
        level.write_text("Inter-| sta-|\n")
        wait_until(lambda: "wlan0 LinkDown" in text_of(diary), 20)
        assert running.stop() == 0


def test_plugin_example_is_a_package() -> None:
    """The example's own pyproject.toml names what is in its module."""
    points = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]["entry-points"]
    text = (PLUGIN / "my_plugin.py").read_text()
    for target in [t for group in points.values() for t in group.values()]:
        module, _, name = target.partition(":")
        assert module == "my_plugin"
        assert re.search(rf"^class {name}\b", text, flags=re.MULTILINE)


def test_plugin_example_has_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`use = "last-moment"` is found once the example is installed, and its keys are checked by name."""
    install(PLUGIN, tmp_path / "site", monkeypatch)
    file = tmp_path / "lies.toml"
    lines = '[consumers.fmipv6]\nrole = "mobile-node"\nlink = "wlan0"\n[consumers.fmipv6.policy]\n'
    for option, status, said in (
        ("lead_s = 0.5", 0, ""),
        ("laed_s = 0.5", 2, "[consumers.fmipv6.policy]: laed_s: unknown key; did you mean 'lead_s'?"),
    ):
        file.write_text(f'{lines}use = "last-moment"\n{option}\n')
        command = [*LIES, "config", "check", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stderr
        assert said in done.stderr


@functools.cache
def help_of(command: str) -> str:
    """What `lies COMMAND --help` prints."""
    return subprocess.run([*LIES, command, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", ["README.md", "docs/how-to.md", "docs/start.md", "docs/testbed.md"])
def test_pages_name_real_commands(page: str) -> None:
    """Every `lies COMMAND --option` in a page is a command with these options."""
    text = (ROOT / page).read_text(encoding="utf-8")
    seen = set()
    for line in re.findall(r"(?:^    |`)(lies [a-z][^`#\n]*)", text, flags=re.MULTILINE):
        words = line.partition(" -- ")[0].split()  # what follows is another command's
        if words[1] == "--version":
            continue
        assert words[1] in COMMANDS, line
        seen.add(words[1])
        shown = help_of(words[1])
        for option in (w for w in words[2:] if w.startswith("-") and words[1] != "config"):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), line
    assert seen


@pytest.mark.parametrize("page", ["docs/how-to.md", "docs/configuration.md"])
def test_toml_of_pages_is_a_configuration(page: str) -> None:
    """Every TOML block of the pages parses as a configuration."""
    for block in blocks(ROOT / page, "toml"):
        parse(block, file=page)


def test_links_between_pages() -> None:
    """No link in README or docs leads nowhere, and no file that a page names is missing."""
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (page.parent / target).exists(), (page.name, target)
        for named in re.findall(
            r"`((?:lies|drivers|consumers|spec|examples|docs|scripts|tests|packaging)/[\w./-]+)`", text
        ):
            assert (ROOT / named).exists(), (page.name, named)


def install(plugin: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a plugin folder an installed distribution for child processes."""
    info = site / "my_plugin-1.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0.0\n")
    points = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"[{g}]\n" + "".join(f"{n} = {t}\n" for n, t in named.items()) for g, named in points.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    paths = (str(site), str(plugin), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


def test_changelog_fragments() -> None:
    """Every fragment has a group that towncrier knows, and says something."""
    groups = {
        t["directory"]
        for t in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
    }
    fragments = [p for p in (ROOT / "changelog.d").glob("*.md") if p.name != "README.md"]
    assert fragments
    for fragment in fragments:
        assert fragment.name.split(".")[-2] in groups, fragment.name
        assert len(fragment.read_text().split()) > 5
