"""What the installer looks at before it changes a disk: our agent, and the disk that was reported."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pxe.installer import plan

PROGRAM = Path(plan.__file__).with_name("files") / "install-begin"
BYTES_OF_SATA = b"\x00\x80\x00\x14"


def stands_still(folder: Path, *words: str) -> str:
    """What it says when it stands still for ever; empty when it lets the installer go on."""
    program = PROGRAM.read_text()
    for place in ("/sys/", "/soundstage-member/", "/dev/console"):
        assert place in program
        program = program.replace(place, f"{folder}{place}")
    (folder / "dev").mkdir(exist_ok=True)
    asleep = "sleep() { exit 7; }\n"
    done = subprocess.run(["sh", "-c", asleep + program, "install-begin", *words], timeout=60)
    output = folder / "dev/console"
    assert (done.returncode == 7) == output.exists()
    return output.read_text() if output.exists() else ""


@pytest.fixture
def computer(tmp_path: Path) -> Path:
    """With disks of one size whose serial numbers are in three places."""
    member = tmp_path / "soundstage-member/etc/soundstage"
    member.mkdir(parents=True)
    (member / "call-home.json").write_text("{}")
    for disk, file, serial in (
        ("nvme0n1", "device/serial", b"S3 X/1\n"),
        ("vda", "serial", b"disk-box"),
        ("sda", "device/vpd_pg80", BYTES_OF_SATA + b"      WD-123"),
        ("sdb", "device/model", b"has no serial number"),
    ):
        path = tmp_path / "sys/block" / disk / file
        path.parent.mkdir(parents=True)
        path.write_bytes(serial)
        (tmp_path / "sys/block" / disk / "size").write_text("4096\n")
    return tmp_path


@pytest.mark.parametrize("words", ["nvme0n1 4096 S3X1", "vda 4096 disk-box", "sda 4096 WD-123", "sdb 4096"])
def test_the_disk_that_was_reported_is_written(computer: Path, words: str) -> None:
    assert stands_still(computer, *words.split()) == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("sda 8192 WD-123", "sectors"),
        ("sda 4096 disk-box", "serial number"),
        ("sdb 4096 WD-123", "serial number"),
        ("sdz 4096", "sectors"),
    ],
)
def test_a_disk_that_took_the_name_of_another_is_not(computer: Path, words: str, why: str) -> None:
    assert why in stands_still(computer, *words.split())


def test_an_installer_that_nobody_started_for_it_changes_nothing(computer: Path) -> None:
    (computer / "soundstage-member/etc/soundstage/call-home.json").unlink()
    assert "not started by our agent" in stands_still(computer, "vda", "4096")
