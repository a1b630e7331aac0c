"""What Debian's installer is told: accepted by debconf, different for each machine, and nothing left open."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pxe.installer.plan import (
    InstallDisk,
    InstallerSettings,
    InstallPlan,
    ReportedDisk,
    choose_disk,
    render_preseed,
)
from soundstage.errors import Conflict

GIB = 1 << 30
HASH = "$y$j9T$abcdefghijklmnopqrstu.$ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij0123456"


def plan(name: str = "node1", disk: str = "vda", **settings: Any) -> InstallPlan:
    return InstallPlan(
        name=name,
        disk=InstallDisk(name=disk, sectors=8 * GIB // 512),
        settings=InstallerSettings.model_validate(settings),
    )


def answers(text: str) -> dict[str, str]:
    """Question → value, as debconf reads the lines."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            _, question, _, *value = line.split(None, 3)
            found[question] = value[0] if value else ""
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"http_proxy": "http://10.77.0.1:3142/", "packages": ["htop", "libc6-dev"]},
        {"console_password_hash": HASH, "time_zone": "Europe/Berlin", "keyboard": "de"},
    ],
)
def test_debconf_accepts_it(settings: dict[str, Any], tmp_path: Path) -> None:
    program = shutil.which("debconf-set-selections")
    if program is None:
        pytest.skip("run: apt-get install debconf")
    file = tmp_path / "preseed.cfg"
    file.write_text(render_preseed(plan(**settings)))
    done = subprocess.run([program, "--checkonly", str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_debconf_would_have_said_so(tmp_path: Path) -> None:
    program = shutil.which("debconf-set-selections")
    if program is None:
        pytest.skip("run: apt-get install debconf")
    file = tmp_path / "preseed.cfg"
    file.write_text(render_preseed(plan()) + "this is no line of a preseed\n")
    done = subprocess.run([program, "--checkonly", str(file)], capture_output=True, text=True)
    assert "skipping line" in done.stderr


def test_each_machine_has_its_own_name_and_disk() -> None:
    one, other = (
        answers(render_preseed(plan("node1", "vda"))),
        answers(render_preseed(plan("node2", "nvme0n1"))),
    )
    assert one["netcfg/get_hostname"] == "node1" and other["netcfg/get_hostname"] == "node2"
    assert one["partman-auto/disk"] == "/dev/vda" and other["partman-auto/disk"] == "/dev/nvme0n1"
    assert other["grub-installer/bootdev"] == "/dev/nvme0n1"
    assert one["partman/early_command"].endswith(f"install-begin vda {8 * GIB // 512}")


def test_no_placeholder_and_no_template_is_left() -> None:
    text = render_preseed(plan(console_password_hash=HASH))
    assert not re.search(r"\{\{|\}\}|\{%|CHANGE|TODO|FIXME|XXX|\.\.\.", text)
    assert answers(text)["passwd/user-password-crypted"] == HASH


def test_without_a_hash_nobody_logs_in_with_a_password() -> None:
    output = answers(render_preseed(plan()))
    assert output["passwd/user-password-crypted"] == "!"
    assert output["passwd/root-login"] == "false"


def test_it_tells_no_secret() -> None:
    text = render_preseed(plan()).lower()
    assert not re.search(r"token|begin (openssh|private|certificate)|bearer|api[_-]?key", text)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "node1\nd-i preseed/late_command string reboot"},
        {"name": "Node_1"},
        {"disk": {"name": "vda; reboot", "sectors": 1}},
        {"disk": {"name": "../vda", "sectors": 1}},
        {"disk": {"name": "vda", "sectors": 0}},
        {"disk": {"name": "vda", "sectors": 1, "serial": "S1; reboot"}},
        {"settings": {"mirror_host": "deb.debian.org\nd-i x"}},
        {"settings": {"http_proxy": "http://proxy/$(reboot)"}},
        {"settings": {"packages": ["htop, reboot"]}},
        {"settings": {"console_password_hash": "$6$...N4g..."}},
        {"settings": {"console_password_hash": "plain"}},
        {"settings": {"time_zone": "Europe/Berlin; reboot"}},
        {"settings": {"ssh_user": "root root"}},
        {"settings": {"unknown": 1}},
    ],
)
def test_what_would_be_more_than_one_word_is_refused(changed: dict[str, Any]) -> None:
    good = plan().model_dump()
    with pytest.raises(ValidationError):
        InstallPlan.model_validate(good | changed)


def test_the_smallest_disk_that_is_large_enough_is_taken() -> None:
    disks = [ReportedDisk("sdb", 100 * GIB), ReportedDisk("sda", 100 * GIB), ReportedDisk("sdc", 2 * GIB)]
    assert choose_disk(disks, 4 * GIB) == InstallDisk(name="sda", sectors=100 * GIB // 512)


@pytest.mark.parametrize(
    ("disks", "words"), [([], "there are: none"), ([ReportedDisk("sda", GIB)], "sda with 1024")]
)
def test_without_such_a_disk_it_says_what_there_is(disks: list[ReportedDisk], words: str) -> None:
    with pytest.raises(Conflict, match=words) as refused:
        choose_disk(disks, 4 * GIB)
    assert refused.value.code == "installer.no_disk"
