"""Entry point of image builds: turns a recipe into what machines boot and install. Called by the CLI and by
tests.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pxe.image.agent_program import agent_program
from pxe.image.chunks import INDEX_SUFFIX, ImageIndex, write_chunks
from pxe.image.debian import Mirror
from pxe.image.disk import ROOT_LABEL, make_disk
from pxe.image.finish import finish_tree
from pxe.image.folder_cache import build_once, cache_folder, forget_unused
from pxe.image.recipe import Recipe, files_key
from pxe.image.tree import debian_tree
from pxe.initramfs.ramdisk import base_ramdisk, with_trust_anchors
from soundstage.errors import Invalid

# As the provisioning API's boot scripts call them (provisioning_api/boot/scripts.py).
KERNEL, RAMDISK = "vmlinuz", "agent.cpio.zst"
_BASE = "agent-base.cpio.zst"
# How many of each stay in the cache, besides those of the last hour. A tree with roles is over a gigabyte.
_MAX_CACHED = {"trees": 3, "built": 3, "agents": 3}
# Bump it when disks come out different and no input that `image_key` hashes has changed.
_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """`folder` holds the kernel, the ramdisk without trust anchors, and the image with its index."""

    folder: Path

    @property
    def index(self) -> ImageIndex:
        return ImageIndex.model_validate_json(next(self.folder.glob(f"*{INDEX_SUFFIX}")).read_bytes())

    def copy_to(self, target: Path, *, ca_pem: str, manifest_key: str, built_at: int) -> list[str]:
        """Copies everything into a folder of artefacts, to be published from there; returns the file names.

        An image of the same name is the same image. Other images stay: machines take the one with the
        greatest name, which need not be the newest build.
        """
        target.mkdir(parents=True, exist_ok=True)
        ramdisk = with_trust_anchors(
            (self.folder / _BASE).read_bytes(), ca_pem=ca_pem, manifest_key=manifest_key, built_at=built_at
        )
        _replace(target / RAMDISK, ramdisk)
        _replace(target / KERNEL, (self.folder / KERNEL).read_bytes())
        names = [KERNEL, RAMDISK]
        index = next(self.folder.glob(f"*{INDEX_SUFFIX}"))
        # The index last: it must not refer to chunks that are not there.
        for source in (self.folder / self.index.data, index):
            if not (target / source.name).exists():
                partial = target / f".{source.name}.half"
                shutil.copyfile(source, partial)
                partial.replace(target / source.name)
            names.append(source.name)
        return names


def build_image(
    recipe: Recipe,
    *,
    mirror: Mirror,
    ssh_user: str,
    name: str,
    tree: Path | None = None,
    say: Callable[[str], None],
) -> BuiltImage:
    """Builds an image, or takes it from the cache when nothing has changed.

    `tree`: a folder with a Debian system to use instead of a new one; its name must identify its content.
    `name` is the prefix of the version. Machines take the version with the greatest name.
    """
    source = tree if tree is not None else debian_tree(recipe, mirror, say)
    agent = agent_program()
    version = f"{name}-{image_key(source, agent, ssh_user)}"

    def make(staging: Path) -> None:
        say(f"Making the image {version}")
        work = staging / "work"
        work.mkdir()
        kernel, modules = find_kernel(source)
        shutil.copyfile(kernel, staging / KERNEL)
        (staging / _BASE).write_bytes(base_ramdisk(agent, modules))
        disk = make_disk(finish_tree(source, agent, ssh_user, work), version, work)
        write_chunks(disk, f"soundstage-{version}", version, ROOT_LABEL, staging)
        shutil.rmtree(work)

    built = BuiltImage(build_once(cache_folder() / "built" / version, make))
    _evict_old(say)
    return built


def _evict_old(say: Callable[[str], None]) -> None:
    """Removes old entries of the cache; published images have a folder of their own."""
    for kind, keep in _MAX_CACHED.items():
        for name in forget_unused(cache_folder() / kind, keep=keep):
            say(f"Took {kind}/{name} out of the cache: newer ones have been used since")


def highest_version(folder: Path) -> str:
    """Returns the version of the image that machines install from a folder of artefacts: the greatest name,
    which need not be the newest build, because names end with a hash. Empty when there is none.
    """
    names = (path.name for path in folder.glob(f"*{INDEX_SUFFIX}"))
    return max(names, default="").removeprefix("soundstage-").removesuffix(INDEX_SUFFIX)


def image_key(tree: Path, agent: Path, ssh_user: str) -> str:
    """Returns the hash of everything that an image is built from."""
    key_parts = (tree.name, agent.parent.name, ssh_user, files_key(), _code_key(), _FORMAT_VERSION)
    return hashlib.sha256(repr(key_parts).encode()).hexdigest()[:12]


def find_kernel(tree: Path) -> tuple[Path, Path]:
    """Returns the newest kernel of a tree, and its modules."""
    found = sorted((tree / "boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise Invalid(
            "image.no_kernel", f"There is no kernel in {tree}.", "Add `linux-image-amd64` to its packages."
        )
    return found[-1], tree / "lib/modules" / found[-1].name.removeprefix("vmlinuz-")


def _code_key() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for name in ("disk.py", "chunks.py", "finish.py", "../initramfs/ramdisk.py"):
        digest.update((here / name).read_bytes())
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.half")
    partial.write_bytes(content)
    partial.replace(path)
