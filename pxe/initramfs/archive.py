"""Writes cpio archives of the form `newc`, the one that Linux unpacks as its first file system
(Documentation/driver-api/early-userspace/buffer-format.rst); called by `ramdisk`. Equal files make equal
archives.
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

_END = "TRAILER!!!"


class Archive:
    """Folders come into being with what is in them; everything belongs to root."""

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
