"""Nomad and Consul from a package repository: signed by the right key, in the named version, or not at all.

The repository is made here and holds stand-ins; its address and key are all that differs from HashiCorp's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ROOT, Run, run_ansible
from journey_inputs import FARM
from package_repository import PackageRepository

from lab.farm_in_a_box import Lab
from lab.network import connect
from lab.plan import GATEWAY, machines_named

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800), pytest.mark.cached(*FARM)]
PORT = 8085
PROGRAM = "#!/bin/sh\necho {} {}\n"


class Mirror:
    """One bare machine, and a repository that it can reach."""

    def __init__(self, lab: Lab, folder: Path, packages: PackageRepository) -> None:
        self.lab = lab
        self.packages = packages
        self.folder = folder
        self._playbook = folder / "engines.yaml"
        play = {"hosts": "all", "gather_facts": False, "roles": ["consul", "nomad"]}
        self._playbook.write_text(yaml.safe_dump([play]))

    def play(self, *arguments: str, **variables: Any) -> Run:
        """Both roles, as far as they install."""
        given = {
            "farm__secrets": str(self.folder / "secrets"),
            "consul__repo_url": f"http://{GATEWAY}:{PORT}",
            "consul__repo_key": str(self.packages.key),
            **variables,
        }
        words = [str(self._playbook), "--tags", "install", "-e", json.dumps(given), *arguments]
        environment = {**self.lab.environment(), "ANSIBLE_ROLES_PATH": str(ROOT / "ansible/roles")}
        return run_ansible("ansible-playbook", words, environment, self.lab.entering([]))

    def version(self, name: str) -> str:
        words = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", name]
        return self.lab.run("bare", words).stdout.removeprefix("ii ")


@pytest.fixture(scope="module")
def mirror(
    lab_names: Callable[[str], Lab], ansible_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg signs the packages: apt-get install gnupg, then: make test")
    folder = tmp_path_factory.mktemp("mirror")
    packages = PackageRepository(folder / "packages")
    for version in ("1.2.0-1", "1.3.0-1"):
        for name in ("consul", "nomad"):
            packages.add(name, version, PROGRAM.format(name, version))
    packages.sign()
    lab = lab_names("mirror")
    lab.up(machines_named(["bare"]), groups={"control": ["bare"]})
    # The lab's own proxy knows Debian's mirrors alone.
    direct = f'Acquire::http::Proxy::{GATEWAY} "DIRECT";'
    lab.run("bare", ["sh", "-c", 'echo "$0" > /etc/apt/apt.conf.d/95direct', direct])
    words = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        GATEWAY,
        str(PORT),
        "--directory",
        str(packages.tree),
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(lab.entering(words), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                connect(lab.paths, GATEWAY, PORT, 1).close()
                break
            except OSError:
                assert time.monotonic() < until and server.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.05)
        yield Mirror(lab, folder, packages)
    finally:
        server.terminate()
        server.wait()
        packages.close()


@pytest.mark.slow
def test_packages_that_another_key_signed_are_refused_and_apt_works_on(mirror: Mirror) -> None:
    other = PackageRepository(mirror.folder / "other")
    try:
        done = mirror.play(consul__repo_key=str(other.key))
    finally:
        other.close()
    assert done.status != 0
    assert "consul.package_refused" in done.said(), done.output
    assert "consul__repo_key" in done.said()
    assert mirror.version("consul") == ""
    assert mirror.lab.run("bare", ["apt-get", "update"]).returncode == 0


def test_a_dry_run_on_a_bare_machine_says_what_it_would_install(mirror: Mirror) -> None:
    done = mirror.play("--check", "--diff", consul__version="1.2.0-1")
    assert done.status == 0, done.output
    assert "Consul 1.2.0-1 would be installed" in done.said()
    assert mirror.version("consul") == ""


def test_the_named_version_is_installed_and_stays_though_there_is_a_newer_one(mirror: Mirror) -> None:
    chosen = {"consul__version": "1.2.0-1", "nomad__version": "1.2.0-1"}
    done = mirror.play(**chosen)
    assert done.status == 0, done.output
    assert (mirror.version("consul"), mirror.version("nomad")) == ("1.2.0-1", "1.2.0-1")
    mirror.lab.run("bare", ["apt-get", "--yes", "dist-upgrade"])
    assert mirror.version("nomad") == "1.2.0-1"
    assert mirror.play(**chosen).changed() == 0


def test_another_version_comes_when_it_is_named_and_the_key_may_be_an_address(mirror: Mirror) -> None:
    shutil.copy(mirror.packages.key, mirror.packages.tree / "key.asc")
    key = f"http://{GATEWAY}:{PORT}/key.asc"
    done = mirror.play(consul__version="1.3.0-1", nomad__version="1.2.0-1", consul__repo_key=key)
    assert done.status == 0, done.output
    assert (mirror.version("consul"), mirror.version("nomad")) == ("1.3.0-1", "1.2.0-1")


def test_a_package_that_was_changed_after_it_was_signed_is_refused_and_the_old_one_stays(
    mirror: Mirror,
) -> None:
    package = mirror.packages.add("nomad", "1.4.0-1", PROGRAM.format("nomad", "1.4.0-1"))
    mirror.packages.sign()
    package.write_bytes(package.read_bytes()[:-1] + b"!")
    done = mirror.play(consul__version="1.3.0-1", nomad__version="1.4.0-1")
    assert done.status != 0
    assert "nomad.package_refused" in done.said(), done.output
    assert mirror.version("nomad") == "1.2.0-1"
