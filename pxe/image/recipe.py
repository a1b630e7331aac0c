"""The recipe of an image; its key changes whenever the image would."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pxe.image.debian import SUITE

FILES = Path(__file__).parent / "files"
# Bump it when trees come out different and no input of `tree_key` has changed.
_FORMAT_VERSION = 1


class Kernel(StrEnum):
    """`cloud` has no drivers but those of virtual machines, and is a quarter of the size."""

    CLOUD = "linux-image-cloud-amd64"
    METAL = "linux-image-amd64"


# What a member needs before Ansible sees it, and what takes long to install later.
PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-resolved", "dbus", "polkitd", "udev", "kmod", "initramfs-tools"),
    *("openssh-server", "sudo", "python3", "python3-apt", "iproute2", "iputils-ping", "nftables", "iptables"),
    *("procps", "e2fsprogs", "dosfstools", "curl", "ca-certificates", "gpgv", "zstd"),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`packages` come on top of PACKAGES."""

    kernel: Kernel = Kernel.METAL
    packages: tuple[str, ...] = ()

    @property
    def all_packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*PACKAGES, self.kernel.value, *self.packages)))

    @property
    def tree_key(self) -> str:
        """Of the Debian tree alone."""
        return hashlib.sha256(repr((SUITE, self.all_packages, _FORMAT_VERSION)).encode()).hexdigest()[:16]


def files_key() -> str:
    """Of what is put over the tree."""
    digest = hashlib.sha256()
    for path in sorted(FILES.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(FILES)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
