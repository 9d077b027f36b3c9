"""Debian's kernel, fetched as a package and unpacked into a cache: this machine's own may have no radio.

Nothing is installed by it. The cache is ${XDG_CACHE_HOME:-~/.cache}/lies/radio: one folder for a release,
made aside and moved into place, so that it is whole whenever it is there. Needs Python alone, so that it can
be run before anything is installed: scripts/fetch-radio-kernel.
"""

import fcntl
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_META = "linux-image-amd64"  # depends on the present kernel's package
_RELEASE = re.compile(r"linux-image-(\S+-amd64)$")
_TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg", "depmod": "kmod"}
_LIMIT_S = 600.0
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_XZ = b"\xfd7zXZ\0"


class NoKernel(Exception):
    """Why there is none: one sentence."""


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted; root: a folder with lib/modules/RELEASE."""

    release: str
    image: Path
    root: Path

    @property
    def modules(self) -> Path:
        """The folder of its modules."""
        return self.root / "lib/modules" / self.release


def cache() -> Path:
    """Where kernels are kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "lies" / "radio"


def cached() -> Kernel:
    """The newest kernel in the cache; NoKernel where it is empty."""
    found = [p for p in cache().glob("linux-image-*") if not p.name.endswith(".part")]
    if not found:
        raise NoKernel("no kernel for the radio tests was fetched yet: run scripts/fetch-radio-kernel")
    return _kernel(max(found, key=lambda p: (p.stat().st_mtime_ns, p.name)))


def fetch() -> Kernel:
    """The present kernel of this machine's package sources, from the cache if it is there already."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=_PATH) is None:
            raise NoKernel(
                f"the command {tool} was not found, with which the kernel is fetched: install {package}"
            )
    package = _package()
    version = _shown(package, "Version")
    place = cache() / f"{package}_{version.replace(':', '.')}"
    if not place.is_dir():
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: the others find what the first has made
            if not place.is_dir():
                others = list(cache().glob("linux-image-*"))
                _make(package, place)
                for old in others:
                    shutil.rmtree(old, ignore_errors=True)
    return _kernel(place)


def _kernel(place: Path) -> Kernel:
    (modules,) = (place / "root/lib/modules").iterdir()
    return Kernel(modules.name, place / "image", place / "root")


def _package() -> str:
    for line in _run("apt-cache", "depends", _META).splitlines():
        name = line.strip().removeprefix("Depends: ")
        if _RELEASE.match(name):
            return name
    raise NoKernel(f"the package sources of this machine have no {_META}: it is Debian's, for 64-bit PCs")


def _shown(package: str, field: str) -> str:
    for line in _run("apt-cache", "show", "--no-all-versions", package).splitlines():
        if line.startswith(f"{field}: "):
            return line.partition(" ")[2]
    raise NoKernel(f"the package sources of this machine say no {field} of {package}")


def _make(package: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{package}-", suffix=".part", dir=place.parent) as folder:
        work = Path(folder)
        _run("apt-get", "download", "-q", package, cwd=work)
        (archive,) = work.glob("*.deb")
        made = work / "made"
        made.mkdir()
        _run("dpkg-deb", "--extract", str(archive), str(made / "root"))
        (image,) = (made / "root/boot").glob("vmlinuz-*")
        release = image.name.partition("-")[2]
        _run("depmod", "-b", str(made / "root"), release)
        (made / "image").write_bytes(_uncompressed(image.read_bytes()))
        for unused in ("boot", "usr"):
            shutil.rmtree(made / "root" / unused)
        made.rename(place)


def _run(*words: str, cwd: Path | None = None) -> str:
    env = {**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoKernel(f"{' '.join(words[:3])} failed: {said}")
    return done.stdout


def _uncompressed(image: bytes) -> bytes:
    """The ELF file in a kernel image compressed with xz, which boots in half the time; else the image."""
    at = image.find(_XZ)
    while at >= 0:
        try:
            kernel = lzma.LZMADecompressor().decompress(image[at:])
        except lzma.LZMAError:
            kernel = b""
        if kernel.startswith(b"\x7fELF"):
            return kernel
        at = image.find(_XZ, at + 1)
    return image


if __name__ == "__main__":
    try:
        fetch()
    except (NoKernel, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"no kernel for the radio tests: {error}")
