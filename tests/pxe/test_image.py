"""What becomes of a tree: a disk that boots in two ways, pieces that add up to it, the same bytes again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pxe.image.build import highest_version
from pxe.image.chunks import CHUNK_BYTES, ImageIndex, write_chunks
from pxe.image.disk import ROOT_LABEL, layout_for, make_disk
from pxe.image.finish import AGENT, finish_tree
from pxe.image.recipe import Kernel, Recipe

MIB = 1 << 20
PROGRAMS = ("mkfs.ext4", "mkfs.vfat", "sfdisk", "mcopy", "grub-mkimage", "zstd")
MISSING = [one for one in PROGRAMS if shutil.which(one) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)}: `scripts/setup test` installs them"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system in small: only what the making of images looks at."""
    root = tmp_path / "tree"
    for folder in ("etc/ssh", "etc/systemd/system/timers.target.wants", "boot", "usr/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/hostname").write_text("builder\n")
    (root / "etc/ssh/ssh_host_rsa_key").write_text("another's\n")
    (root / "etc/systemd/system/timers.target.wants/apt-daily.timer").symlink_to("/usr/lib/apt-daily.timer")
    (root / "boot/vmlinuz-6.12").write_bytes(os.urandom(MIB))
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    return root


def test_machines_take_the_greatest_name_whichever_was_published_last(tmp_path: Path) -> None:
    assert highest_version(tmp_path) == ""
    for name in ("soundstage-debian13-ff", "soundstage-debian13-0a"):
        (tmp_path / f"{name}.image.json").write_text("{}")
    (tmp_path / "soundstage-debian13-zz.image").write_bytes(b"")
    assert highest_version(tmp_path) == "debian13-ff"


def build_disk(tree: Path, folder: Path) -> Path:
    folder.mkdir()
    return make_disk(tree, "v1", folder)


def test_a_disk_has_what_bios_and_uefi_look_for_and_a_root(tree: Path, tmp_path: Path) -> None:
    disk = build_disk(tree, tmp_path / "work")
    table = json.loads(subprocess.run(["sfdisk", "--json", disk], capture_output=True, check=True).stdout)
    names = {one["name"]: one for one in table["partitiontable"]["partitions"]}
    assert set(names) == {"bios-boot", "esp", ROOT_LABEL}
    assert subprocess.run(["sfdisk", "--verify", disk], capture_output=True).returncode == 0
    content = disk.read_bytes()
    assert b"GRUB" in content[:440]
    assert content[510:512] == b"\x55\xaa"
    esp = names["esp"]["start"] * 512
    listed = subprocess.run(
        ["mdir", "-i", f"{disk}@@{esp}", "-b", "::/EFI/BOOT"], capture_output=True, text=True, check=True
    )
    assert "BOOTX64.EFI" in listed.stdout
    root = tmp_path / "root.ext4"
    start, size = names[ROOT_LABEL]["start"] * 512, names[ROOT_LABEL]["size"] * 512
    root.write_bytes(content[start : start + size])
    checked = subprocess.run(["e2fsck", "-f", "-n", root], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_same_tree_makes_the_same_disk(tree: Path, tmp_path: Path) -> None:
    first = hashlib.sha256(build_disk(tree, tmp_path / "one").read_bytes()).hexdigest()
    second = hashlib.sha256(build_disk(tree, tmp_path / "two").read_bytes()).hexdigest()
    assert first == second


def test_pieces_add_up_to_the_disk_and_zeros_are_left_out(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    content = os.urandom(CHUNK_BYTES) + bytes(3 * CHUNK_BYTES) + os.urandom(MIB)
    disk.write_bytes(content)
    index = write_chunks(disk, "soundstage-v1", "v1", ROOT_LABEL, tmp_path)
    assert index == ImageIndex.model_validate_json((tmp_path / "soundstage-v1.image.json").read_bytes())
    assert [one.offset for one in index.chunks] == [0, 4 * CHUNK_BYTES]
    data, again = (tmp_path / index.data).read_bytes(), bytearray(index.disk_bytes)
    for one in index.chunks:
        packed = data[one.at : one.at + one.bytes]
        assert hashlib.sha256(packed).hexdigest() == one.sha256
        plain = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout
        again[one.offset : one.offset + len(plain)] = plain
    assert bytes(again) == content
    assert index.stored_bytes == len(data)


def test_nothing_of_the_machine_that_built_it_is_in_an_image(tree: Path, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_bytes(b"agent")
    root = finish_tree(tree, agent, "root", tmp_path)
    assert not (root / "etc/hostname").exists()
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert (root / "etc/machine-id").read_text() == ""
    assert not (root / "etc/systemd/system/timers.target.wants/apt-daily.timer").is_symlink()
    assert (root / AGENT).read_bytes() == b"agent"
    assert (root / "etc/systemd/system/multi-user.target.wants/soundstage-call-home.service").is_symlink()
    # The tree in the cache is as it was: files were replaced, and never written through.
    assert (tree / "etc/hostname").read_text() == "builder\n"
    assert (tree / "etc/ssh/ssh_host_rsa_key").exists()


def test_every_package_is_part_of_what_names_a_tree() -> None:
    keys = {
        Recipe(kernel=Kernel.CLOUD).tree_key,
        Recipe(kernel=Kernel.METAL).tree_key,
        Recipe(packages=("docker.io",)).tree_key,
    }
    assert len(keys) == 3


def test_a_disk_has_room_for_what_is_in_it_and_ends_with_a_spare_table() -> None:
    layout = layout_for(300 * MIB)
    assert layout.root_bytes >= 300 * MIB + 64 * MIB
    assert layout.disk_bytes == 64 * MIB + layout.root_bytes + MIB
