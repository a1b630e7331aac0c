"""Builds the part of /sys in which PCI cards are seen; tests of the GPU role read it as if it were real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Real device ids of each kind; the names are those people say.
RTX_2080_SUPER = 0x1E81  # Turing
T4 = 0x1EB8  # Turing
GTX_1080 = 0x1B80  # Pascal
TESLA_K80 = 0x102D  # Kepler
V100 = 0x1DB1  # Volta
A100 = 0x20B0  # Ampere
L4 = 0x27B8  # Ada
H200 = 0x2335  # Hopper
RTX_5090 = 0x2B85  # Blackwell
FROM_THE_FUTURE = 0x3A01

NVIDIA, AMD, ASPEED, INTEL = 0x10DE, 0x1002, 0x1A03, 0x8086


@dataclass(frozen=True)
class Device:
    """One PCI function: `device_class` holds the programming interface too, as sysfs does."""

    address: str
    vendor: int
    device: int
    device_class: int = 0x030000
    driver: str = ""


BMC_VGA = Device("0000:03:00.0", ASPEED, 0x2000)
NETWORK = Device("0000:01:00.0", INTEL, 0x1572, 0x020000, "i40e")


def card(number: int, device: int, *, device_class: int = 0x030200, driver: str = "nvidia") -> Device:
    return Device(f"0000:{0x10 + number:02x}:00.0", NVIDIA, device, device_class, driver)


def sound_of(number: int) -> Device:
    """The sound function that sits beside every card; it is NVIDIA's and no card."""
    return Device(f"0000:{0x10 + number:02x}:00.1", NVIDIA, 0x10F8, 0x040300, "snd_hda_intel")


def build(root: Path, *devices: Device) -> Path:
    """A sysfs with these devices under `root`."""
    bus = root / "bus" / "pci"
    (bus / "devices").mkdir(parents=True)
    for device in devices:
        folder = bus / "devices" / device.address
        folder.mkdir()
        (folder / "vendor").write_text(f"0x{device.vendor:04x}\n")
        (folder / "device").write_text(f"0x{device.device:04x}\n")
        (folder / "class").write_text(f"0x{device.device_class:06x}\n")
        if device.driver:
            driver = bus / "drivers" / device.driver
            driver.mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(driver)
    return root
