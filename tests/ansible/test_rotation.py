"""Secrets are replaced while the farm runs; the old ones are refused afterwards."""

from __future__ import annotations

import json
import shlex
import subprocess
from functools import partial

import pytest
import waiting
from farm_in_lab import ROOT, LabFarm
from journey_inputs import FARM

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.cached(*FARM)]
NOMAD = "https://10.77.0.11:4646"
CONSUL = "https://10.77.0.11:8501"
WORKERS = {"cpu-1", "gpu-1", "gpu-2"}
PLAYBOOK = "ansible/playbooks/rotate-secrets.yaml"
eventually = partial(waiting.eventually, within_s=180, pause_s=0.5)


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    farm.converge()
    return farm


def ready_nodes(farm: LabFarm) -> set[str]:
    nodes = farm.json(f"{NOMAD}/v1/nodes", "X-Nomad-Token", farm.secret("nomad/management.token")) or []
    return {node["Name"] for node in nodes if node["Status"] == "ready"}


def test_tokens_gossip_keys_and_certificates_are_new_and_the_old_tokens_are_refused(ready: LabFarm) -> None:
    keys = ["consul/gossip.key", "nomad/gossip.key", "tls/cpu-1.pem"]
    names = [*keys, *(f"consul/{one}.token" for one in ("agents/cpu-1", "tokens/provisioning"))]
    before = {name: ready.secret(name) for name in names}
    studio = ready.secret("nomad/tokens/soundstage.token")
    ready.converge(playbook=PLAYBOOK)
    assert [name for name in names if ready.secret(name) == before[name]] == []
    assert ready.curl(f"{NOMAD}/v1/nodes", token=studio, header="X-Nomad-Token") == "403"
    old = before["consul/agents/cpu-1.token"]
    assert ready.curl(f"{CONSUL}/v1/catalog/nodes", token=old, header="X-Consul-Token") == "403"
    eventually(lambda: ready_nodes(ready) == WORKERS, "all workers are ready")
    old = before["consul/tokens/provisioning.token"]
    assert ready.curl(f"{CONSUL}/v1/acl/tokens", token=old, header="X-Consul-Token") == "403"
    assert ready.converge().changed() == 0


def test_a_timer_of_systemd_renews_certificates(ready: LabFarm) -> None:
    # A machine of the lab stands for the operator's computer, because this one may be without systemd.
    there = {"ansible_connection": "ssh", "ansible_host": "10.77.0.12"}
    there["ansible_python_interpreter"] = "/usr/bin/python3"
    ready.converge(playbook="ansible/playbooks/schedule-renewal.yaml", **there)
    shown = ready.on("cpu-1", "systemctl", "show", "soundstage-renewal.timer", "-P", "NextElapseUSecRealtime")
    assert shown.stdout.strip(), "the timer is planned"
    unit = ready.on("cpu-1", "cat", "/etc/systemd/system/soundstage-renewal.service").stdout
    command = shlex.split(unit.partition("ExecStart=")[2])

    before = ready.on("gpu-1", "cat", "/etc/nomad.d/tls/agent.pem").stdout
    due = ["-e", json.dumps({"farm__renew_before_days": 400})]
    done = subprocess.run(
        ready.lab.entering([*command, *due]),
        cwd=ROOT,
        env=ready.lab.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    after = ready.on("gpu-1", "cat", "/etc/nomad.d/tls/agent.pem").stdout
    assert after != before and after == ready.secret("tls/gpu-1.pem") + "\n"
    eventually(lambda: ready_nodes(ready) == WORKERS, "all workers are ready")


def test_a_new_authority_takes_over_and_certificates_of_the_old_one_are_refused(ready: LabFarm) -> None:
    kept = ready.folder / "old-authority"
    kept.mkdir()
    for name in ("operator.pem", "operator-key.pem"):
        (kept / name).write_bytes((ready.secrets / "tls" / name).read_bytes())
    management = ready.secret("nomad/management.token")
    ready.converge(playbook=PLAYBOOK, rotate=["authority", "ssh", "management"])
    assert ready.secret("tls/ca.pem").count("BEGIN CERTIFICATE") == 1
    old = ready.ask(f"{NOMAD}/v1/status/leader", "X-Nomad-Token", management, certificate=kept)
    assert old.returncode != 0
    assert ready.curl(f"{NOMAD}/v1/nodes", token=management, header="X-Nomad-Token") == "403"
    eventually(lambda: ready_nodes(ready) == WORKERS, "all workers are ready")
    assert ready.converge().changed() == 0


def test_a_part_of_the_farm_is_not_rotated(ready: LabFarm) -> None:
    done = ready.play("--limit", "cpu-1", playbook=PLAYBOOK)
    assert done.status != 0
    assert "machines that are left out would be locked out" in done.said()
