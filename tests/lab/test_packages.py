"""Machines install Debian packages without a way out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from lab.farm_in_a_box import Lab
from lab.paths import cache_folder
from pxe.image.debian import PUBLIC, mirror_of_this_computer

Says = Callable[..., str]


@pytest.mark.root
def test_a_package_is_installed_and_the_next_machine_gets_it_from_the_cache(box: Lab, says: Says) -> None:
    says("control", "apt-get", "-qq", "update")
    says("control", "apt-get", "-qq", "install", "tree")
    stored = {path.name for path in (cache_folder() / "packages").iterdir()}
    says("gpu-1", "apt-get", "-qq", "update")
    says("gpu-1", "apt-get", "-qq", "install", "tree")
    assert "tree" in says("gpu-1", "tree", "--version")
    # Indexes may have changed meanwhile; the package itself is the one that was kept.
    assert stored <= {path.name for path in (cache_folder() / "packages").iterdir()}


@pytest.mark.root
def test_other_hosts_are_refused_with_what_to_do(box: Lab, says: Says) -> None:
    answer = says("control", "curl", "-s", "-x", "http://10.77.0.1:3142", "http://example.com/")
    assert "no way out" in answer
    assert "--allow" in answer
    tunnel = box.run("control", ["curl", "-sSf", "-x", "http://10.77.0.1:3142", "https://example.com/"])
    assert tunnel.returncode != 0
    assert "403" in tunnel.stderr


@pytest.mark.root
def test_a_path_that_climbs_out_of_the_mirror_is_refused(says: Says) -> None:
    answer = says(
        "control", "curl", "-s", "--path-as-is", "-x", "http://10.77.0.1:3142", f"{PUBLIC}/dists/../../other/"
    )
    assert "no way out" in answer


@pytest.mark.root
def test_what_the_mirror_has_not_is_said_as_the_mirror_says_it(says: Says) -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", "http://10.77.0.1:3142"]
    assert says("control", *command, f"{PUBLIC}/pool/main/n/no-such-package.deb") == "404"


@pytest.mark.root
def test_the_computers_mirror_is_written_into_no_machine(box: Lab, says: Says) -> None:
    real = mirror_of_this_computer()
    sources = says("control", "sh", "-c", "cat /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*")
    assert "http://deb.debian.org/debian" in sources
    if real.main != PUBLIC:
        assert real.main not in sources
    assert not real.http_proxy or real.http_proxy not in sources


@pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="reads apt's configuration; run it on Debian or Ubuntu"
)
def test_the_mirror_is_the_one_of_this_computers_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    sources = tmp_path / "sources.list"
    sources.write_text(
        "deb http://deb.example.net/node nodistro main\n"
        "deb https://mirror.example.org/pub/debian trixie main\n"
        "deb https://mirror.example.org/pub/debian-security trixie-security main\n"
    )
    configuration = tmp_path / "apt.conf"
    configuration.write_text(
        f'Dir::Etc::SourceList "{sources}";\nDir::Etc::SourceParts "/dev/null";\n'
        'Acquire::http::Proxy "http://proxy.example.org:3128";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    found = mirror_of_this_computer()
    assert found.main == "https://mirror.example.org/pub/debian"
    assert found.security == "https://mirror.example.org/pub/debian-security"
    assert found.http_proxy == "http://proxy.example.org:3128"
