"""Derives all paths of a lab from its name, so that `down` needs nothing else.

Files of one lab are below /var/lib/soundstage-lab/NAME. Files that are expensive to make and the same for all
labs (root trees, baked layers, packages) are in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from soundstage.errors import Invalid

LABS = Path("/var/lib/soundstage-lab")
_NETWORKS = Path("/run/netns")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def cache_folder() -> Path:
    """Returns the folder of root trees, layers and packages; may be deleted whenever no lab is up."""
    chosen = os.environ.get("SOUNDSTAGE_LAB_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundstage" / "lab"


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Paths of one lab."""

    name: str

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
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def ssh_key(self) -> Path:
        return self.folder / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "ssh" / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh" / "config"

    @property
    def inventory(self) -> Path:
        """For programs inside the lab's network (`soundstage lab exec`)."""
        return self.folder / "inventory.yaml"

    @property
    def inventory_from_outside(self) -> Path:
        """For programs outside of it that are root: each connection enters the network on its own."""
        return self.folder / "inventory-from-outside.yaml"

    @property
    def secrets(self) -> Path:
        """Of the farm that playbooks make of this lab; they go with it, and no other farm's are touched."""
        return self.folder / "secrets"

    @property
    def facts(self) -> Path:
        """The facts that Ansible caches: machines of a real farm may have the same names."""
        return self.folder / "facts"

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

    @property
    def folder(self) -> Path:
        return self.lab.folder / "machines" / self.name

    @property
    def disk(self) -> Path:
        """The mount point of the machine's file system; its changes are in `upper`."""
        return self.folder / "disk"

    @property
    def disk_image(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def upper(self) -> Path:
        """The upperdir of the machine's overlayfs: its changes."""
        return self.disk / "upper"

    @property
    def work(self) -> Path:
        """The workdir of the machine's overlayfs."""
        return self.disk / "work"

    @property
    def root(self) -> Path:
        """The machine's `/`, seen from here."""
        return self.folder / "root"

    @property
    def cards(self) -> Path:
        """The folder that the machine sees as /opt/soundstage-lab/gpu."""
        return self.folder / "gpu"

    @property
    def log(self) -> Path:
        return self.folder / "console.log"

    @property
    def state(self) -> Path:
        """Written by the machine's keeper (its supervisor process): on or off, and the number of boots."""
        return self.folder / "state.json"

    @property
    def id(self) -> str:
        """Unique among all labs of this computer, and short enough for the name of a network link."""
        return "sl" + hashlib.sha256(f"{self.lab.name}/{self.name}".encode()).hexdigest()[:8]

    @property
    def link(self) -> str:
        """The bridge's end of the machine's cable (systemd-nspawn names it)."""
        return f"vb-{self.id}"
