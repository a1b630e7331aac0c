"""The whole playbook on real Debian machines: what it makes, that it is secured, and that it stays so.

The tests share one farm and run in the order of this file: each builds on the state before.
"""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
import yaml
from farm_in_lab import ROOT, WEIGHTS, LabFarm, Run
from journey_inputs import FARM

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200), pytest.mark.cached(*FARM)]
MACHINES = ("control-1", "cpu-1", "gpu-1", "gpu-2")
WORKERS = set(MACHINES[1:])
ADDRESS = "10.77.0.11"
NOMAD = f"https://{ADDRESS}:4646"
CONSUL = f"https://{ADDRESS}:8501"
eventually = partial(waiting.eventually, within_s=120, pause_s=0.5)


def nomad(farm: LabFarm, path: str) -> Any:
    """What the API answers to the management token; None when it does not answer well."""
    done = farm.ask(NOMAD + path, "X-Nomad-Token", farm.secret("nomad/management.token"))
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.slow
def test_a_dry_run_on_bare_machines_ends_well_and_changes_nothing(farm: LabFarm) -> None:
    farm.converge("--check", "--diff")
    assert not farm.secrets.exists()
    assert farm.on("cpu-1", "test", "-e", "/etc/nomad.d/nomad.hcl").returncode != 0


def test_the_playbook_turns_bare_machines_into_a_farm(farm: LabFarm) -> None:
    farm.converge()
    eventually(lambda: farm.takes_work(ADDRESS) == WORKERS, "all workers are ready in Nomad, and take work")
    for machine in MACHINES:
        assert farm.on(machine, "systemctl", "is-active", "consul", "nomad", "nftables").returncode == 0


@pytest.fixture(scope="module")
def second_run(farm: LabFarm) -> Run:
    """One that tells all it can."""
    return farm.converge("-vvv", "--diff")


def test_a_second_run_changes_nothing(second_run: Run) -> None:
    assert second_run.changed() == 0, second_run.output[-4000:]


def test_an_operator_replaces_a_template_and_adds_a_handler(farm: LabFarm, tmp_path: Path) -> None:
    shipped = (ROOT / "ansible/roles/nomad/templates/nomad.hcl.j2").read_text()
    (tmp_path / "nomad").mkdir()
    (tmp_path / "nomad/nomad.hcl.j2").write_text(
        shipped + "# {{ inventory_hostname }}, as its operator wants it\n"
    )
    handler = {
        "name": "Leave a file",
        "listen": "Restart Nomad",
        "ansible.builtin.copy": {"dest": "/run/restarted", "content": "", "mode": "0644"},
    }
    play = {"hosts": "gpu-2", "gather_facts": False, "roles": ["nomad"], "handlers": [handler]}
    playbook = tmp_path / "mine.yaml"
    playbook.write_text(yaml.safe_dump([play]))
    assert "# gpu-2" not in farm.on("gpu-2", "cat", "/etc/nomad.d/nomad.hcl").stdout

    for changed in (True, False):
        assert bool(farm.converge(playbook=str(playbook), farm__templates=str(tmp_path)).changed()) is changed
    last = farm.on("gpu-2", "tail", "-n1", "/etc/nomad.d/nomad.hcl").stdout
    assert last == "# gpu-2, as its operator wants it\n"
    assert farm.on("gpu-2", "test", "-e", "/run/restarted").returncode == 0

    (tmp_path / "nomad/nomd.hcl.j2").write_text(shipped)
    refused = farm.play(playbook=str(playbook), farm__templates=str(tmp_path))
    assert refused.status != 0 and "nomd.hcl.j2 replaces no template" in refused.output
    assert farm.converge(playbook=str(playbook)).changed()
    assert "# gpu-2" not in farm.on("gpu-2", "cat", "/etc/nomad.d/nomad.hcl").stdout


def test_a_client_without_a_certificate_is_refused_by_both_engines(farm: LabFarm) -> None:
    token = farm.secret("nomad/management.token")
    assert farm.curl(f"{NOMAD}/v1/nodes", certificate=False, token=token, header="X-Nomad-Token") == "000"
    token = farm.secret("consul/management.token")
    assert (
        farm.curl(f"{CONSUL}/v1/catalog/nodes", certificate=False, token=token, header="X-Consul-Token")
        == "000"
    )


def test_a_client_without_a_token_is_refused_by_both_engines(farm: LabFarm) -> None:
    assert farm.curl(f"{NOMAD}/v1/nodes") == "403"
    assert farm.curl(f"{CONSUL}/v1/agent/self") == "403"
    assert farm.curl(f"{CONSUL}/v1/kv/x") == "403"


def test_a_client_with_both_is_let_in(farm: LabFarm) -> None:
    token = farm.secret("nomad/management.token")
    assert farm.curl(f"{NOMAD}/v1/nodes", token=token, header="X-Nomad-Token") == "200"
    token = farm.secret("consul/management.token")
    assert farm.curl(f"{CONSUL}/v1/agent/self", token=token, header="X-Consul-Token") == "200"


def test_the_studio_has_a_token_that_cannot_administer(farm: LabFarm) -> None:
    token = farm.secret("nomad/tokens/soundstage.token")
    assert farm.curl(f"{NOMAD}/v1/nodes", token=token, header="X-Nomad-Token") == "200"
    assert farm.curl(f"{NOMAD}/v1/acl/tokens", token=token, header="X-Nomad-Token") == "403"
    assert farm.curl(f"{NOMAD}/v1/operator/raft/configuration", token=token, header="X-Nomad-Token") == "403"


