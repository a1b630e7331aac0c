"""Groups of the inventory switch the parts of the farm, and what is left out is named."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ROOT, run_ansible

from app.farm_setup import FarmAnswers, inventory_files
from soundstage.database.engine import database_url
from soundstage.settings import Settings

OWN = {**os.environ, "ANSIBLE_BECOME": "false", "SOUNDSTAGE_FARM_SECRETS": "/nowhere"}
PARTS = ("agent", "provisioning", "monitoring")


def write_farm(folder: Path, *, off: tuple[str, ...] = (), boot: str = "proxy eth0") -> Path:
    """Writes the inventory of `soundstage init`, with some groups emptied."""
    answers = FarmAnswers.read(
        name="north", address="10.0.0.5", boot=boot, url="https://10.0.0.5:8443", backups="/mnt/backups"
    )
    for name, text in inventory_files(answers, is_this_machine=True).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    hosts = folder / "inventory/hosts.yaml"
    found = yaml.safe_load(hosts.read_text())
    for group in off:
        found["all"]["children"][group]["hosts"] = {}
    hosts.write_text(yaml.safe_dump(found))
    return folder / "inventory"


def plays(inventory: Path) -> dict[str, list[str]]:
    """Returns the machines of each play."""
    done = run_ansible("ansible-playbook", ["-i", str(inventory), "playbook.yaml", "--list-hosts"], OWN)
    assert done.status == 0, done.output
    play = re.compile(r"play #\d+ \(.*\): (.*?)\s*TAGS.*\n.*\n\s*hosts \(\d+\):((?:\n {6}\S+)*)")
    return {name: hosts.split() for name, hosts in play.findall(done.output)}


def test_one_control_machine_gets_all_parts(tmp_path: Path) -> None:
    found = plays(write_farm(tmp_path))
    expected = ("Nomad", "Provisioning API and boot network", "Backups", "Agent", "Monitoring and logs")
    assert {name: found[name] for name in expected} == {name: ["control-1"] for name in expected}
    order = list(found)
    assert order.index("Nomad") < order.index("Provisioning API and boot network") < order.index("Agent")


def test_an_empty_group_switches_its_part_off(tmp_path: Path) -> None:
    found = plays(write_farm(tmp_path, off=PARTS))
    assert found["Provisioning API and boot network"] == found["Monitoring and logs"] == []
    assert found["Nomad"] == ["control-1"]


@pytest.mark.parametrize(
    ("off", "boot", "named"),
    [
        (PARTS, "none", {"agent", "provisioning", "monitoring", "workers"}),
        ((), "none", {"network boot", "workers"}),
        ((), "proxy eth0", {"workers"}),
    ],
)
def test_what_is_left_out_is_named_with_what_to_set(
    off: tuple[str, ...], boot: str, named: set[str], tmp_path: Path
) -> None:
    inventory = write_farm(tmp_path, off=off, boot=boot)
    # The first play of the playbook alone.
    site = yaml.safe_load((ROOT / "ansible/playbooks/site.yaml").read_text())
    (tmp_path / "parts.yaml").write_text(yaml.safe_dump(site[:1]))
    done = run_ansible("ansible-playbook", ["-i", str(inventory), str(tmp_path / "parts.yaml")], OWN)
    assert done.status == 0, done.output
    found = set(re.findall(r"\(item=(.*?)\) =>", done.output))
    assert found == named
    assert ("Set pxe_server__interface" in done.output) == ("network boot" in named)


def evaluate(tmp_path: Path, roles: tuple[str, ...], expression: str, variables: dict[str, Any]) -> Any:
    """Returns the value of an expression over the defaults and vars of roles, on the machine `control-1`."""
    files = [
        str(path)
        for role in roles
        for kind in ("defaults", "vars")
        if (path := ROOT / f"ansible/roles/{role}/{kind}/main.yml").exists()
    ]
    task = {"ansible.builtin.copy": {"content": f"{{{{ {expression} }}}}", "dest": str(tmp_path / "value")}}
    base_play = {"hosts": "control-1", "gather_facts": False, "become": False, "vars_files": files}
    (tmp_path / "show.yaml").write_text(json.dumps([{**base_play, "tasks": [task]}]))
    words = ["-i", str(tmp_path / "inventory"), "-e", json.dumps(variables), str(tmp_path / "show.yaml")]
    done = run_ansible("ansible-playbook", words, OWN)
    assert done.status == 0, done.output
    return yaml.safe_load((tmp_path / "value").read_text())


def test_weights_in_the_manifest_become_jobs_of_language_models(tmp_path: Path) -> None:
    inventory = write_farm(tmp_path)
    hosts = yaml.safe_load((inventory / "hosts.yaml").read_text())
    weights = [{"path": "llm/Qwen3-8B.q4.gguf"}, {"path": "face/unet.safetensors"}]
    workers = {"hosts": {"cpu-1": {"models__manifest": weights}}}
    hosts["all"]["children"]["workers"]["children"]["cpu"] = workers
    (inventory / "hosts.yaml").write_text(yaml.safe_dump(hosts))
    # The play is outside the role, so Ansible looks for templates beside the playbook.
    (tmp_path / "templates").symlink_to(ROOT / "ansible/roles/bootstrap_agent/templates")
    roles = ("farm", "bootstrap_agent")
    (job,) = evaluate(tmp_path, roles, "bootstrap_agent__language_model_jobs", {"role_path": str(ROOT)})
    assert (job["job"], job["service"]) == ("llm-expert", "llm-qwen3-8b-q4")
    job_variables = job["variables"]
    assert job_variables["model_file"] == "/opt/soundstage/models/llm/Qwen3-8B.q4.gguf"
    assert job_variables["nodes"] == ["cpu-1"], "others do not have the weights"
    assert (job_variables["id"], job_variables["model"], job_variables["gpus"]) == (
        "llm-qwen3-8b-q4",
        "Qwen3-8B.q4",
        0,
    )
    folder = yaml.safe_load((ROOT / "ansible/roles/models/vars/main.yml").read_text())["models__llama_folder"]
    for job_file, program in (("llm-expert", "llama-server"), ("llamacpp-rpc", "ggml-rpc-server")):
        assert f'"{folder}/{program}"' in (ROOT / "jobs" / f"{job_file}.nomad.hcl").read_text()


@pytest.mark.parametrize("off", [(), ("provisioning",)])
def test_provisioning_is_copied_and_asked_by_group_in_every_play(
    off: tuple[str, ...], tmp_path: Path
) -> None:
    write_farm(tmp_path, off=off)
    copied = evaluate(
        tmp_path, ("farm", "backup"), "backup__all_databases | map(attribute='name') | list", {}
    )
    parts = {"provisioning", "provisioning-keys", "provisioning-tls"}
    assert parts & set(copied) == (set() if off else parts)
    assert "agent" in copied
    url = evaluate(tmp_path, ("farm", "agent"), "{'url': agent__provisioning_url}", {})
    assert url == {"url": "" if off else "http://10.0.0.5:8001"}


def write_three(folder: Path, **groups: list[str]) -> None:
    """Writes an inventory of three control machines, and these groups."""
    local = {"ansible_connection": "local"}
    machines = {f"control-{one}": {"ansible_host": f"10.0.0.{one}", **local} for one in (1, 2, 3)}
    children = {name: {"hosts": {one: {} for one in members}} for name, members in groups.items()}
    everything = {"all": {"children": {"control": {"hosts": machines}, **children}}}
    (folder / "inventory").mkdir()
    (folder / "inventory/hosts.yaml").write_text(yaml.safe_dump(everything))


def test_a_second_machine_runs_the_studio_where_database_and_files_are_shared(tmp_path: Path) -> None:
    studios = ["control-1", "control-2"]
    write_three(tmp_path, agent=studios, database=["control-3"], storage=["control-3"])
    installed = {"control_program__installation": "/opt/soundstage/control/1", "farm__secrets": str(tmp_path)}
    roles = ("farm", "agent", "backup")
    assert evaluate(tmp_path, ("farm",), "farm__agents", {}) == studios
    text = evaluate(tmp_path, roles, "{'config': agent__config}", {**installed, "agent__key_hashes": []})
    settings = Settings.model_validate(tomllib.loads(text["config"]))
    assert (settings.database.url or "").startswith("postgresql://soundstage@10.0.0.3:5432/soundstage?")
    assert (settings.blobs.url, str(settings.blobs.endpoint_url)) == (
        "s3://soundstage",
        "https://10.0.0.3:7070/",
    )
    assert [str(one) for one in settings.farm.other_control_urls] == ["http://10.0.0.2:8000/"]
    assert str(settings.farm.nomad.address) == "https://10.0.0.1:4646/"
    copied = "backup__all_databases | map(attribute='name') | list"
    assert evaluate(tmp_path, roles, copied, {}) == ["agent-keys"]
    dumped = evaluate(tmp_path, roles, copied, {"inventory_hostname": "control-3"})
    assert dumped == ["postgresql-soundstage", "objects"]


def test_several_machines_of_database_and_storage_are_named_and_have_copies(tmp_path: Path) -> None:
    databases, storages = ["control-2", "control-3"], ["control-1", "control-2"]
    write_three(tmp_path, agent=["control-1", "control-2"], database=databases, storage=storages)
    roles = ("farm", "agent", "backup")
    installed = {"control_program__installation": "/opt/soundstage/control/1", "farm__secrets": str(tmp_path)}
    text = evaluate(tmp_path, roles, "{'config': agent__config}", {**installed, "agent__key_hashes": []})
    settings = Settings.model_validate(tomllib.loads(text["config"]))
    query = database_url(settings.database.url or "").query
    assert (query["host"], query["port"]) == ("10.0.0.2,10.0.0.3", "5432,5432")
    assert (query["target_session_attrs"], query["ssl"]) == ("read-write", "verify-full")
    servers = [str(settings.blobs.endpoint_url), *map(str, settings.blobs.replica_endpoint_urls)]
    assert servers == [f"https://10.0.0.{number}:7070/" for number in (1, 2)]
    copied = "backup__all_databases | map(attribute='name') | list"
    policy = {"backup__blobs": "all"}
    for machine in ("control-1", "control-2", "control-3"):
        dumped = evaluate(tmp_path, roles, copied, {"inventory_hostname": machine, **policy})
        assert ("postgresql-soundstage" in dumped) == (machine in databases)
        assert ("objects" in dumped) == (machine in storages)


@pytest.mark.parametrize("groups", [{}, {"database": ["control-3"]}])
def test_without_shared_state_one_machine_runs_the_studio_and_the_run_says_why(
    groups: dict[str, list[str]], tmp_path: Path
) -> None:
    write_three(tmp_path, agent=["control-1", "control-2"], **groups)
    assert evaluate(tmp_path, ("farm",), "farm__agents", {}) == ["control-1"]
    left_out = "farm__parts | rejectattr('holds') | map(attribute='about') | list"
    assert "second agent" in evaluate(tmp_path, ("farm",), left_out, {})


@pytest.mark.parametrize("livekit", [[], ["control-1"]], ids=["no LiveKit", "LiveKit"])
def test_a_new_authority_starts_a_studio_anew_only_where_it_trusts_by_the_systems_bundle(
    livekit: list[str], tmp_path: Path
) -> None:
    """Its machine is a worker as well, and has the S3 server and the database."""
    everything = ("agent", "database", "storage", "workers")
    write_three(tmp_path, livekit=livekit, **{group: ["control-1"] for group in everything})
    (tmp_path / "templates").symlink_to(ROOT / "ansible/roles/agent/templates")
    secrets = tmp_path / "secrets"
    tokens = ("consul/tokens/agent.token", "nomad/tokens/agent.token", "livekit/livekit.keys")
    passwords = ("postgresql/soundstage.password", "object-storage/secret.key")
    for name in (*tokens, *passwords, "tls/ca.pem", "tls/control-1.pem", "tls/control-1-key.pem"):
        (secrets / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (secrets / name).write_text(f"{name}\n")
    secrets.chmod(0o700)
    variables = {"farm__secrets": str(secrets), "control_program__installation": "/opt/soundstage/control/1"}
    variables["role_path"] = str(ROOT / "ansible/roles/agent")

    def value(expression: str) -> Any:
        return evaluate(tmp_path, ("farm", "agent"), f"{{'it': {expression}}}", variables)["it"]

    before = value("agent__fingerprint")
    (secrets / "tls/ca.pem").write_text("another authority\n")
    assert (value("agent__fingerprint") == before) == (not livekit)
    read_anew = value("farm__read_anew | selectattr('dest', 'equalto', '/opt/soundstage/ca.pem')")
    assert [one["content"].strip() for one in read_anew] == ["another authority"], "workers read it anew"


@pytest.mark.parametrize(("machines", "named"), [(1, False), (2, True), (3, False)])
def test_two_control_machines_are_named_as_no_more_than_one(
    machines: int, named: bool, tmp_path: Path
) -> None:
    write_three(tmp_path)
    variables = {"farm__control": [f"control-{number + 1}" for number in range(machines)]}
    left_out = "farm__parts | rejectattr('holds') | map(attribute='about') | list"
    assert ("quorum" in evaluate(tmp_path, ("farm",), left_out, variables)) == named
