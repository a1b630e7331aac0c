"""`soundstage machines` and `soundstage runs` at the prompt, against the real process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S
from real_server import RealServer
from redfish_emulator import SYSTEM
from test_runs import FAILS_ON, OK
from test_server import FROM_HERE

from app.cli.main import run_cli
from provisioning_api.flood.faults import plan_fleet
from provisioning_api.flood.fleet import Fleet, fleet_client


@pytest.fixture
def prompt(
    server: RealServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Any:
    """Calls the program; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", server.url)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run_cli(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


@pytest.fixture
def two_members(server: RealServer) -> list[str]:
    """Simulated machines that enrolled; nothing answers at their addresses."""
    httpx.patch(
        f"{server.url}/api/rules/any-machine-on-this-network",
        json=FROM_HERE,
        timeout=PATIENCE_S,
        trust_env=False,
    ).raise_for_status()
    ca = httpx.get(f"{server.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text

    async def live() -> None:
        async with fleet_client(server.tls_url, ca) as client:
            await Fleet(client).live(plan_fleet(2, 1, faulty=0, spread_s=0))

    asyncio.run(live())
    found = httpx.get(f"{server.url}/api/machines", timeout=PATIENCE_S, trust_env=False).json()
    return [machine["name"] for machine in found]


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
    assert code == 0 and "on" in out


def test_without_a_server_the_prompt_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", "http://127.0.0.1:1")
    assert run_cli(["machines", "list"]) == 1
    assert "soundstage up" in capsys.readouterr().err


def test_a_page_follows_what_happens_to_machines(server: RealServer, two_members: list[str]) -> None:
    headers = {"Last-Event-ID": "0"}
    with httpx.stream(
        "GET", f"{server.url}/api/events", headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as events:
        seen = set()
        for line in events.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                seen |= {event["data"]["name"]} if event["kind"] == "machine.enrolled" else set()
            if seen == set(two_members):
                break
