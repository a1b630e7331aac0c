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
from lab.layers import forget_old_layers, layer_folder
from lab.paths import LabPaths
from lab.programs import run_program
from lab.root_tree import make_root_tree, root_tree
from pxe.image.folder_cache import build_once, cache_folder
from pxe.image.recipe import Kernel

_ROLES, _BOOTS = "image-roles-", "boots-"
_MACHINE_PACKAGES = ("initramfs-tools", "dosfstools")
# Of the checkout: what decides what the roles install.
_BAKED_FROM = (
    *("ansible/roles", "ansible/plugins", "ansible/playbooks", "playbook.yaml"),
    *("avatar/src", "avatar/pyproject.toml", "avatar/uv.lock", "avatar/README.md", "personas"),
)


def tree_with_roles(
    inventory: Path, checkout: Path, ansible_bin: Path, kernel: Kernel, say: Callable[[str], None]
) -> Path:
    """The folder; made first when roles, inventory or kernel have changed (some minutes).

    `inventory` gives the variables; its machines are left alone. The tree is that of a machine of the group
    `workers`, after `playbook.yaml --tags install`.
    """
    roles = f"{_ROLES}{tree_key(make_root_tree(say), inventory, checkout, kernel)}"

    def bake_roles() -> None:
        say("Baking what the roles install (a minute or two)")
        own = LabPaths(f"bake-{roles}"[:31].rstrip("-")).inventory_from_outside
        playbook = ["-i", str(inventory), "-i", str(own), str(checkout / "playbook.yaml")]
        command = [str(ansible_bin / "ansible-playbook"), *playbook, "--limit=image", "--tags=install"]
        # The controller packs the worker, for which it asks a package index.
        bake(roles, command, groups=["workers"], outside=checkout, say=say)

    return bootable_tree(roles, ansible_bin, kernel, say, bake_roles)


def bootable_tree(
    layer: str,
    ansible_bin: Path,
    kernel: Kernel,
    say: Callable[[str], None],
    bake_layer: Callable[[], None] | None = None,
) -> Path:
    """Returns the folder of the root tree with a baked layer and a kernel over it; made first when there is
    none. `bake_layer` bakes the layer when only then it turns out that it is missing."""
    base = make_root_tree(say)
    boots = f"{_BOOTS}{kernel.name.lower()}-{layer}"

    def make(staging: Path) -> None:
        if bake_layer is not None and not layer_folder(base, layer).exists():
            bake_layer()
        if not layer_folder(base, boots).exists():
            say("Baking a kernel")
            module = {"name": [kernel.value, *_MACHINE_PACKAGES], "update_cache": True}
            words = [
                "-m",
                "ansible.builtin.apt",
                "-a",
                json.dumps({**module, "install_recommends": False}),
            ]
            bake(boots, [str(ansible_bin / "ansible"), "all", *words], on=[layer], say=say)
        _merge([layer_folder(base, boots), layer_folder(base, layer), root_tree(base)], staging)
        # They are in the tree now; the newest may still save a minute when that is deleted.
        for prefix in (_ROLES, _BOOTS):
            forget_old_layers(base, prefix, keep=1)

    return build_once(cache_folder() / "trees" / f"{layer}-{kernel.name.lower()}", make)


def _merge(layers: list[Path], staging: Path) -> None:
    """Merges the layers of an overlay into plain files."""
    seen = staging.with_name("seen")
    seen.mkdir()
    options = f"lowerdir={':'.join(map(str, layers))}"
    run_program(["mount", "-t", "overlay", "overlay", "-o", options, seen], doing="Joining the layers")
    try:
        run_program(["cp", "--archive", f"{seen}/.", staging], doing="Copying the tree", timeout_s=1800)
    finally:
        run_program(["umount", seen], doing="Taking the layers apart")


def tree_key(base: str, inventory: Path, checkout: Path, kernel: Kernel) -> str:
    """Changes whenever what the roles install would."""
    digest = hashlib.sha256(f"{base} {kernel.value} {_MACHINE_PACKAGES}\n".encode())
    for folder in (*(checkout / name for name in _BAKED_FROM), inventory):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
