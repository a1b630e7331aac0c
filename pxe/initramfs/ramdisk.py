"""Packs the deploy agent's ramdisk: a part that is the same for everybody, and behind it whom this
installation's agents trust; called by the build and by whoever publishes.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path, PurePosixPath

from pxe.image.programs import run_tool
from soundstage.errors import Invalid

_TRUST = "etc/soundstage"
# Below kernel/: what firmware boots from and a system can be on. No sound, no screen, no other file systems.
_DRIVERS = (
    *("drivers/ata", "drivers/block/virtio_blk", "drivers/char/hw_random", "drivers/hv", "drivers/md"),
    *("drivers/message", "drivers/mmc", "drivers/net/ethernet", "drivers/net/hyperv", "drivers/net/mdio"),
    *("drivers/net/net_failover", "drivers/net/phy", "drivers/net/virtio_net", "drivers/net/vmxnet3"),
    *("drivers/net/pcs", "drivers/nvme/host", "drivers/nvme/common", "drivers/pci", "drivers/ptp"),
    *("drivers/rtc", "drivers/scsi", "drivers/virtio", "drivers/dca", "drivers/i2c/algos", "drivers/acpi"),
    *("drivers/phy", "drivers/pps", "drivers/net/fjes", "drivers/dax", "drivers/nvdimm"),
    *(
        "net/core/failover",
        "net/dsa",
        "net/devlink",
        "fs/ext4",
        "fs/jbd2",
        "fs/mbcache",
        "fs/nls",
        "fs/efivarfs",
    ),
    *("lib", "crypto", "arch/x86/crypto"),
)
_KEY = re.compile(r"[0-9a-f]{64}")
_END = "TRAILER!!!"


def base_ramdisk(agent: Path, modules: Path) -> bytes:
    """Returns the compressed ramdisk without trust anchors. `modules` is a /lib/modules/VERSION of the kernel
    that it will run under.
    """
    archive = Archive()
    for folder in ("proc", "sys", "run", "mnt", "tmp", "etc"):
        archive.add_folder(folder)
    archive.add_console()
    archive.add("init", agent.read_bytes(), 0o755)
    top = f"lib/modules/{modules.name}"
    for name in ("modules.dep", "modules.alias"):
        archive.add(f"{top}/{name}", (modules / name).read_bytes())
    for path in sorted((modules / "kernel").rglob("*.ko*")):
        inside = path.relative_to(modules / "kernel").as_posix()
        if inside.startswith(_DRIVERS):
            archive.add(f"{top}/kernel/{inside}", path.read_bytes())
    return run_tool(
        ["zstd", "-q", "-c", "-15", "--no-check"], doing="Compressing the ramdisk", stdin=archive.to_bytes()
    )


def with_trust_anchors(base: bytes, *, ca_pem: str, manifest_key: str, built_at: int) -> bytes:
    """Returns the ramdisk of one installation. `manifest_key` as `/boot/manifest.pub` has it. `built_at`
    (Unix time): machines do not believe a clock that shows an earlier time.
    """
    key = manifest_key.strip()
    if not _KEY.fullmatch(key) or "BEGIN CERTIFICATE" not in ca_pem:
        raise Invalid(
            "image.no_trust",
            "The authority and the key of the manifest cannot be read.",
            "`soundstage image publish` fetches both from the provisioning API that runs.",
        )
    archive = Archive()
    archive.add(f"{_TRUST}/ca.pem", ca_pem.encode())
    archive.add(f"{_TRUST}/manifest.pub", f"{key}\n".encode())
    archive.add(f"{_TRUST}/built-at", f"{built_at}\n".encode())
    # Linux unpacks archives one behind the other; the next one begins on a multiple of four.
    return base + bytes(-len(base) % 4) + archive.to_bytes()


class Archive:
    """A cpio archive of the form `newc`, the one that Linux unpacks as its first file system
    (Documentation/driver-api/early-userspace/buffer-format.rst). Equal files make equal archives.

    Folders come into being with what is in them; everything belongs to root.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._folders: set[str] = set()
        self._inodes = 0

    def add(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.add_folder(str(PurePosixPath(name).parent))
        self._entry(name, stat.S_IFREG | mode, content)

    def add_folder(self, name: str) -> None:
        if name in ("", ".", "/") or name in self._folders:
            return
        self.add_folder(str(PurePosixPath(name).parent))
        self._folders.add(name)
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def add_console(self) -> None:
        """Linux opens it for the first program before that one could make it."""
        self.add_folder("dev")
        self._entry("dev/console", stat.S_IFCHR | 0o600, b"", device=(5, 1))

    def to_bytes(self) -> bytes:
        """Returns the whole archive, padded to a multiple of 512 bytes, so that another may follow."""
        self._entry(_END, 0, b"")
        whole = b"".join(self._parts)
        return whole + bytes(-len(whole) % 512)

    def _entry(self, name: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._inodes += name != _END
        number = 0 if name == _END else self._inodes
        raw = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(f"{field:08x}".encode() for field in fields) + raw
        self._parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]
