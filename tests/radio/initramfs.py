"""What boots before the machine has its files: busybox, and the modules of a 9p root with an overlay."""

import lzma
from collections.abc import Iterator
from pathlib import Path

_FIRST = ("virtio_pci", "9pnet_virtio", "9p", "overlay")

_INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod $module; done
o=trans=virtio,version=9p2000.L,msize=512000
/bin/busybox mount -t 9p -o $o,ro,cache=loose root /host || exec /bin/busybox poweroff -f
/bin/busybox mount -t tmpfs tmpfs /new
/bin/busybox mkdir /new/upper /new/aside /new/all
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/new/upper,workdir=/new/aside lies /new/all
for place in proc sys dev; do /bin/busybox mount --move /$place /new/all/$place; done
for word in $(/bin/busybox cat /new/all/proc/cmdline); do
    case $word in lies.init=*) init=${word#lies.init=} ;; esac
done
exec /bin/busybox switch_root /new/all /bin/busybox sh $init
"""


def initramfs(busybox: Path, modules: Path) -> bytes:
    """The archive for a kernel with these modules; busybox must be linked statically."""
    files = {"init": _INIT.encode(), "bin/busybox": busybox.read_bytes()}
    for number, module in enumerate(_with_needed(modules)):
        files[f"modules/{number:02}.ko"] = _module(module)
    folders = ("bin", "modules", "proc", "sys", "dev", "host", "new")
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, data) for name, data in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_newc(number, *entry) for number, entry in enumerate(entries, 1))


def _newc(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry of a cpio archive of the kind that the kernel unpacks (SVR4, "newc")."""
    numbers = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % n for n in numbers) + name.encode() + b"\0"
    return _filled(head) + _filled(data)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _with_needed(modules: Path) -> Iterator[Path]:
    """The modules of the initramfs, each after those that it needs."""
    needs = {}
    for line in (modules / "modules.dep").read_text(encoding="ascii").splitlines():
        path, _, after = line.partition(":")
        needs[_module_name(path)] = [path, *after.split()]
    seen = set()
    for name in _FIRST:
        for path in reversed(needs.get(name, [])):  # none: it is built in
            if path not in seen:
                seen.add(path)
                yield modules / path


def _module_name(path: str) -> str:
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
