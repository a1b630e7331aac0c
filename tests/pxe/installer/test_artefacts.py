"""The installer that is published is Debian's, with our part behind it."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from pxe.initramfs.ramdisk import Archive
from pxe.installer.plan import InstallerSettings
from pxe.installer.ramdisk import installer_artefacts
from soundstage.errors import Unavailable

CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def build_artefacts(debian: Path, agent: Path) -> dict[str, bytes]:
    return installer_artefacts(
        agent, InstallerSettings(), ca_pem=CA, manifest_key="ab" * 32, built_at=1, debian=debian
    )


def test_our_part_is_unpacked_after_debians(tmp_path: Path) -> None:
    theirs = Archive()
    theirs.add("etc/theirs", b"their file")
    (tmp_path / "initrd.gz").write_bytes(gzip.compress(theirs.to_bytes()))
    (tmp_path / "linux").write_bytes(b"a kernel")
    (tmp_path / "agent").write_bytes(b"\x7fELF agent")
    files = build_artefacts(tmp_path, tmp_path / "agent")
    assert files["installer-vmlinuz"] == b"a kernel"
    assert json.loads(files["installer.json"])["mirror_host"] == "deb.debian.org"
    ours = files["installer-initrd.gz"][len((tmp_path / "initrd.gz").read_bytes()) :].lstrip(b"\0")
    out = tmp_path / "out"
    out.mkdir()
    # cpio ends at the first archive's end; the kernel goes on behind it, and so do we.
    while ours:
        end = ours.index(b"TRAILER!!!") + len("TRAILER!!!\0")
        end += -end % 512
        subprocess.run(["cpio", "-idm", "--quiet"], input=ours[:end], cwd=out, check=True)
        ours = ours[end:].lstrip(b"\0")
    agent = out / "usr/lib/soundstage/agent"
    assert agent.read_bytes() == b"\x7fELF agent" and agent.stat().st_mode & 0o111
    assert (out / "usr/lib/soundstage/install-begin").stat().st_mode & 0o111
    assert (out / "usr/lib/soundstage/units/soundstage-call-home.service").exists()


def test_without_debians_installer_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not on this computer") as refused:
        build_artefacts(tmp_path, tmp_path / "agent")
    assert "debian-installer-13-netboot-amd64" in refused.value.hint


@pytest.mark.parametrize("script", ["install-begin", "install-end"])
def test_the_scripts_are_shell(script: str) -> None:
    file = Path(__file__).parents[3] / "pxe/installer/files" / script
    assert subprocess.run(["sh", "-n", str(file)]).returncode == 0


def test_the_installer_stands_still_before_a_disk_that_was_not_reported(tmp_path: Path) -> None:
    file = Path(__file__).parents[3] / "pxe/installer/files/install-begin"
    text = file.read_text().replace("/dev/console", str(tmp_path / "console")).replace("sleep 3600", "exit 9")
    begin = tmp_path / "begin"
    begin.write_text(
        text.replace("/soundstage-member", str(tmp_path / "member")).replace("/sys", str(tmp_path))
    )
    (tmp_path / "block/vda").mkdir(parents=True)
    (tmp_path / "block/vda/size").write_text("2048\n")

    def run(*words: str) -> int:
        return subprocess.run(["sh", str(begin), *words]).returncode

    assert run("vda", "2048") == 9, "nobody has enrolled this machine"
    home = tmp_path / "member/etc/soundstage/call-home.json"
    home.parent.mkdir(parents=True)
    home.write_text("{}")
    assert run("vda", "2048") == 0
    assert run("vda", "4096") == 9
    assert run("sda", "2048") == 9
    assert "is not the one that was reported" in (tmp_path / "console").read_text()
