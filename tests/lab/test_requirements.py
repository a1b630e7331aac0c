"""A computer that cannot run a lab says why, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import control_groups
from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from lab.requirements import what_is_missing
from soundstage.errors import Forbidden


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, with all programs, on a computer that allows it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("lab.requirements._KEYRING", Path(__file__))
    monkeypatch.setattr("lab.requirements.find_unified_hierarchy", lambda: Path("/"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))


@pytest.mark.usefixtures("able")
def test_nothing_is_missing_where_all_is_there() -> None:
    assert what_is_missing() is None


@pytest.mark.usefixtures("able")
def test_others_than_root_are_sent_to_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo" in str(what_is_missing())
    with pytest.raises(Forbidden, match="only root may do"):
        Lab("x").up(machines_named(["a"]))


@pytest.mark.usefixtures("able")
def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = ("systemd-nspawn", "ssh", "ssh-keygen")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in absent else f"/usr/bin/{name}")
    assert str(what_is_missing()).endswith(
        "apt-get install --no-install-recommends openssh-client systemd-container"
    )


@pytest.mark.usefixtures("able")
def test_root_without_its_rights_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = subprocess.CompletedProcess([], 1, "", "unshare: unshare failed: Operation not permitted\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    assert "Operation not permitted" in str(what_is_missing())


def test_without_control_groups_of_version_2_the_mount_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(control_groups, "_FILES", tmp_path)
    with pytest.raises(Exception, match="version 2") as caught:
        control_groups.find_unified_hierarchy()
    assert "mount -t cgroup2" in str(caught.value)
