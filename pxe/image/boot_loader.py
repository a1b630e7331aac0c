"""GRUB for BIOS and for UEFI, put into a disk image by hand: no loop device, no mount, no root; called by
`disk`.
"""

from __future__ import annotations

import struct
from pathlib import Path

from pxe.image.programs import run_tool

SECTOR = 512
_GRUB = Path("/usr/lib/grub")
_MODULES = (
    "part_gpt",
    "ext2",
    "search",
    "search_label",
    "normal",
    "configfile",
    "linux",
    "gzio",
    "echo",
    "ls",
)
_EARLY = """\
search --no-floppy --label --set=root root-a
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""
# Where boot.img keeps the sector of what it loads, and a jump that old firmware needs turned off.
_KERNEL_SECTOR, _DRIVE_CHECK = 0x5C, 0x66
_PARTITION_TABLE = 0x1B8


def bios_boot(staging: Path, first_sector: int) -> tuple[bytes, bytes]:
    """The first bytes of the master boot record, and what goes into the BIOS boot partition at
    `first_sector`.
    """
    core = bytearray(_mkimage("i386-pc", ("biosdisk", *_MODULES), staging))
    boot = bytearray((_GRUB / "i386-pc/boot.img").read_bytes()[:_PARTITION_TABLE])
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, first_sector)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    core += bytes(-len(core) % SECTOR)
    # The last entry of its first sector: where the rest of it is, and where in memory it goes.
    rest = len(core) // SECTOR - 1
    struct.pack_into("<QHH", core, SECTOR - 12, first_sector + 1, rest, 0x820)
    return bytes(boot), bytes(core)


def efi_boot(staging: Path) -> bytes:
    """The program for EFI/BOOT/BOOTX64.EFI, where firmware looks without being told."""
    return _mkimage("x86_64-efi", _MODULES, staging)


def _mkimage(platform: str, modules: tuple[str, ...], staging: Path) -> bytes:
    early, output = staging / f"early-{platform}.cfg", staging / f"grub-{platform}"
    early.write_text(_EARLY)
    run_tool(
        [
            "grub-mkimage",
            "-O",
            platform,
            "-d",
            _GRUB / platform,
            "-c",
            early,
            "-p",
            "/boot/grub",
            "-o",
            output,
            *modules,
        ],
        doing="Making the boot loader",
    )
    return output.read_bytes()
