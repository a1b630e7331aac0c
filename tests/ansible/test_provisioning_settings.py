"""What the role provisioning_api writes is what the service reads: its template by the real Ansible, and the
settings by the service's own code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ROOT, run_ansible

from soundstage.settings import Settings, load_settings

ROLE = ROOT / "ansible/roles/provisioning_api"
FARM: dict[str, Any] = {
    "farm__address": "10.0.0.5",
    "farm__datacenter": "dc1",
    "farm__region": "global",
    "farm__control": ["control-1"],
    "farm__address_of": {"control-1": "10.0.0.11", "control-3": "10.0.0.13", "localhost": "10.0.0.5"},
    "farm__database": "",
    "farm__database_machines": [],
    "farm__provisioning": ["localhost"],
    "farm__machine": {"architecture": "amd64", "packages": [], "present": []},
    "farm__secrets": "/nowhere",
    "provisioning_api__admin_key_hash": "0" * 64,
}


@pytest.mark.parametrize("engines", [False, True], ids=["alone", "with the engines of the farm"])
def test_the_service_reads_what_the_role_writes(
    engines: bool, tmp_path: Path, ansible_environment: Path
) -> None:
    sealing = {"method": "command", "wrap_command": ["kms", "wrap, it"], "unwrap_command": ["kms", "-d"]}
    settings = settings_of(
        tmp_path, {"provisioning_api__sealing": sealing, "provisioning_api__engines": engines}
    )
    assert (settings.provisioning.host, settings.provisioning.tls_names) == ("10.0.0.5", ("10.0.0.5",))
    assert settings.sealing.unwrap_command == ("kms", "-d")
    assert settings.sealing.wrap_command == ("kms", "wrap, it")
    chosen = settings.provisioning
    if not engines:
        assert chosen.consul_address is None and settings.farm.nomad.address is None
        return
    assert str(chosen.consul_address) == "https://10.0.0.11:8501/"
    assert str(settings.farm.nomad.address) == "https://10.0.0.11:4646/"
    assert chosen.consul_policies == ("dns", "nomad-client")
    places = {chosen.consul_token_file, chosen.consul_ca_file, chosen.nomad_token_file}
    assert {str(place) for place in places if place} == {
        f"/etc/soundstage/provisioning-engines/{name}" for name in ("consul.token", "ca.pem", "nomad.token")
    }


@pytest.mark.parametrize(
    ("machines", "was_shared", "is_shared"),
    [(1, False, False), (2, False, True), (1, True, True)],
    ids=["one", "two", "one that is left of two"],
)
def test_several_machines_share_a_database(
    machines: int, was_shared: bool, is_shared: bool, tmp_path: Path, ansible_environment: Path
) -> None:
    names = ["localhost", "other"][:machines]
    if was_shared:
        (tmp_path / "provisioning" / "keys").mkdir(parents=True)
    variables = {"farm__database": "control-3", "farm__database_machines": ["control-3"]}
    variables |= {"farm__provisioning": names, "farm__secrets": str(tmp_path)}
    settings = settings_of(tmp_path, variables)
    own = "postgresql://provisioning@10.0.0.13:5432/provisioning?sslmode=verify-full"
    url = str(settings.provisioning.database_url or "")
    assert url == (f"{own}&passfile=/etc/soundstage/provisioning.pgpass" if is_shared else "")


@pytest.mark.parametrize(
    ("authorities", "named"), [([], False), (["0" * 64], True)], ids=["only installed", "of the farm"]
)
def test_it_has_a_name_in_consul_where_consul_is_configured(
    authorities: list[str], named: bool, tmp_path: Path, ansible_environment: Path
) -> None:
    machine = {**FARM["farm__machine"], "present": ["/etc/consul.d/.soundstage"], "authorities": authorities}
    names = settings_of(tmp_path, {"farm__machine": machine}).provisioning.tls_names
    assert ("provisioning.service.consul" in names) == named


def settings_of(tmp_path: Path, variables: dict[str, Any]) -> Settings:
    """Returns what the service reads from the file that the role writes."""
    task = {
        "ansible.builtin.copy": {
            "dest": str(tmp_path / "p.toml"),
            "content": "{{ provisioning_api__config }}",
        }
    }
    roles = [ROLE.parent / "farm/vars/main.yml", ROLE / "defaults/main.yml", ROLE / "vars/main.yml"]
    files = [str(file) for file in roles]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": [task]}
    (tmp_path / "play.yaml").write_text(yaml.safe_dump([play]))
    everything = {**FARM, "provisioning_api__public_url": "http://10.0.0.5", **variables}
    words = ["-i", "localhost,", "-c", "local", str(tmp_path / "play.yaml"), "-e", json.dumps(everything)]
    done = run_ansible("ansible-playbook", words, {**os.environ, "ANSIBLE_BECOME": "false"})
    assert done.status == 0, done.output
    return load_settings(tmp_path / "p.toml", {})
