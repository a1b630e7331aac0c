"""What the playbook refuses, in words that say what to do, and without leaving anything half done."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest
from farm_in_lab import ANSIBLE, ROOT, LabFarm
from journey_inputs import FARM

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800), pytest.mark.cached(*FARM)]


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    """The farm as the playbook makes it; nothing to do when the tests before have made it."""
    if farm.takes_work("10.77.0.11") != {"cpu-1", "gpu-1", "gpu-2"}:
        farm.converge()
    return farm


def refused(farm: LabFarm, machine: str, words: str, *arguments: str, **variables: Any) -> str:
    """Run on one machine; it must fail there with these words and change nothing."""
    done = farm.play("--limit", machine, *arguments, **variables)
    assert done.status != 0, done.output[-3000:]
    assert words in done.said(), done.output[-3000:]
    assert done.count(machine, "changed") == 0, done.output[-3000:]
    return done.said()


def test_an_unsupported_system_is_refused_and_named(ready: LabFarm) -> None:
    path = "/usr/lib/os-release"
    ready.on("cpu-1", "cp", path, "/root/os-release")
    try:
        ready.on(
            "cpu-1",
            "sed",
            "-i",
            's/^VERSION_ID=.*/VERSION_ID="9"/; s/^PRETTY_NAME=.*/PRETTY_NAME="Old"/',
            path,
        )
        output = refused(ready, "cpu-1", "Old is not supported")
        assert "farm__supported" in output
    finally:
        ready.on("cpu-1", "cp", "/root/os-release", path)


def test_a_login_that_may_not_become_root_is_refused(ready: LabFarm) -> None:
    login = {"ansible_user": "ansible", "ansible_ssh_private_key_file": str(ready.secrets / "ssh/ansible")}
    refused(ready, "cpu-1", "the tasks do not run as root", ansible_become=False, **login)


def test_a_wrong_clock_is_refused_before_certificates_are(ready: LabFarm) -> None:
    ready.lab.inject_fault("cpu-1", "clock")
    try:
        output = refused(ready, "cpu-1", "ahead of this controller's; certificates would be refused")
        assert "timedatectl" in output
    finally:
        ready.lab.clear_fault("cpu-1")


def test_a_full_disk_is_refused_and_after_it_was_emptied_the_run_goes_on(ready: LabFarm) -> None:
    ready.lab.inject_fault("cpu-1", "disk-full")
    try:
        refused(ready, "cpu-1", "MiB are free")
    finally:
        ready.lab.clear_fault("cpu-1")
    ready.converge("--limit", "cpu-1")


def test_one_machine_that_cannot_be_reached_does_not_keep_the_others(ready: LabFarm) -> None:
    ready.lab.power_off("gpu-1")
    try:
        done = ready.play("-e", "ansible_ssh_timeout=5")
        assert done.count("gpu-1", "unreachable") == 1
        for machine in ("control-1", "cpu-1"):
            assert done.count(machine, "failed") == 0
            assert done.count(machine, "ok") > 20, "the run went on to its end"
    finally:
        ready.lab.power_on("gpu-1")


def test_a_machine_of_another_farm_is_not_taken_over(ready: LabFarm) -> None:
    other = str(ready.folder / "other")
    ready.play("--limit", "cpu-1", "--tags", "none", farm__secrets=other)  # makes the other farm's secrets
    output = refused(ready, "cpu-1", "belongs to another farm", farm__secrets=other)
    assert "farm__take_over" in output


@pytest.mark.parametrize("engine", ["consul", pytest.param("nomad", marks=pytest.mark.slow)])
def test_an_engine_that_somebody_else_set_up_is_not_taken_over_without_a_word(
    ready: LabFarm, engine: str
) -> None:
    ready.on("cpu-1", "rm", f"/etc/{engine}.d/.soundstage")
    tags = ("--tags", engine)
    words = f"already has a {engine.capitalize()} that these roles did not set up"
    output = refused(ready, "cpu-1", words, *tags)
    assert f"/etc/{engine}.d/{engine}.hcl" in output
    done = ready.converge("--limit", "cpu-1", *tags, **{f"{engine}__take_over": True})
    assert done.count("cpu-1", "changed") == 1, "only the mark came back"


def test_a_file_that_opens_what_the_roles_have_closed_is_named(ready: LabFarm) -> None:
    """SSH follows the first line that says something: ours says nothing any more."""
    file = "/etc/ssh/sshd_config.d/00-mine.conf"
    made = ready.on("cpu-1", "sh", "-c", f"echo PasswordAuthentication yes > {file}")
    assert made.returncode == 0, made.stderr
    try:
        run = ready.play("--limit", "cpu-1", "--tags", "ssh")
        assert run.count("cpu-1", "failed") == 1
        assert "ssh.not_in_force" in run.said() and "/etc/ssh/sshd_config.d" in run.said()
    finally:
        ready.on("cpu-1", "rm", file)
    assert ready.converge("--limit", "cpu-1", "--tags", "ssh").changed() == 0


def test_another_build_than_the_one_that_was_named_is_refused_and_the_old_one_stays(ready: LabFarm) -> None:
    before = ready.on("cpu-1", "readlink", "/usr/local/bin/nomad").stdout
    done = ready.play("--limit", "cpu-1", "--tags", "nomad", nomad__file_sha256="0" * 64)
    assert done.status != 0
    assert "Give the checksum of the build that you mean" in done.said()
    assert ready.on("cpu-1", "readlink", "/usr/local/bin/nomad").stdout == before
    assert ready.on("cpu-1", "systemctl", "is-active", "nomad").returncode == 0


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        ("common", {"common__open_ports": ["ssh"]}),
        ("ssh", {"ssh_hardening__authorized_keys": "some"}),
        ("consul", {"consul__log_level": "LOUD"}),
        (
            "nomad",
            {
                "nomad__gpu_plugin": "perhaps",
                "nomad__host_volumes": [{"path": "/data"}],
                "nomad__drivers": ["everything"],
            },
        ),
    ],
)
def test_variables_of_the_wrong_kind_are_named_before_the_role_begins(
    ready: LabFarm, role: str, variables: dict[str, Any]
) -> None:
    output = refused(ready, "cpu-1", "argument_errors:", "--tags", role, **variables)
    # Behind the errors Ansible prints all variables of the role.
    errors = output.partition("argument_errors:")[2].partition("argument_spec_data:")[0]
    assert [name for name in variables if name not in errors] == []


@pytest.mark.slow
def test_a_run_that_was_killed_is_completed_by_the_next(ready: LabFarm) -> None:
    """Nomad is taken off a machine; the run that puts it back is killed in the middle."""
    ready.on("cpu-1", "systemctl", "disable", "--now", "nomad", "nomad-drain")
    ready.on("cpu-1", "rm", "-r", "/etc/nomad.d", "/etc/systemd/system/nomad.service", "/opt/nomad")
    run = subprocess.Popen(
        [
            *ready.lab.entering([]),
            str(ANSIBLE / "ansible-playbook"),
            "playbook.yaml",
            "--limit",
            "cpu-1",
            "--tags",
            "nomad",
        ],
        cwd=ROOT,
        env={**ready.lab.environment(), "ANSIBLE_INVENTORY": str(ready.inventory), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("TASK [nomad : Place what may be seen]"):
            os.killpg(run.pid, signal.SIGKILL)
            break
    run.wait()
    ready.converge("--limit", "cpu-1")
    assert ready.on("cpu-1", "systemctl", "is-active", "nomad").returncode == 0
    assert ready.converge("--limit", "cpu-1", "--tags", "nomad").changed() == 0
