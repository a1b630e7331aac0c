"""A farm with a LiveKit server and a voice worker on another machine: the studio brings both together.

The tests share the machines and run in the order of this file. The program is packed with the extra `voice`,
for which some hundred MB are downloaded once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_in_lab import ADDRESS, AGENT, MACHINE, authority, packed_program
from farm_in_lab import EGRESS_CLOSED, Carried, LabFarm
from journey_inputs import FARM, PROGRAM
from studio_in_lab import eventually

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM, "tools/livekit", "tests/servers/room_talk.py"),
]
HEARS = "cpu-1"
PERSON = Path(__file__).parents[1] / "servers" / "room_talk.py"
QUESTION = "what videos do i have"
NOMAD = f"https://{ADDRESS}:4646"
SKIPPED = "models,gpu,docker,backup,health,logs,boot,provisioning"
GROUPS = {
    "control": [MACHINE],
    "livekit": [MACHINE],
    "monitoring": [MACHINE],
    "workers": [HEARS],
    "voice": [HEARS],
}


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder = tmp_path_factory.mktemp("voice")
    program = packed_program(folder, extras=("voice",))
    lab = lab_names("voice")
    lab.up(machines_named([MACHINE, HEARS]), groups=GROUPS, layers=[baked_layer])
    of_agent = {"farm__agent": MACHINE, "agent__tls_port": 8443, "nomad__gpu_plugin": False}
    groups = {"workers": EGRESS_CLOSED}
    created = LabFarm(lab, folder / "farm", engines, carried | program, groups, variables=of_agent)
    created.converge("--skip-tags", SKIPPED)
    return created


def call(farm: LabFarm, path: str, body: dict[str, Any] | None = None) -> Any:
    """Asks the studio with the administrator's key, from the lab's network."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--noproxy", "*"]
    command += ["--cacert", str(authority(farm)), "--header", "@-"]
    command += [] if body is None else ["--json", json.dumps(body)]
    key = f"Authorization: Bearer {farm.secret('agent/admin.key')}\n"
    done = subprocess.run(
        farm.lab.entering([*command, f"{AGENT}{path}"]), input=key, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def allocations(farm: LabFarm) -> list[dict[str, Any]]:
    token = farm.secret("nomad/management.token")
    found = farm.json(f"{NOMAD}/v1/job/voice/allocations", "X-Nomad-Token", token)
    return [one for one in found or [] if one["ClientStatus"] == "running"]


def test_the_studio_has_the_worker_of_the_other_machine_and_the_transport_livekit(farm: LabFarm) -> None:
    status = eventually(
        lambda: found if (found := call(farm, "/api/voice/status"))["workers"] else None, "a worker"
    )
    assert (status["workers"], "livekit" in status["transports"]) == (1, True)
    assert [one["NodeName"] for one in allocations(farm)] == [HEARS]


def test_a_person_asks_in_a_room_and_is_answered_by_the_worker_of_the_other_machine(farm: LabFarm) -> None:
    # The worker joins over TLS by the farm's authority; sound goes between it and the room.
    session = call(farm, "/api/voice/session", {"agent_id": "nova", "transport": "livekit", "video": True})
    assert session["url"] == f"wss://{ADDRESS}:7880"
    trust = [f"SSL_CERT_FILE={farm.secrets / 'tls' / 'ca.pem'}"]
    person = ["env", *trust, sys.executable, str(PERSON), session["url"], session["token"], QUESTION]
    done = subprocess.run(farm.lab.entering(person), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    print(f"first sound after {answer['first_sound_s']} s")
    assert answer["transcript"] == [QUESTION] and answer["captions"] and answer["sounds"] > 3
    # The worker's machine has the avatar program, too, and draws the presenter.
    print(f"{answer['pictures']} pictures of the presenter")
    assert answer["errors"] == [] and answer["pictures"] > 25
    turns = call(farm, f"/api/chat/sessions/{session['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == [QUESTION]


def test_a_killed_worker_comes_back(farm: LabFarm) -> None:
    (before,) = allocations(farm)
    farm.on(HEARS, "pkill", "--signal", "KILL", "--full", "app.voice_worker")

    def is_back() -> bool:
        states = [one["TaskStates"]["worker"] for one in allocations(farm) if one["ID"] == before["ID"]]
        again = [one for one in states if one["State"] == "running" and one["Restarts"] == 1]
        return bool(again) and call(farm, "/api/voice/status")["workers"] == 1

    eventually(is_back, "the worker to connect again")


def test_prometheus_reads_livekit_and_consul_calls_it_healthy(farm: LabFarm) -> None:
    token = farm.secret("consul/management.token")
    url = f"https://{ADDRESS}:8501/v1/health/service/livekit?passing"
    assert len(farm.json(url, "X-Consul-Token", token)) == 1

    def is_up() -> bool:
        query = "http://127.0.0.1:9090/api/v1/query?query=up{job=%22livekit%22}"
        done = farm.on(MACHINE, "curl", "--silent", "--globoff", "--noproxy", "*", query)
        return [
            one["value"][1] for one in json.loads(done.stdout or "{}").get("data", {}).get("result", [])
        ] == ["1"]

    eventually(is_up, "Prometheus to read it")


def test_a_second_run_changes_nothing(farm: LabFarm) -> None:
    assert farm.converge("--skip-tags", SKIPPED).changed() == 0
