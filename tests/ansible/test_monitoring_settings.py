"""Checks what the role monitoring writes, by the real Ansible; promtool reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from farm_in_lab import ROOT, run_ansible

ROLES = ROOT / "ansible" / "roles"
FARM: dict[str, Any] = {
    "farm__address": "10.0.0.11",
    "farm__name": "tide",
    "farm__agent": "localhost",
    "farm__monitoring": "localhost",
    "farm__address_of": {"localhost": "10.0.0.11"},
    "farm__machine": {"packages": []},
    "farm__secrets": "/nowhere",
    "agent__provisioning": "job",
    "farm__provisioning": [],
    "farm__livekit": "",
    "farm__database_machines": [],
    "farm__monitoring_trust": {"dest": "/etc/soundstage/monitoring/ca.pem"},
}
FILES = ("prometheus.yml", "alertmanager.yml", "prometheus.conf", "alertmanager.conf", "node-exporter.conf")
TLS = "/run/credentials/prometheus.service"


def render_settings(folder: Path, **variables: Any) -> dict[str, str]:
    """Returns the files that the role would place."""
    copies = [
        {
            "ansible.builtin.copy": {
                "dest": str(folder / name),
                "content": f"{{{{ lookup('template', '{ROLES}/monitoring/templates/{name}.j2') }}}}",
            }
        }
        for name in FILES
    ]
    names = [str(ROLES / "monitoring" / kind / "main.yml") for kind in ("defaults", "vars")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": names, "tasks": copies}
    (folder / "play.yaml").write_text(yaml.safe_dump([play]))
    words = ["-i", "localhost,", "-c", "local", str(folder / "play.yaml")]
    words += ["-e", json.dumps({**FARM, **variables})]
    done = run_ansible("ansible-playbook", words, {**os.environ, "ANSIBLE_BECOME": "false"})
    assert done.status == 0, done.output
    return {name: (folder / name).read_text() for name in FILES}


def jobs(text: str) -> dict[str, dict[str, Any]]:
    return {one["job_name"]: one for one in yaml.safe_load(text)["scrape_configs"]}


def test_every_target_is_reached_over_tls_or_on_the_same_machine(
    tmp_path: Path, ansible_environment: Path
) -> None:
    addresses = {"localhost": "10.0.0.11", "rooms": "10.0.0.21"}
    files = render_settings(tmp_path, farm__livekit="rooms", farm__address_of=addresses)
    found = jobs(files["prometheus.yml"])
    assert set(found) == {
        *("prometheus", "alertmanager", "node", "nomad", "consul", "studio", "provisioning", "livekit"),
    }
    assert found["livekit"]["static_configs"][0]["targets"] == ["10.0.0.21:6789"]
    assert found["livekit"]["tls_config"]["cert_file"] == f"{TLS}/cert.pem"
    for name, job in found.items():
        own = all(
            target.startswith(("127.0.0.1:", "10.0.0.11:"))
            for group in job.get("static_configs", [{"targets": ["elsewhere"]}])
            for target in group["targets"]
        )
        assert own or job["scheme"] == "https", name
        assert not job.get("tls_config", {}).get("insecure_skip_verify"), name
    assert found["studio"]["authorization"] == {"credentials_file": f"{TLS}/scrape.key"}
    assert found["provisioning"]["static_configs"][0]["targets"] == ["10.0.0.11:8001"]
    assert "127.0.0.1:9090" in files["prometheus.conf"] and "127.0.0.1:9093" in files["alertmanager.conf"]
    if promtool := shutil.which("promtool"):
        command = [promtool, "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
        checked = subprocess.run(command, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_patroni_is_read_where_several_machines_have_the_database(
    tmp_path: Path, ansible_environment: Path
) -> None:
    addresses = {"localhost": "10.0.0.11", "other": "10.0.0.12"}
    machines = {"farm__address_of": addresses, "farm__database_machines": ["localhost", "other"]}
    job = jobs(render_settings(tmp_path, **machines)["prometheus.yml"])["patroni"]
    assert [one["targets"] for one in job["static_configs"]] == [["10.0.0.11:8008"], ["10.0.0.12:8008"]]
    assert job["scheme"] == "https" and job["tls_config"]["key_file"] == f"{TLS}/key.pem"
    alone = jobs(render_settings(tmp_path, farm__database_machines=["localhost"])["prometheus.yml"])
    assert "patroni" not in alone


def test_every_machine_of_the_provisioning_api_is_read_over_its_own_https(
    tmp_path: Path, ansible_environment: Path
) -> None:
    addresses = {"localhost": "10.0.0.11", "other": "10.0.0.12"}
    several: dict[str, Any] = {"farm__provisioning": ["localhost", "other"], "agent__provisioning": "none"}
    several["farm__address_of"] = addresses
    job = jobs(render_settings(tmp_path, **several)["prometheus.yml"])["provisioning"]
    assert job["scheme"] == "https"
    assert job["tls_config"] == {"ca_file": "/etc/soundstage/monitoring/provisioning-ca.pem"}
    assert [one["targets"] for one in job["static_configs"]] == [["10.0.0.11:8002"], ["10.0.0.12:8002"]]


def test_where_others_may_reach_it_they_need_a_certificate_of_the_farm(
    tmp_path: Path, ansible_environment: Path
) -> None:
    files = render_settings(tmp_path, monitoring__listen="10.0.0.11")
    assert "--web.config.file=/etc/soundstage/monitoring/prometheus-web.yml" in files["prometheus.conf"]
    assert "--web.config.file=/etc/soundstage/monitoring/alertmanager-web.yml" in files["alertmanager.conf"]
    for name in ("prometheus", "alertmanager"):
        job = jobs(files["prometheus.yml"])[name]
        assert (job["scheme"], job["tls_config"]["ca_file"]) == ("https", "/etc/soundstage/monitoring/ca.pem")
    (manager,) = yaml.safe_load(files["prometheus.yml"])["alerting"]["alertmanagers"]
    assert manager["scheme"] == "https"


def test_a_studio_elsewhere_is_read_by_its_own_authority(tmp_path: Path, ansible_environment: Path) -> None:
    target = {"job": "studio", "url": "https://10.0.0.5:8443", "ca": "studio/ca.pem", "machine": "desk"}
    files = render_settings(tmp_path, monitoring__targets=[target])
    studio = jobs(files["prometheus.yml"])["studio"]
    assert studio["tls_config"] == {"ca_file": "/etc/soundstage/monitoring/studio-ca.pem"}
    assert studio["static_configs"] == [{"targets": ["10.0.0.5:8443"], "labels": {"instance": "desk"}}]


def test_no_secret_stands_in_the_settings_of_alertmanager(tmp_path: Path, ansible_environment: Path) -> None:
    files = render_settings(
        tmp_path,
        monitoring__webhooks=[
            {"url": "https://chat.example/a", "token": "monitoring/chat.token"},
            {"url": "http://10.0.0.9/b"},
        ],
        monitoring__mail_to="farm@example.org",
        monitoring__mail_server="mail.example.org:587",
        monitoring__mail_user="farm",
        monitoring__mail_password="monitoring/mail.password",
        monitoring__heartbeat_url="https://watch.example/ping",
    )
    settings = yaml.safe_load(files["alertmanager.yml"])
    manager = "/run/credentials/prometheus-alertmanager.service"
    assert settings["global"]["smtp_auth_password_file"] == f"{manager}/mail.password"
    receivers = {one["name"]: one for one in settings["receivers"]}
    http = receivers["webhook-0"]["webhook_configs"][0]["http_config"]
    assert http["authorization"] == {"credentials_file": f"{manager}/monitoring-chat.token"}
    assert receivers["mail"]["email_configs"][0]["to"] == "farm@example.org"
    # Each way goes on to the next: one that fails holds none up.
    ways = settings["route"]["routes"]
    assert [way["receiver"] for way in ways] == ["heartbeat", "webhook-0", "webhook-1", "mail"]
    assert all(way["continue"] for way in ways[1:])
    for name in ("mail.password", "monitoring-chat.token"):
        assert f"LoadCredential={name}:/etc/soundstage/monitoring/{name}" in files["alertmanager.conf"]
