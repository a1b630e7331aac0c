"""The last step of the first run: the control machine deploys the agent on Nomad itself, and it answers.

The tests share one machine and run in the order of this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_in_lab import (
    ADDRESS,
    AGENT,
    KNOWS,
    MACHINE,
    UNKNOWN,
    authority,
    of_the_agent,
    packed_program,
    place_expert,
    say,
)
from farm_in_lab import ROOT, LabFarm, Run, run_ansible
from journey_inputs import FARM, PROGRAM
from studio_in_lab import eventually

sys.path.insert(0, str(Path(__file__).parents[1] / "agent"))

from escape_attempts import REFUSED

from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from soundstage.settings import Settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(1200),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]
NOMAD = f"https://{ADDRESS}:4646"
CONSUL = f"https://{ADDRESS}:8501"


def test_a_provisioning_api_elsewhere_is_asked_over_tls(tmp_path: Path, ansible_environment: Path) -> None:
    roles = ROOT / "ansible" / "roles"
    defaults = [
        f"{roles}/{role}/{kind}/main.yml" for role in ("farm", "agent") for kind in ("defaults", "vars")
    ]
    shown = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "become": False,
        "vars_files": defaults,
        "tasks": [
            {
                "ansible.builtin.copy": {"content": "{{ agent__config }}", "dest": f"{tmp_path}/agent.toml"},
                "become": False,
            }
        ],
    }
    (tmp_path / "show.yaml").write_text(json.dumps([shown]))
    given = {
        "farm__secrets": str(tmp_path / "secrets"),
        "farm__control": ["localhost"],
        "farm__address_of": {"localhost": "10.0.0.11"},
        "agent__address": "10.0.0.11",
        "agent__provisioning_url": "https://10.0.0.5:8002",
        "agent__provisioning_ca": "provisioning/ca.pem",
        "agent__tls_port": 8443,
        "agent__tls_names": ["studio.example"],
        "control_program__installation": "/opt/soundstage/control/1",
    }
    words = ["-i", "localhost,", "-e", json.dumps(given), str(tmp_path / "show.yaml")]
    done = run_ansible("ansible-playbook", words, dict(os.environ))
    assert done.status == 0, done.output
    settings = Settings.model_validate(tomllib.loads((tmp_path / "agent.toml").read_text()))
    assert str(settings.provisioning.api_ca_file) == "/etc/soundstage/agent/provisioning-ca.pem"
    assert str(settings.provisioning.api_url) == "https://10.0.0.5:8002/"
    assert settings.http.tls_names == ("studio.example",)


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder = tmp_path_factory.mktemp("agent")
    program = packed_program(folder)
    lab = lab_names("agent")
    lab.up(machines_named([MACHINE]), groups={"control": [MACHINE]}, layers=[baked_layer])
    made = LabFarm(lab, folder / "farm", engines, program, {"control": of_the_agent("exec")})
    place_expert(made)
    return made


def job(farm: LabFarm, name: str = "agent") -> Any:
    return farm.json(f"{NOMAD}/v1/job/{name}", "X-Nomad-Token", farm.secret("nomad/management.token"))


@pytest.mark.slow
def test_a_dry_run_on_a_bare_machine_ends_well_and_makes_no_key(farm: LabFarm) -> None:
    done = farm.converge("--check", "--diff")
    assert done.changed() > 0
    assert not farm.secrets.exists()
    assert farm.on(MACHINE, "test", "-e", "/etc/soundstage/agent.toml").returncode != 0


@pytest.fixture(scope="module")
def first_run(farm: LabFarm) -> Run:
    return farm.converge()


def test_the_first_run_ends_with_an_agent_that_knows_its_farm_and_finds_a_model(
    farm: LabFarm, first_run: Run
) -> None:
    assert first_run.count(MACHINE, "failed") == 0
    assert f"{MACHINE}  ready" in say(farm, "cluster status")
    assert KNOWS in say(farm, UNKNOWN)
    token = farm.secret("consul/management.token")
    found = farm.json(f"{CONSUL}/v1/health/service/agent?passing", "X-Consul-Token", token)
    assert [one["Service"]["Port"] for one in found] == [8000]


def test_keys_of_people_come_in_by_https_alone(farm: LabFarm, first_run: Run) -> None:
    def status(url: str, within_s: int = 20) -> str:
        command = ["curl", "--silent", "--max-time", str(within_s), "--noproxy", "*"]
        command += ["--cacert", str(authority(farm))]
        command += ["--output", "/dev/null", "--write-out", "%{http_code}", "--header", "@-", url]
        given = f"Authorization: Bearer {farm.secret('agent/admin.key')}\n"
        done = subprocess.run(farm.lab.entering(command), input=given, capture_output=True, text=True)
        return done.stdout

    assert status(f"{AGENT}/api/me") == "200"
    # Closed to who is no machine of the farm; and open by hand, it takes no key of a person.
    # The firewall drops what it does not let in: only the end of the waiting tells.
    assert status(f"http://{ADDRESS}:8000/api/me", within_s=3) == "000"
    opened = "nft insert rule inet soundstage input tcp dport 8000 accept"
    assert farm.on(MACHINE, "sh", "-c", opened).returncode == 0
    assert status(f"http://{ADDRESS}:8000/api/me") == "403"
    assert farm.on(MACHINE, "systemctl", "reload", "nftables").returncode == 0


def test_a_second_run_changes_nothing_and_tells_no_key(farm: LabFarm, first_run: Run) -> None:
    before = job(farm)["Version"]
    again = farm.converge("-vvv", "--diff")
    assert again.changed() == 0, again.output[-5000:]
    assert job(farm)["Version"] == before
    told = first_run.output + again.output + json.dumps(job(farm))
    for name in ("agent/admin.key", "nomad/tokens/agent.token", "consul/tokens/agent.token"):
        assert farm.secret(name) not in told, name


def test_a_program_of_the_task_has_no_right_of_root(farm: LabFarm, first_run: Run) -> None:
    script = "grep -h CapEff /proc/$(pgrep -u soundstage-agent -o)/status"
    assert farm.on(MACHINE, "sh", "-c", script).stdout.split() == ["CapEff:", "0" * 16]


def run_python(farm: LabFarm, code: str) -> str:
    return say(farm, f"Run this Python:\n{code}")


def test_it_runs_code_in_a_sandbox_within_its_isolated_task(farm: LabFarm, first_run: Run) -> None:
    assert "The result is 42" in run_python(farm, "6 * 7")
    for attempt, (code, instead) in REFUSED.items():
        said = run_python(farm, code)
        assert "ESCAPED" not in said and instead in said, (attempt, said)


def test_code_that_takes_all_memory_of_the_task_is_what_ends(farm: LabFarm, first_run: Run) -> None:
    many = (
        "import os, time\nchildren = []\nfor _ in range(3):\n    child = os.fork()\n    if child == 0:\n"
        "        kept = bytearray(400 << 20); time.sleep(3); os._exit(0)\n    children.append(child)\n"
        "kept = bytearray(400 << 20)\n[os.waitpid(child, 0)[1] for child in children]"
    )
    before = farm.on(MACHINE, "pgrep", "-u", "soundstage-agent", "-o").stdout
    for _ in range(2):
        said = run_python(farm, many)
        assert "[0, 0, 0]" not in said and "9" in said, said
    assert farm.on(MACHINE, "pgrep", "-u", "soundstage-agent", "-o").stdout == before


@pytest.mark.slow
def test_a_dry_run_tells_the_truth(farm: LabFarm, first_run: Run) -> None:
    assert farm.converge("--check", "--diff").changed() == 0
    dry = farm.converge("--check", "--tags", "agent", agent__log_level="debug")
    assert dry.changed() > 0
    assert job(farm)["Version"] == 0


@pytest.mark.slow
def test_other_settings_are_another_version_which_remembers(farm: LabFarm, first_run: Run) -> None:
    say(farm, "remember that the tide turns at noon")
    farm.converge("--tags", "agent", agent__log_level="debug")
    assert job(farm)["Version"] == 1
    assert "the tide turns at noon" in say(farm, "what do you know about the tide?")


@pytest.mark.slow
def test_what_the_agent_knows_comes_back_from_a_copy(farm: LabFarm, first_run: Run) -> None:
    say(farm, "remember that the ferry leaves at six")
    key = farm.on(MACHINE, "sha256sum", "/var/lib/soundstage-agent/session.key").stdout
    told = farm.on(MACHINE, "soundstage-backup", "take").stdout
    assert "agent, agent-keys" in told, told
    copy = told.split()[0]
    say(farm, "forget that the ferry leaves at six")
    assert "is in use" in farm.on(MACHINE, "soundstage-backup", "restore", copy, "agent").stderr
    token = ("X-Nomad-Token", farm.secret("nomad/management.token"))
    stopped = farm.ask(f"{NOMAD}/v1/job/agent", *token, "--request", "DELETE")
    assert stopped.returncode == 0
    alive = ("pgrep", "-u", "soundstage-agent")
    eventually(lambda: farm.on(MACHINE, *alive).returncode != 0, "the agent to end")
    farm.on(
        MACHINE, "sh", "-c", "rm -f /var/lib/soundstage-agent/soundstage.db* /var/lib/soundstage-agent/*.key"
    )
    for part in ("agent-keys", "agent"):
        done = farm.on(MACHINE, "soundstage-backup", "restore", copy, part)
        assert done.returncode == 0, done.stderr
    farm.converge("--tags", "agent")
    assert "the ferry leaves at six" in say(farm, "what do you know about the ferry?")
    assert farm.on(MACHINE, "sha256sum", "/var/lib/soundstage-agent/session.key").stdout == key


@pytest.mark.slow
def test_an_agent_that_gives_another_answer_is_refused_with_the_answer(farm: LabFarm, first_run: Run) -> None:
    wrong = [{"ask": UNKNOWN, "expect": "north"}]
    done = farm.play("--tags", "agent", bootstrap_agent__questions=wrong)
    assert done.status != 0
    assert f"bootstrap_agent.no_answer: asked “{UNKNOWN}”" in done.said()
    assert KNOWS in done.said()


@pytest.mark.slow
def test_the_provisioning_of_machines_runs_beside_it(farm: LabFarm, first_run: Run) -> None:
    farm.converge("--tags", "agent", agent__provisioning="job")
    assert job(farm, "provisioning-api")["Status"] == "running"
    assert "machines" in say(farm, "what machines do we have?")


@pytest.mark.slow
def test_it_may_run_beside_other_tasks_and_not_isolated(farm: LabFarm, first_run: Run) -> None:
    drivers = {"nomad__drivers": ["exec", "raw_exec"], "agent__driver": "raw_exec"}
    farm.converge("--tags", "nomad,agent", **drivers)
    assert job(farm)["TaskGroups"][0]["Tasks"][0]["Driver"] == "raw_exec"
    assert f"{MACHINE}  ready" in say(farm, "cluster status")
    assert "The result is 42" in say(farm, "Run this Python: 6*7")
