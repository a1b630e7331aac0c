"""A Debian tree with what the roles install, for images: the playbook runs on a machine of the lab, and what
it changed is kept (called by `soundstage image build --roles` and by tests of network boot).

Baked so, a new machine's run finds packages and programs in place and writes configuration alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from lab.bake import bake
from lab.layers import layer_folder
from lab.places import LabPlaces
from lab.programs import run_program
from lab.root_tree import make_root_tree, root_tree
from pxe.image.places import cache_folder, made_once
from pxe.image.recipe import Kernel

_MACHINE_PACKAGES = ("initramfs-tools", "dosfstools")


def tree_with_roles(
    inventory: Path, checkout: Path, ansible_bin: Path, kernel: Kernel, say: Callable[[str], None]
) -> Path:
    """The folder; made first when roles, inventory or kernel have changed (some minutes).

    `inventory` gives the variables; its machines are left alone. The tree is that of a machine of the group
    `workers`, after `playbook.yaml --tags install`.
    """
    base = make_root_tree(say)
    key = _key(base, inventory, checkout, kernel)
    target = cache_folder() / "trees" / f"roles-{key}"
    if target.exists():
        return target
    roles, boots = f"image-roles-{key}", f"image-boots-{key}"
    if not layer_folder(base, roles).exists():
        say("Baking what the roles install (a minute or two)")
        own = LabPlaces(f"bake-{roles}"[:31].rstrip("-")).inventory
        playbook = ["-i", str(inventory), "-i", str(own), str(checkout / "playbook.yaml")]
        command = [str(ansible_bin / "ansible-playbook"), *playbook, "--limit", "image", "--tags", "install"]
        bake(roles, command, groups=["workers"], say=say)
    if not layer_folder(base, boots).exists():
        say("Baking a kernel")
        wish = {"name": [kernel.value, *_MACHINE_PACKAGES], "update_cache": True, "install_recommends": False}
        command = [str(ansible_bin / "ansible"), "all", "-m", "ansible.builtin.apt", "-a", json.dumps(wish)]
        bake(boots, command, on=[roles], say=say)
    layers = [layer_folder(base, boots), layer_folder(base, roles), root_tree(base)]
    return made_once(target, lambda staging: _merge(layers, staging))


def _merge(layers: list[Path], staging: Path) -> None:
    """What an overlay shows, as plain files."""
    seen = staging.with_name(f"{staging.name}-seen")
    seen.mkdir()
    try:
        options = f"lowerdir={':'.join(map(str, layers))}"
        run_program(["mount", "-t", "overlay", "overlay", "-o", options, seen], doing="Joining the layers")
        try:
            run_program(["cp", "--archive", f"{seen}/.", staging], doing="Copying the tree", timeout_s=1800)
        finally:
            run_program(["umount", seen], doing="Taking the layers apart")
    finally:
        seen.rmdir()


def _key(base: str, inventory: Path, checkout: Path, kernel: Kernel) -> str:
    digest = hashlib.sha256(f"{base} {kernel.value} {_MACHINE_PACKAGES}\n".encode())
    for folder in (checkout / "ansible" / "roles", checkout / "ansible" / "plugins", inventory):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
