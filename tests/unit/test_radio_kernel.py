"""How the radio machine comes to its kernel, and what is said where there is none."""

import lzma
from pathlib import Path

import pytest
from _pytest.outcomes import Failed, Skipped
from radio import kernel as radio_kernel
from radio import laboratory
from radio.initramfs import initramfs
from radio.kernel import NoKernel, cached, fetch

ELF = b"\x7fELF" + bytes(range(256)) * 40


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lies/radio"


def test_no_kernel_is_said(empty: Path) -> None:
    """The sentence names the command that fetches one; a folder that is being made does not count."""
    (empty / "linux-image-1-amd64-x.part").mkdir(parents=True)
    with pytest.raises(NoKernel, match="scripts/fetch-radio-kernel"):
        cached()


def test_made_kernel_is_found(empty: Path) -> None:
    """The folder's modules say which release it is."""
    (empty / "linux-image-9-amd64_9.1/root/lib/modules/9-amd64").mkdir(parents=True)
    found = cached()
    assert found.release == "9-amd64"
    assert found.modules.is_dir()


@pytest.mark.parametrize(("ci", "outcome"), [("true", Failed), ("", Skipped)])
@pytest.mark.usefixtures("empty")
def test_tests_without_a_kernel(ci: str, outcome: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are skipped with the reason on a user's machine, and fail where CI=true."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(laboratory, "need", str)
    with pytest.raises(outcome, match="no kernel for the radio tests"):
        laboratory.kernel()


@pytest.mark.usefixtures("empty")
def test_machine_without_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the package tools are missing the first one is named, and nothing is left."""
    monkeypatch.setattr(radio_kernel, "_PATH", str(tmp_path))
    with pytest.raises(NoKernel, match="apt-get was not found"):
        fetch()
    assert list(tmp_path.iterdir()) == []


def test_image_is_decompressed() -> None:
    """The ELF file is found behind the loader, past what only looks like it; else the image stays."""
    image = b"loader" + b"\xfd7zXZ\0 no stream" + lzma.compress(ELF) + b"trailer"
    assert radio_kernel._uncompressed(image) == ELF
    assert radio_kernel._uncompressed(b"gzip, perhaps") == b"gzip, perhaps"


def test_initramfs_loads_modules_after_those_they_need(tmp_path: Path) -> None:
    """The archive has busybox and each module once, unpacked, in an order that insmod takes."""
    (tmp_path / "modules.dep").write_text(
        "fs/9p.ko: net/9pnet.ko\nnet/9pnet.ko:\nnet/9pnet_virtio.ko.xz: net/9pnet.ko drivers/virtio.ko\n"
        "drivers/virtio.ko:\n"
    )
    for name in ("fs/9p.ko", "net/9pnet.ko", "drivers/virtio.ko"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "net/9pnet_virtio.ko.xz").write_bytes(lzma.compress(b"net/9pnet_virtio.ko"))
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"static")
    archive = initramfs(busybox, tmp_path)
    places = [archive.index(f"modules/{n:02}.ko\0".encode()) for n in range(4)]
    assert places == sorted(places)
    order = [
        archive.index(b) for b in (b"drivers/virtio.ko", b"net/9pnet.ko", b"net/9pnet_virtio.ko", b"fs/9p.ko")
    ]
    assert order == sorted(order)
    assert b"static" in archive
    assert b"modules/04.ko" not in archive
