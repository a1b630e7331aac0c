"""The ramdisk of the agent: an archive that cpio reads, and behind it whom one installation trusts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pxe.initramfs.ramdisk import Archive, base_ramdisk, with_trust_anchors
from soundstage.errors import Invalid

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "ab" * 32

needs_zstd = pytest.mark.skipif(shutil.which("zstd") is None, reason="apt-get install zstd")


@pytest.mark.skipif(shutil.which("cpio") is None, reason="apt-get install cpio")
def test_an_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    archive = Archive()
    archive.add("etc/soundstage/ca.pem", CA.encode())
    archive.add("init", b"#!", 0o755)
    archive.add("etc/soundstage/empty", b"")
    subprocess.run(
        ["cpio", "--extract", "--quiet", "--make-directories"],
        input=archive.to_bytes(),
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "etc/soundstage/ca.pem").read_text() == CA
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "etc/soundstage/empty").read_bytes() == b""


@needs_zstd
def test_a_ramdisk_has_drivers_for_disks_and_cards_and_none_for_sound(tmp_path: Path) -> None:
    modules = tmp_path / "6.12"
    for name in ("drivers/block/virtio_blk.ko.xz", "drivers/net/ethernet/e1000.ko", "sound/core/snd.ko.xz"):
        (modules / "kernel" / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / "kernel" / name).write_bytes(b"module")
    for name in ("modules.dep", "modules.alias"):
        (modules / name).write_text("")
    agent = tmp_path / "agent"
    agent.write_bytes(b"agent")
    packed = base_ramdisk(agent, modules)
    plain = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout
    assert b"virtio_blk" in plain
    assert b"e1000" in plain
    assert b"snd" not in plain
    assert packed == base_ramdisk(agent, modules)


def test_trust_is_put_behind_and_holds_no_secret() -> None:
    created = with_trust_anchors(b"base!", ca_pem=CA, manifest_key=f"{KEY}\n", built_at=1_700_000_000)
    assert created.startswith(b"base!" + bytes(3) + b"070701")
    assert CA.encode() in created
    assert b"PRIVATE" not in created


@pytest.mark.parametrize(("ca", "key"), [("", KEY), (CA, ""), (CA, "<html>"), ("<html>", KEY)])
def test_what_is_no_authority_is_not_trusted(ca: str, key: str) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        with_trust_anchors(b"base", ca_pem=ca, manifest_key=key, built_at=0)