def test_a_machines_token_may_speak_for_this_machine_only(farm: LabFarm) -> None:
    token = farm.secret("consul/agents/cpu-1.token")
    for node, status in (("cpu-1", 0), ("gpu-1", 22)):  # 22: curl's word for an answer of 400 and more
        body = json.dumps({"Node": node, "Address": "10.77.0.99", "Datacenter": "dc1"})
        done = farm.ask(
            f"{CONSUL}/v1/catalog/register", "X-Consul-Token", token, "--request", "PUT", "--data", body
        )
        assert done.returncode == status, (node, done.stdout)


def test_the_gossip_of_both_engines_is_encrypted(farm: LabFarm) -> None:
    for engine, port in (("consul", 8301), ("nomad", 4648)):
        listening = farm.on("control-1", "ss", "-lntu", f"sport = :{port}").stdout
        assert str(port) in listening, engine
    log = farm.on("control-1", "journalctl", "-u", "consul", "--no-pager").stdout
    assert "Gossip Encryption: true" in " ".join(log.split())


def test_names_under_consul_are_known_to_every_program(farm: LabFarm) -> None:
    def known() -> bool:
        return "10.77.0.11" in farm.on("cpu-1", "getent", "hosts", "nomad.service.consul").stdout

    eventually(known, "nomad.service.consul is found")


def test_drivers_that_nobody_asked_for_are_off(farm: LabFarm) -> None:
    drivers = {one["Name"]: set(one["Drivers"]) for one in nomad(farm, "/v1/nodes")}
    # A Nomad that was built without a C compiler has no `exec` either.
    assert drivers["gpu-1"] <= {"exec"}
    assert drivers["cpu-1"] - {"exec"} == {"docker"}


def test_only_machines_whose_nomad_runs_containers_have_docker(farm: LabFarm) -> None:
    for machine, status in (("cpu-1", 0), ("gpu-1", 4)):  # 4: systemctl's word for no such unit
        assert farm.on(machine, "systemctl", "is-active", "docker").returncode == status


def test_cards_stand_in_nomad_with_their_memory(farm: LabFarm) -> None:
    def memory(machine: str) -> list[int]:
        (node,) = [one for one in nomad(farm, "/v1/nodes?resources=true") if one["Name"] == machine]
        devices = node["NodeResources"]["Devices"] or ()
        return [one["Attributes"]["memory"]["Int"] for one in devices for _ in one["Instances"]]

    eventually(lambda: memory("gpu-1") == [24_564] and memory("gpu-2") == [8192], "both cards are known")
    assert memory("cpu-1") == []


def test_the_worker_of_every_machine_has_made_its_golden_frame(farm: LabFarm) -> None:
    for machine in WORKERS:
        known = json.loads(farm.on(machine, "cat", "/var/lib/soundstage/health.json").stdout)
        assert {one["check"]: one["problems"] for one in known["outcomes"]}["worker"] == []


def test_weights_are_there_as_the_manifest_says_and_backups_are_made(farm: LabFarm) -> None:
    assert farm.on("gpu-1", "cat", "/opt/soundstage/models/lips/tiny.safetensors").stdout.encode() == WEIGHTS
    assert farm.on("control-1", "ls", "/var/backups/soundstage").stdout.strip()


def test_no_secret_can_be_read_by_others_on_a_machine(farm: LabFarm) -> None:
    for machine in MACHINES:
        named = ["(", "-name", "*key*", "-o", "-name", "secrets*", ")"]
        found = farm.on(machine, "find", "/etc/consul.d", "/etc/nomad.d", *named, "-perm", "/o=rwx")
        assert found.stdout == "", machine
        shown = "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID nomad)/cmdline"
        commands = farm.on(machine, "sh", "-c", shown)
        assert farm.secret("nomad/gossip.key") not in commands.stdout


def test_a_run_prints_no_secret_even_when_it_tells_all(farm: LabFarm, second_run: Run) -> None:
    told = second_run.output
    for path in farm.secrets.rglob("*"):
        if path.is_file() and path.suffix in (".token", ".key"):
            assert path.read_text().strip() not in told, path
        if path.is_file() and path.name.endswith("-key.pem"):
            assert path.read_text().splitlines()[1] not in told, path
    kept = "".join(path.read_text() for path in (farm.folder / "facts").glob("*"))
    assert farm.secret("consul/agents/cpu-1.token") not in kept


def test_ssh_takes_no_password_and_lets_in_certificates_of_the_farm(farm: LabFarm) -> None:
    config = farm.on("cpu-1", "sshd", "-T").stdout
    assert "passwordauthentication no" in config
    assert "permitrootlogin without-password" in config
    login = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
    login += ["-i", str(farm.secrets / "ssh/ansible"), "-o", "GlobalKnownHostsFile=/dev/null"]
    login += [
        "-o",
        f"UserKnownHostsFile={farm.secrets / 'ssh/known_hosts'}",
        "-o",
        "StrictHostKeyChecking=yes",
    ]
    for user in ("root", "ansible"):
        done = subprocess.run(
            farm.lab.entering([*login, f"{user}@10.77.0.12", "sudo", "id", "-u"]),
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "0", done.stderr
