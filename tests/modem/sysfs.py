"""What /sys shows of a USB modem: two serial ports and a network port of one device."""

from pathlib import Path
from shutil import rmtree

DEVICE = "devices/pci0000:00/0000:00:14.0/usb1/1-1"
UID = f"/sys/{DEVICE}"  # as ModemManager names the device
VENDOR, PRODUCT = "2cb7", "0106"  # one of Fibocom's, whose plug-in speaks AT and has a network port
SERIAL = ("ttyUSB0", "ttyUSB1")


def plug(root: Path, net: str) -> None:
    """Show the modem under `root`, which is to be /sys."""
    device = root / DEVICE
    for driver in ("usb", "option", "cdc_ether"):
        (root / "bus/usb/drivers" / driver).mkdir(parents=True, exist_ok=True)
    for kind in ("tty", "net"):
        (root / "class" / kind).mkdir(parents=True, exist_ok=True)
    (root / "bus/pci").mkdir(exist_ok=True)
    device.mkdir(parents=True)
    _link(device.parents[1] / "subsystem", "/sys/bus/pci")
    _attributes(device, idVendor=VENDOR, idProduct=PRODUCT, bcdDevice="0504", manufacturer="Inter-Layer")
    _link(device / "subsystem", "/sys/bus/usb")
    _link(device / "driver", "/sys/bus/usb/drivers/usb")
    for number, name in enumerate(SERIAL):
        _interface(root, number, "option", ("ff", "00"), "tty", f"{name}/tty/{name}")
    _interface(root, len(SERIAL), "cdc_ether", ("02", "06"), "net", f"net/{net}")


def unplug(root: Path) -> None:
    """Show the modem no more."""
    rmtree(root / DEVICE)
    for kind in ("tty", "net"):
        for link in (root / "class" / kind).iterdir():
            link.unlink()


def _interface(
    root: Path, number: int, driver: str, kind: tuple[str, str], subsystem: str, port: str
) -> None:
    folder = root / DEVICE / f"1-1:1.{number}"
    (folder / port).mkdir(parents=True)
    _attributes(
        folder,
        bInterfaceClass=kind[0],
        bInterfaceSubClass=kind[1],
        bInterfaceProtocol="00",
        bInterfaceNumber=f"{number:02}",
    )
    _link(folder / "subsystem", "/sys/bus/usb")
    _link(folder / "driver", f"/sys/bus/usb/drivers/{driver}")
    _link(folder / port / "subsystem", f"/sys/class/{subsystem}")
    name = Path(port).name
    _link(root / "class" / subsystem / name, f"../../{DEVICE}/1-1:1.{number}/{port}")


def _attributes(folder: Path, **values: str) -> None:
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")


def _link(place: Path, target: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)
