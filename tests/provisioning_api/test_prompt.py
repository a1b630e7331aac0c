"""`soundstage machines` and `soundstage runs` at the prompt, against the real process."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import PATIENCE_S, server_in
from ramdisk import Ramdisk
from real_server import RealServer
from redfish_emulator import SYSTEM
from test_runs import FAILS_ON, OK
from test_server import operator_of

from app.cli.main import run_cli
from bench.simulated_fleet.fleet import Fleet, announce_fleet, fleet_client
from bench.simulated_fleet.plan import plan_fleet

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible/.venv/bin/ansible-inventory"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The playbooks of the server; a test writes those that it runs."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One for all tests: starting it takes longer than most of them, and each has machines of its own."""
    with server_in(tmp_path_factory.mktemp("server"), project) as running:
        yield running


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Counts the machines, two for each test."""
    return count(step=2)


@pytest.fixture
def prompt(
    server: RealServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Any:
    """Calls the program; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", server.url)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_KEY_FILE", str(server.key_file))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run_cli(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


@pytest.fixture
def two_members(server: RealServer, numbers: Iterator[int]) -> list[str]:
    """Simulated machines that enrolled; nothing answers at their addresses."""
    before = machines_of(server)
    ca = httpx.get(f"{server.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text

    async def live() -> None:
        plans = plan_fleet(next(numbers) + 2, 1, faulty=0, spread_s=0)[-2:]
        async with operator_of(server) as operator, fleet_client(server.tls_url, ca) as client:
            await announce_fleet(operator, plans)
            await Fleet(client).run(plans)

    asyncio.run(live())
    return [name for name in machines_of(server) if name not in before]


def machines_of(server: RealServer) -> dict[str, str]:
    """The state of each machine by its name."""
    answer = httpx.get(
        f"{server.url}/api/machines", headers=server.headers, timeout=PATIENCE_S, trust_env=False
    )
    return {machine["name"]: machine["state"] for machine in answer.raise_for_status().json()}


def test_machines_are_listed_shown_tagged_and_retired(prompt: Any, two_members: list[str]) -> None:
    first, second = two_members
    code, out = prompt("machines", "list")
    assert code == 0 and first in out and "enrolled" in out
    assert prompt("machines", "set", first, "--pool", "gpu")[0] == 0
    code, out = prompt("machines", "show", first, "--json")
    assert (code, json.loads(out)["pool"]) == (0, "gpu")
    code, out = prompt("machines", "timeline", first)
    assert code == 0 and "stream" in out
    code, out = prompt("machines", "retire", second)
    assert code == 0 and "Nothing was done" in out and "Revoke" in out
    assert prompt("machines", "retire", second, "--confirm", first)[0] == 1
    code, out = prompt("machines", "retire", second, "--confirm", second, "--keep-disks")
    assert code == 0 and "retired" in out
    code, out = prompt("machines", "ca")
    assert code == 0 and out.startswith("-----BEGIN CERTIFICATE-----\n"), out
    code, out = prompt("machines", "audit")
    assert code == 0 and "Unbroken." in out and "machine.retired" in out


def test_a_run_is_followed_to_its_end_and_its_failure_is_the_exit_code(
    prompt: Any, two_members: list[str], project: Path
) -> None:
    (project / "playbook.yaml").write_text(OK)
    code, out = prompt("runs", "start", *two_members)
    assert code == 0 and "task       Say something" in out and out.rstrip().endswith("succeeded")
    (project / "playbook.yaml").write_text(FAILS_ON.replace("'b'", f"'{two_members[1]}'"))
    code, out = prompt("runs", "start", *two_members, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 1 and events[-1]["state"] == "failed"
    code, out = prompt("runs", "failures")
    assert code == 0 and two_members[1] in out and "A disk is full" in out
    code, out = prompt("runs", "list")
    assert code == 0 and "succeeded" in out and "failed" in out


def test_a_machine_is_switched_by_its_bmc_and_the_password_is_on_no_command_line(
    prompt: Any, two_members: list[str], bmc: str, tmp_path: Path
) -> None:
    name, _ = two_members
    (tmp_path / "password").write_text("hidden-password\n")
    setup = ("machines", "power-setup", name, "redfish", "--url", bmc, "--user", "admin", "--secret-file")
    code, out = prompt(*setup, "nowhere")
    assert code == 1 and "machines.cannot_read" in out
    code, out = prompt(*setup, "password")
    assert code == 0 and "switched by redfish" in out
    assert prompt("machines", "power", name)[1].strip() == "Off"
    code, out = prompt("machines", "netboot", name)
    assert code == 0 and "from the network" in out
    boot = httpx.get(f"{bmc}/redfish/v1/Systems/{SYSTEM}", trust_env=False, timeout=PATIENCE_S).json()["Boot"]
    assert boot["BootSourceOverrideTarget"] == "Pxe"
    assert prompt("machines", "power-setup", name, "none")[0] == 0
    code, out = prompt("machines", "power", name)
    assert code == 1 and "power." in out


def test_the_prompt_speaks_to_the_tls_port_and_trusts_its_authority_alone(
    prompt: Any, server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(prompt("machines", "ca")[1])
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", server.tls_url)
    assert "machines.untrusted" in prompt("machines", "list")[1]
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_CA_FILE", str(authority))
    code, out = prompt("machines", "list")
    assert code == 0, out
    authority.write_text("nothing of the kind")
    code, out = prompt("machines", "list")
    assert code == 1 and "machines.ca_unreadable" in out


@pytest.mark.skipif(not ANSIBLE.exists(), reason="needs Ansible: make setup-farm")
def test_the_inventory_of_the_guide_lists_machines_by_the_tls_port(
    prompt: Any, server: RealServer, two_members: list[str], tmp_path: Path
) -> None:
    guide = (ROOT / "docs/guide/cluster.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL) if "plugin:" in one]
    source = {
        **yaml.safe_load(block),
        "url": server.tls_url,
        "token_file": str(server.key_file),
        "ca_file": str(tmp_path / "ca.pem"),
        "snapshot": None,
    }
    (tmp_path / "machines.yaml").write_text(yaml.safe_dump(source))
    (tmp_path / "ca.pem").write_text(prompt("machines", "ca")[1])
    listed = subprocess.run(
        [ANSIBLE, "-i", tmp_path / "machines.yaml", "--list"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stderr
    members = {name for name, state in machines_of(server).items() if state in ("enrolled", "ready")}
    assert set(json.loads(listed.stdout)["workers"]["hosts"]) == members >= set(two_members)


def test_what_the_server_refuses_is_told_in_its_words(prompt: Any) -> None:
    code, out = prompt("machines", "show", "nobody")
    assert code == 1 and "machine.not_found" in out
    code, out = prompt("machines", "show", "../../etc")
    assert code == 1 and "machines.bad_name" in out
    code, out = prompt("machines", "rules", "--enable", "any-machine-on-this-network")
    assert code == 1 and "rule.invalid" in out
    code, out = prompt(
        "machines", "rules", "--enable", "any-machine-on-this-network", "--network", "10.0.0.0/24"
    )
    assert code == 0 and "10.0.0.0/24" in out and "Off until" not in out


def test_a_machine_is_expected_and_accepted_by_its_code_at_the_prompt(
    prompt: Any, server: RealServer, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("an-asset-tag-of-one-machine\n")
    assert prompt("machines", "announce", "SN 1", "--secret-file", str(secret))[0] == 0
    code, out = prompt("machines", "announced")
    assert code == 0 and "SN 1" in out and "expected" in out and "asset-tag" not in out
    assert prompt("machines", "unannounce", "SN 1")[0] == 0

    ca = httpx.get(f"{server.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text

    def report(known: bool, **changed: Any) -> Ramdisk:
        async def work() -> Ramdisk:
            async with fleet_client(server.tls_url, ca) as client:
                machine = Ramdisk(client, **changed)
                assert (await machine.discover()).is_success is known
            return machine

        return asyncio.run(work())

    first = report(True)
    anew = report(False, macs=first.macs, uuid=first.uuid)
    code, out = prompt("machines", "accept", first.name)
    assert code == 1 and "machine.code_missing" in out
    code, out = prompt("machines", "accept", first.name, "--code", anew.code)
    assert code == 1 and "machine.code_changed" in out
    code, out = prompt("machines", "show", first.name)
    assert code == 0 and "CONFLICT" in out and anew.code in out and "the same address" in out
    assert prompt("machines", "key", first.name, "--code", anew.code)[0] == 0
    code, out = prompt("machines", "accept", first.name, "--code", anew.code)
    assert code == 0 and "is accepted" in out


def test_without_a_server_the_prompt_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", "http://127.0.0.1:1")
    assert run_cli(["machines", "list"]) == 1
    assert "soundstage up" in capsys.readouterr().err


def test_a_page_follows_what_happens_to_machines(server: RealServer, two_members: list[str]) -> None:
    headers = {"Last-Event-ID": "0", **server.headers}
    with httpx.stream(
        "GET", f"{server.url}/api/events", headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as events:
        seen = set()
        for line in events.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                seen |= {event["data"]["name"]} if event["kind"] == "machine.enrolled" else set()
            if seen >= set(two_members):
                break


def test_a_call_home_key_opens_the_call_alone(server: RealServer, prompt: Any) -> None:
    code, key = prompt("machines", "call-home-key", "--name", "rack 2")
    with httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {key.strip()}"}, trust_env=False
    ) as machine:
        called = machine.post("/api/ready-for-provisioning", json={"hostname": "rack2-n1", "ip": "10.0.0.12"})
        assert (code, called.status_code, called.json()["status"]) == (0, 202, "discovered")
        assert machine.get("/api/machines").status_code == 403
