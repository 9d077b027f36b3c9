"""Habits of the tree that no linter knows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [p for folder in ("drivers", "consumers") for p in sorted((ROOT / folder).iterdir()) if p.is_dir()]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Written apart so that this file does not hold what it looks for. HACK is a message of FMIPv6 here.
PROMISES = re.compile(
    "|".join(
        [
            rf"\b{'TO'}DO\b",
            rf"\b{'FIX'}ME\b",
            rf"\b{'X'}XX\b",
            rf"{'Not'}ImplementedError",
            rf"\bnot {'implemented'}\b",
            rf"\b{'place'}holder",
            rf"\bfor {'now'}\b",
            rf"\b{'simpli'}fied\b",
        ]
    )
)
WORKPLACE = re.compile("|".join([rf"/{'work'}/", rf"/{'root'}\b", rf"{'pypi'}\.", rf"{'debian'}\.org"]))


def tracked(*endings: str) -> list[Path]:
    """The files of the tree that git knows, by ending; all that are there where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if name] or [
        p for p in ROOT.rglob("*") if p.is_file() and not p.relative_to(ROOT).parts[0].startswith(".")
    ]
    return [p for p in paths if p.suffix in endings and p.is_file()]


def lines(*endings: str) -> list[tuple[str, str]]:
    """Every line of those files with where it stands."""
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in tracked(*endings)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


def test_no_promises() -> None:
    """Nothing in code or settings says that it is to be done later."""
    assert [(at, line) for at, line in lines(".py", ".toml", ".yaml") if PROMISES.search(line)] == []


def test_no_machine_paths() -> None:
    """No file speaks of one machine's paths or of a registry's hosts."""
    found = [
        (at, line) for at, line in lines(".py", ".toml", ".md", ".yaml", ".json") if WORKPLACE.search(line)
    ]
    assert found == []


def test_files_are_short() -> None:
    """A Python file has one purpose and at most 400 lines."""
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked(".py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_tests_do_not_sleep() -> None:
    """Tests poll for what they wait for."""
    sleeps = re.compile(rf"\b{'time'}\.sleep\(")
    assert [at for at, line in lines(".py") if at.startswith("tests/") and sleeps.search(line)] == []


def test_silenced_checkers_are_explained() -> None:
    """A silenced type error, rule or test names which one and says why on the same line."""
    bare = re.compile(r"type: ignore\s*$|type: ignore\[[\w, -]+\]\s*$|noqa\s*$|noqa: [A-Z0-9, ]+$")
    found = [at for at, line in lines(".py") if bare.search(line)]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_plugin_is_typed_and_exports_one_class(package: Path) -> None:
    """A plugin package has py.typed, and its __init__ exports the one class of its entry point."""
    assert (package / "py.typed").is_file()
    kind = package.parent.name
    points = PYPROJECT["project"]["entry-points"][f"lies.{kind}"]
    (target,) = [point for point in points.values() if point.partition(":")[0] == package.name]
    text = (package / "__init__.py").read_text(encoding="utf-8")
    assert f'__all__ = ["{target.partition(":")[2]}"]' in text


def test_plugin_folders_are_no_packages() -> None:
    """`drivers` and `consumers` are folders only: their names would pollute site-packages."""
    assert not (ROOT / "drivers" / "__init__.py").exists()
    assert not (ROOT / "consumers" / "__init__.py").exists()


def test_engine_contract_names_every_engine_room() -> None:
    """The contract "engines do no I/O" holds every module of the mobility consumers but the outer rooms."""
    (contract,) = [
        c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["name"].startswith("engines")
    ]
    outer = re.compile(r"__init__|\w*shell|\w*plane|scapy_\w+")
    rooms = {
        f"{name}.{path.stem}"
        for name in ("lies_fmipv6", "lies_mipv6")
        for path in (ROOT / "consumers" / name).glob("*.py")
        if not outer.fullmatch(path.stem)
    }
    assert rooms - set(contract["source_modules"]) == set()


def test_the_daemon_loads_no_scapy() -> None:
    """With daemon, demo and every plugin loaded, scapy (GPL-2.0-only) is not: only its layers import it."""
    names = [p.name for p in PACKAGES]
    code = (
        "import sys, lies.supervisor, lies.testbed.drive, lies.worker, " + ", ".join(names) + "\n"
        "assert 'scapy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_tool_checks_every_package() -> None:
    """Wheel, mypy, coverage and import-linter list the same packages, and all that are there."""
    names = {"lies", *(p.name for p in PACKAGES)}
    tool = PYPROJECT["tool"]
    assert {Path(p).name for p in tool["hatch"]["build"]["targets"]["wheel"]["packages"]} == names
    assert set(tool["mypy"]["packages"]) == names
    assert set(tool["coverage"]["run"]["source_pkgs"]) == names
    assert set(tool["importlinter"]["root_packages"]) == names


def test_ruff_exceptions_have_reasons() -> None:
    """Every rule that ruff is told to leave out has its reason on the line."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignores = text.partition("\nignore = [\n")[2].partition("\n]")[0].splitlines()
    assert len(ignores) > 5
    assert [line for line in ignores if "#" not in line] == []
