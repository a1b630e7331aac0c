"""The alerts that read the studio's own metrics, on a farm of the lab: each comes by its fault through
Prometheus and Alertmanager to a webhook.

The tests share two machines and run in the order of this file: Prometheus looks back 15 minutes for renders
that ended, so the one without any is the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from agent_in_lab import MACHINE, of_the_agent, packed_program
from control_machines_in_lab import STATE, Studio, ask_for_video
from farm_in_lab import Carried, LabFarm
from journey_inputs import FARM, PROGRAM
from monitored_farm import PORT, Prometheus, Receiver, quick_monitoring
from studio_in_lab import PATIENCE_S, PERSONA, eventually

from lab.cards.catalogue import read_gpus
from lab.cards.machine_view import read_card_file, write_card_file
from lab.farm_in_a_box import Lab
from lab.inventory import OF_ROLES
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers/alert_receiver.py", "tests/servers/slow_speech.py"),
]
WORKERS = {"cpu-1", "gpu-1"}
NOMAD = "https://10.77.0.11:4646"
QUICKLY = (
    *("RendersStuck", "LeaseAboveMemory", "ApiErrors", "ApprovalWaits", "AuditChainBroken"),
    "FirstSoundLate",
)
LASTING = {"Watchdog", "AuditChainBroken", "FirstSoundLate"}
"""They outlive the test of their fault."""
SPEECH_PORT = 8091
SPEECH = Path(__file__).parents[1] / "servers" / "slow_speech.py"
SPEECH_URL = f"http://127.0.0.1:{SPEECH_PORT}"
SLOW_PERSONA = f"""
id: late
name: Late
face: {{kind: rig, character: nova}}
voice: {{kind: openai, base_url: '{SPEECH_URL}'}}
"""
LEFT_OUT = ("--skip-tags", "models,docker,health,logs")
# Of a whole card no lease is larger than the card.
SHARED = {
    "nomad__node_pool": "gpu-shared",
    "nomad__gpu_plugin_config": {**OF_ROLES["nomad__gpu_plugin_config"], "share_mib": 1024},
}
DATABASE = f"{STATE}/soundstage.db"
BACKDATE = "UPDATE approvals SET created_at = datetime(created_at, '-2 hours')"
TAMPER = "UPDATE audit_lines SET actor = 'Eve' WHERE number = 1"
LOSE = "ALTER TABLE publications RENAME TO lost"
FIND = "ALTER TABLE lost RENAME TO publications"


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder = tmp_path_factory.mktemp("alerts")
    program, lab = packed_program(folder), lab_names("alerts")
    groups = {"control": [MACHINE], "agent": [MACHINE], "monitoring": [MACHINE], "workers": sorted(WORKERS)}
    machines = machines_named([MACHINE, *groups["workers"]], read_gpus("0,0,rtx-4090"))
    lab.up(machines, groups={**groups, "gpu": ["gpu-1"]}, layers=[baked_layer])
    of_control = {
        **of_the_agent("exec"),
        "bootstrap_agent__jobs": [],
        "bootstrap_agent__questions": [],
        "agent__extra": f'[services.tts_openai]\nbase_url = "{SPEECH_URL}"',
        **quick_monitoring({name: {"for": "4s"} for name in QUICKLY}),
    }
    built = LabFarm(
        lab,
        folder / "farm",
        engines,
        carried | program,
        {"control": of_control, "gpu": SHARED},
    )
    built.converge(*LEFT_OUT)
    return built


@pytest.fixture(scope="module")
def studio(farm: LabFarm) -> Studio:
    """With a presenter whose face wants a card of 16 GiB, and one whose voice is late."""
    for name, persona in (("grand", PERSONA), ("late", SLOW_PERSONA)):
        path = f"{STATE}/personas/{name}.yaml"
        write = f'install -d -o soundstage-agent {STATE}/personas && printf %s "$0" > {path}'
        done = farm.on(MACHINE, "sh", "-ec", write, persona)
        assert done.returncode == 0, done.stderr
    return Studio(farm, MACHINE)


@pytest.fixture(scope="module")
def receiver(farm: LabFarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    opened = Receiver(farm.lab, tmp_path_factory.mktemp("receiver"), PORT)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _well_before_and_after(farm: LabFarm, receiver: Receiver) -> Iterator[None]:
    """Waits for the studio's metrics. Of the alerts of the tests before only `LASTING` may fire."""
    prometheus = Prometheus(farm)
    eventually(lambda: ("studio", MACHINE, "1") in prometheus.up(), "Prometheus to read the studio")
    assert {name for name, _ in prometheus.firing()} <= LASTING
    yield


def change(farm: LabFarm, statement: str) -> None:
    """Changes the studio's database behind its back."""
    program = (
        f"import sqlite3; c = sqlite3.connect({DATABASE!r}, timeout=20); c.execute({statement!r}); c.commit()"
    )
    done = farm.on(MACHINE, "runuser", "-u", "soundstage-agent", "--", "/usr/bin/python3", "-c", program)
    assert done.returncode == 0, done.stderr


