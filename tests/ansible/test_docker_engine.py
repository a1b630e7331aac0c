"""The role docker on a computer with a kernel of its own, where containers really start.

Machines under systemd-nspawn may not load the device filters (BPF) that a container begins with; what can be
seen there is in molecule/docker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from emulated_machine import start_emulated
from farm_in_lab import ROOT, Run, run_ansible
from qemu_machine import why_no_qemu

from lab.farm_in_a_box import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600)]


class Engine:
    """The computer, and the role played on it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self._secrets = folder / "secrets"
        self._playbook = folder / "docker.yaml"
        self._playbook.write_text(
            yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["docker"]}])
        )

    def play(self) -> Run:
        environment = {**self.lab.environment(), "ANSIBLE_ROLES_PATH": str(ROOT / "ansible/roles")}
        given: dict[str, object] = {"farm__secrets": str(self._secrets), "ansible_ssh_timeout": 120}
        # The lab's inventory leaves it out: machines that share a kernel have no bridge.
        given["docker__networking"] = True
        words = [str(self._playbook), "-e", json.dumps(given)]
        return run_ansible("ansible-playbook", words, environment, self.lab.entering([]))

    def run(self, command: str) -> str:
        done = self.lab.run("engine", ["bash", "-euo", "pipefail", "-c", command], timeout_s=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def engine(
    lab_names: Callable[[str], Lab], ansible_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Engine:
    if (missing := why_no_qemu()) is not None:
        pytest.skip(f"{missing}; then: make test-long")
    made = Engine(start_emulated(lab_names, "engine"), tmp_path_factory.mktemp("docker"))
    first = made.play()
    assert first.status == 0, first.output[-6000:]
    made.run("tar --create --directory / --dereference bin/busybox | docker import - lab:busybox")
    return made


def test_a_container_runs_alone_with_the_limits_that_it_was_given(engine: Engine) -> None:
    said = engine.run(
        "docker run --rm --memory 48m --network none lab:busybox /bin/busybox sh -c "
        "'busybox cat /sys/fs/cgroup/memory.max; busybox ps; busybox ip -o link'"
    )
    assert str(48 * 1024 * 1024) in said
    assert "dockerd" not in said
    assert "eth0" not in said


def test_a_container_reaches_the_network_by_the_engines_bridge(engine: Engine) -> None:
    said = engine.run(
        "docker run --rm --dns 10.77.0.1 lab:busybox /bin/busybox sh -c "
        "'busybox ip -4 addr show eth0; busybox nc -w 20 10.77.0.1 3142 </dev/null && busybox echo reached'"
    )
    assert "172.17." in said
    assert "reached" in said


def test_a_restart_of_the_engine_leaves_containers_alone(engine: Engine) -> None:
    engine.run("docker run --detach --name stays lab:busybox /bin/busybox sleep 3600")
    engine.run("systemctl restart docker")
    assert engine.run("docker inspect --format '{{.State.Running}}' stays") == "true"


def test_a_second_run_changes_nothing(engine: Engine) -> None:
    again = engine.play()
    assert again.status == 0, again.output[-6000:]
    assert again.changed() == 0, again.output[-6000:]
