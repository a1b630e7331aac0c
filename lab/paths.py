"""Derives all paths of a lab from its name, so that `down` needs nothing else.

Files of one lab are below /var/lib/soundstage-lab/NAME. Files that are expensive to make and the same for all
labs (root trees, baked layers, packages) are in the user's cache.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pxe.image.folder_cache import folder_of_cache
from soundstage.errors import Invalid

LABS = Path("/var/lib/soundstage-lab")
_NETWORKS = Path("/run/netns")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def cache_folder() -> Path:
    """Returns the folder of root trees, layers and packages; may be deleted whenever no lab is up."""
    return folder_of_cache("lab", "SOUNDSTAGE_LAB_CACHE")


class _Below:
    """A path below the folder of its owner."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __get__(self, owner: LabPaths | MachinePaths, _: type) -> Path:
        return owner.folder.joinpath(*self._parts)


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Paths of one lab."""

    name: str

    plan = _Below("plan.json")
    ssh_key = _Below("ssh", "id_ed25519")
    known_hosts = _Below("ssh", "known_hosts")
    ssh_config = _Below("ssh", "config")
    inventory = _Below("inventory.yaml")
    """For programs inside the lab's network (`soundstage lab exec`)."""
    inventory_from_outside = _Below("inventory-from-outside.yaml")
    """For programs outside of it that are root: each connection enters the network on its own."""
    secrets = _Below("secrets")
    """Of the farm that playbooks make of this lab; they go with it, and no other farm's are touched."""
    facts = _Below("facts")
    """The facts that Ansible caches: machines of a real farm may have the same names."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Invalid(
                "lab.name_invalid",
                f"“{self.name}” cannot be the name of a lab.",
                "Use lower-case letters, digits and dashes, a letter first; at most 31 characters.",
            )

    @property
    def folder(self) -> Path:
        return LABS / self.name

    @property
    def network(self) -> str:
        """The name of the network namespace, as `ip netns` knows it."""
        return f"soundstage-lab-{self.name}"

    @property
    def network_file(self) -> Path:
        return _NETWORKS / self.network

    def machine(self, name: str) -> MachinePaths:
        return MachinePaths(self, name)


@dataclass(frozen=True, slots=True)
class MachinePaths:
    """Paths of one machine of a lab."""

    lab: LabPaths
    name: str

    disk = _Below("disk")
    """The mount point of the machine's file system; its changes are in `upper`."""
    disk_image = _Below("disk.ext4")
    upper = _Below("disk", "upper")
    """The upperdir of the machine's overlayfs: its changes."""
    work = _Below("disk", "work")
    """The workdir of the machine's overlayfs."""
    root = _Below("root")
    """The machine's `/`, seen from here."""
    cards = _Below("gpu")
    """The folder that the machine sees as /opt/soundstage-lab/gpu."""
    log = _Below("console.log")
    state = _Below("state.json")
    """Written by the machine's keeper (its supervisor process): on or off, and the number of boots."""

    @property
    def folder(self) -> Path:
        return self.lab.folder / "machines" / self.name

    @property
    def id(self) -> str:
        """Unique among all labs of this computer, and short enough for the name of a network link."""
        return "sl" + hashlib.sha256(f"{self.lab.name}/{self.name}".encode()).hexdigest()[:8]

    @property
    def link(self) -> str:
        """The bridge's end of the machine's cable (systemd-nspawn names it)."""
        return f"vb-{self.id}"