def wait_for_end(farm: LabFarm, name: str) -> None:
    prometheus = Prometheus(farm)
    eventually(lambda: name not in {one for one, _ in prometheus.firing()}, f"the end of {name}")


def let_work(farm: LabFarm, eligibility: str) -> None:
    token = ("X-Nomad-Token", farm.secret("nomad/management.token"))
    for node in farm.json(f"{NOMAD}/v1/nodes", *token):
        if node["Name"] in WORKERS:
            url = f"{NOMAD}/v1/node/{node['ID']}/eligibility"
            body = json.dumps({"Eligibility": eligibility})
            done = farm.ask(url, *token, "--request", "POST", "--data", body)
            assert done.returncode == 0, done.stderr


def health_of_alerts(studio: Studio) -> str:
    """Returns what the health of the installation says of alerts."""
    checks = studio.call("GET", "/api/health/installation")["checks"]
    return next(str(one["found"]) for one in checks if one["name"] == "alerts")


def test_renders_that_no_node_may_take(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    let_work(farm, "ineligible")
    render = ask_for_video(studio, "Nobody takes it", 1)
    alert = receiver.wait_for("RendersStuck", PATIENCE_S)
    assert alert["labels"]["severity"] == "page"
    eventually(lambda: alert["annotations"]["summary"] in health_of_alerts(studio), "the health of the farm")
    let_work(farm, "eligible")
    render.wait_for_video()
    wait_for_end(farm, "RendersStuck")
    eventually(lambda: health_of_alerts(studio) == "none fires", "the health of the farm")


def test_a_card_that_is_smaller_than_its_leases(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    paths = farm.lab.paths.machine("gpu-1")
    cards = read_card_file(paths)
    slug = studio.call("POST", "/api/projects", {"title": "Large", "persona": "grand"})["slug"]
    script = " ".join(["This sentence is drawn on a large card, which is exchanged meanwhile."] * 20)
    studio.call("POST", f"/api/projects/{slug}/scenes", {"script": script})
    render = studio.call("POST", "/api/renders", {"project": slug})["id"]

    def progress() -> dict[str, Any]:
        return dict(studio.call("GET", f"/api/renders/{render}")["progress"])

    # A lease alone may still be given back: Nomad places no task on a card that is too small by then.
    eventually(lambda: progress()["frames_done"], "the first frames on the card")
    write_card_file(paths, [{**card, "memory_mib": 8192} for card in cards])
    alert = receiver.wait_for("LeaseAboveMemory", PATIENCE_S)
    assert (alert["labels"]["node"], alert["labels"]["card"]) == ("gpu-1", cards[0]["uuid"])
    write_card_file(paths, cards)
    eventually(lambda: studio.call("GET", f"/api/renders/{render}")["state"] == "done", "the video")
    wait_for_end(farm, "LeaseAboveMemory")


def test_an_approval_that_waits_for_hours(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    studio.call("POST", "/api/chat", {"message": "deploy the job tts with command = /bin/sleep, gpus = 0"})
    (waiting,) = studio.call("GET", "/api/approvals?state=pending")
    change(farm, BACKDATE)
    receiver.wait_for("ApprovalWaits", PATIENCE_S)
    studio.call("POST", f"/api/approvals/{waiting['id']}/deny", {})
    wait_for_end(farm, "ApprovalWaits")


def test_an_audit_log_that_was_changed(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    change(farm, TAMPER)
    # It is checked a minute after each start, and each hour.
    assert farm.on(MACHINE, "pkill", "-u", "soundstage-agent").returncode == 0
    receiver.wait_for("AuditChainBroken", PATIENCE_S)


def test_a_voice_that_is_late(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    program = ["/usr/bin/python3", "-c", SPEECH.read_text(), str(SPEECH_PORT), "2"]
    for machine in WORKERS:
        done = farm.on(machine, "systemd-run", "--unit=slow-speech", *program)
        assert done.returncode == 0, done.stderr
    session = studio.call("POST", "/api/session", {"personaId": "late"})["sessionId"]
    numbers = count(1)

    def speak() -> list[dict[str, Any]]:
        # A sentence that was said before is not made anew.
        message = {"message": f"show me render nosuch{next(numbers)}"}
        answer = studio.call("POST", f"/api/session/{session}/message", message)
        assert answer["audio"], answer
        return receiver.alerts("FirstSoundLate")

    (alert, *_) = eventually(speak, "the alert FirstSoundLate")
    assert alert["labels"]["severity"] == "ticket"
    for machine in WORKERS:
        assert farm.on(machine, "systemctl", "stop", "slow-speech").returncode == 0


def test_requests_that_fail(farm: LabFarm, studio: Studio, receiver: Receiver) -> None:
    change(farm, LOSE)

    def fail() -> list[dict[str, Any]]:
        # Prometheus counts what comes after its first look at a series.
        for _ in range(10):
            with pytest.raises(AssertionError, match=r"/api/publications: .*503"):
                studio.call("GET", "/api/publications")
        return receiver.alerts("ApiErrors")

    (alert, *_) = eventually(fail, "the alert ApiErrors")
    assert alert["labels"]["job"] == "studio"
    change(farm, FIND)
    studio.call("GET", "/api/publications")
