"""The wheel holds every package, its entry points and nothing else."""

import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PLUGINS = {
    f"lies.{folder}": sorted(p.name for p in (ROOT / folder).iterdir() if p.is_dir())
    for folder in ("drivers", "consumers")
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that the tree builds, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("lies-*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> bytes:
    """A file of the wheel's dist-info."""
    return wheel.read(f"lies-{PROJECT['version']}.dist-info/{name}")


def described(wheel: zipfile.ZipFile) -> Message:
    """The wheel's METADATA."""
    return message_from_bytes(metadata(wheel, "METADATA"))


def test_wheel_has_every_module(wheel: zipfile.ZipFile) -> None:
    """Every Python file of lies, drivers and consumers is in the wheel under its import name."""
    expected = {
        str(path.relative_to(base))
        for base, package in [
            (ROOT, ROOT / "lies"),
            *((ROOT / group.partition(".")[2],) * 2 for group in PLUGINS),
        ]
        for path in package.rglob("*.py")
    }
    assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_wheel_has_only_our_packages(wheel: zipfile.ZipFile) -> None:
    """Nothing else lands in site-packages: no tests, no drivers/ or consumers/; only man pages beside it."""
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    plugins = {name for names in PLUGINS.values() for name in names}
    data = f"lies-{PROJECT['version']}.data"
    assert tops == {"lies", *plugins, f"lies-{PROJECT['version']}.dist-info", data}
    beside = {name for name in wheel.namelist() if name.startswith(f"{data}/")}
    pages = {f"{data}/data/share/man/man1/{page.name}" for page in (ROOT / "packaging" / "man").iterdir()}
    assert beside == pages


def test_wheel_is_typed(wheel: zipfile.ZipFile) -> None:
    """Every package carries py.typed."""
    for package in ["lies", *(name for names in PLUGINS.values() for name in names)]:
        assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize("group", PLUGINS)
def test_every_plugin_has_its_entry_point(wheel: zipfile.ZipFile, group: str) -> None:
    """Every folder under drivers/ and consumers/ is found by name through its group."""
    parser = configparser.ConfigParser()
    parser.read_string(metadata(wheel, "entry_points.txt").decode())
    points = dict(parser[group])
    assert sorted(value.partition(":")[0] for value in points.values()) == PLUGINS[group]
    for name, value in points.items():
        assert value.partition(":")[0] == f"lies_{name}"
    assert parser["console_scripts"]["lies"] == "lies.cli:main"


def test_licence(wheel: zipfile.ZipFile) -> None:
    """The wheel says MIT and carries the text."""
    assert described(wheel)["License-Expression"] == "MIT"
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_base_dependencies_and_extras(wheel: zipfile.ZipFile) -> None:
    """`pip install lies` brings all that `lies demo` needs; radios of the real world are extras."""
    wanted = described(wheel).get_all("Requires-Dist") or []
    base = {re.split("[<>=]", w)[0] for w in wanted if "extra ==" not in w}
    assert base == {
        "attrs",
        "msgspec",
        "pyroute2",
        "pyzmq",
        "rich",
        "scapy",
        "structlog",
        "typer",
        "zstandard",
    }
    assert set(described(wheel).get_all("Provides-Extra") or []) == {
        "nl80211",
        "cellular",
        "parquet",
        "metrics",
    }


def test_python_versions(wheel: zipfile.ZipFile) -> None:
    """The wheel asks for Python 3.11 to 3.14, as scripts/check-tools does."""
    assert set(described(wheel)["Requires-Python"].split(",")) == {">=3.11", "<3.15"}
    assert "(3, 11) <= sys.version_info < (3, 15)" in (ROOT / "scripts" / "check-tools").read_text()
