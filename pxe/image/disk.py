"""A whole disk out of a tree: GPT with a BIOS boot partition, an EFI system partition and the root of slot A;
called by the build. Equal trees make equal disks.
"""

from __future__ import annotations

import os
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from pxe.image.programs import run_tool
from pxe.image.tree import EPOCH
from soundstage.errors import Invalid

MIB = 1 << 20
ROOT_LABEL = "root-a"
_BIOS_AT, _BIOS_SIZE = 1 * MIB, 1 * MIB
_ESP_AT, _ESP_SIZE = 2 * MIB, 62 * MIB
_ROOT_AT = 64 * MIB
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_LINUX_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
# What a file system needs beside its files, and room for the first boot before anything grows.
_ROOM_FACTOR, _ROOM_LEAST = 1.25, 96 * MIB
_NAMESPACE = uuid.UUID("6f0f1c9e-56a2-5a4e-9d6c-2f8f6a9a7a10")
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


@dataclass(frozen=True, slots=True)
class DiskLayout:
    disk_bytes: int
    root_bytes: int


def layout_for(tree_bytes: int) -> DiskLayout:
    """Sizes in whole MiB; the last MiB is the spare partition table's."""
    root = max(int(tree_bytes * _ROOM_FACTOR), tree_bytes + _ROOM_LEAST)
    root = -(-root // (4 * MIB)) * 4 * MIB
    return DiskLayout(_ROOT_AT + root + MIB, root)


def make_disk(tree: Path, version: str, staging: Path) -> Path:
    """A raw disk below `staging`. All identifiers in it follow from the version."""
    layout = layout_for(_bytes_in(tree))
    disk = staging / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(layout.disk_bytes)
    _partition(disk, layout, version)
    _write_at(disk, _ROOT_AT, _root(tree, layout, version, staging))
    _write_at(disk, _ESP_AT, _esp(version, staging))
    boot, core = bios_boot(staging, _BIOS_AT // SECTOR)
    with disk.open("r+b") as file:
        file.write(boot)
        file.seek(_BIOS_AT)
        file.write(core)
    return disk


def _partition(disk: Path, layout: DiskLayout, version: str) -> None:
    def line(name: str, at: int, size: int, kind: str) -> str:
        place = f"start={at // SECTOR}, size={size // SECTOR}"
        return f"{place}, type={kind}, name={name}, uuid={_id(version, name)}"

    script = [
        "label: gpt",
        f"label-id: {_id(version, 'disk')}",
        "first-lba: 2048",
        line("bios-boot", _BIOS_AT, _BIOS_SIZE, _BIOS_BOOT),
        line("esp", _ESP_AT, _ESP_SIZE, _EFI_SYSTEM),
        line(ROOT_LABEL, _ROOT_AT, layout.root_bytes, _LINUX_ROOT),
    ]
    run_tool(
        ["sfdisk", "--quiet", disk], doing="Writing the partition table", stdin="\n".join(script).encode()
    )


def _root(tree: Path, layout: DiskLayout, version: str, staging: Path) -> Path:
    image = staging / "root.ext4"
    with image.open("wb") as file:
        file.truncate(layout.root_bytes)
    # GRUB of Debian 12 cannot read the two features that are turned off.
    options = ["-O", "^orphan_file,^metadata_csum_seed", "-m", "1", "-J", "size=32"]
    run_tool(
        [
            *("mkfs.ext4", "-q", "-F", "-L", ROOT_LABEL, "-d", str(tree), "-b", "4096", *options),
            *("-U", _id(version, "root-fs"), "-E", f"hash_seed={_id(version, 'hash')},lazy_itable_init=0"),
            str(image),
        ],
        doing="Making the root file system",
        environment={"E2FSPROGS_FAKE_TIME": EPOCH, "SOURCE_DATE_EPOCH": EPOCH},
    )
    _one_moment(image, tree)
    return image


def _esp(version: str, staging: Path) -> Path:
    image, program = staging / "esp.vfat", staging / "BOOTX64.EFI"
    program.write_bytes(efi_boot(staging))
    os.utime(program, (int(EPOCH), int(EPOCH)))
    with image.open("wb") as file:
        file.truncate(_ESP_SIZE)
    number = uuid.UUID(_id(version, "esp-fs")).hex[:8]
    run_tool(
        ["mkfs.vfat", "--invariant", "-F", "32", "-n", "ESP", "-i", number, image],
        doing="Making the EFI system partition",
    )
    environment = {"SOURCE_DATE_EPOCH": EPOCH, "MTOOLS_SKIP_CHECK": "1"}
    run_tool(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], doing="Filling the ESP", environment=environment)
    run_tool(
        ["mcopy", "-m", "-i", image, program, "::/EFI/BOOT/BOOTX64.EFI"],
        doing="Filling the ESP",
        environment=environment,
    )
    return image


def _write_at(disk: Path, at: int, content: Path) -> None:
    """Leaves holes where the content has them."""
    run_tool(
        [
            *("dd", f"if={content}", f"of={disk}", "bs=1M", f"seek={at // MIB}"),
            *("conv=notrunc,sparse", "status=none"),
        ],
        doing="Putting a partition into the disk",
    )
    content.unlink()


def _one_moment(file_system: Path, tree: Path) -> None:
    """Sets all times of access and change to one moment; those of the builder's disk would be another
    moment in each image. (mkfs.ext4 copies both, and nothing on the builder's side can set the second.)
    """
    script = []
    for folder, folders, files in os.walk(tree):
        inside = "/" + os.path.relpath(folder, tree).removeprefix(".")
        for name in (".", *folders, *files):
            if '"' in name or "\n" in name:
                raise Invalid(
                    "image.strange_name",
                    f"The name of a file in {inside} cannot be handled: {name!r}.",
                    "Take the file out of the tree.",
                )
            script += [f'sif "{inside}/{name}" {field} @{EPOCH}' for field in ("atime", "ctime")]
    run_tool(
        ["debugfs", "-w", "-f", "-", file_system],
        doing="Setting the times of files",
        stdin="\n".join(script).encode(),
        environment={"E2FSPROGS_FAKE_TIME": EPOCH},
    )


def _bytes_in(tree: Path) -> int:
    """In blocks of 4 KiB, with one for each inode's own needs."""
    total = 0
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            size = os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - half as slow
            total += -(-size // 4096) * 4096 + 512
    return total


def _id(version: str, what: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{version}/{what}"))


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
