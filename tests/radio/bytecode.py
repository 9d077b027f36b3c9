"""This tree's modules, compiled here: the machine would need seconds for it, at the start of each program.

They are put beside their sources inside the machine, never here. Packages of the environment are compiled
when they are installed.
"""

import py_compile
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("lies", "drivers", "consumers", "tests/radio")
_MORE = ("tests",)  # without what is in its folders


def bytecode(archive: Path) -> None:
    """Write a tar archive that belongs into the machine's root."""
    with tempfile.TemporaryDirectory(prefix="lies-bytecode-") as folder, tarfile.open(archive, "w") as tar:
        for number, source in enumerate(_sources()):
            made = Path(folder) / str(number)
            py_compile.compile(str(source), str(made), doraise=True)
            tar.add(made, cache_from_source(str(source)).lstrip("/"))


def _sources() -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))
    for folder in _MORE:
        yield from sorted((ROOT / folder).glob("*.py"))
