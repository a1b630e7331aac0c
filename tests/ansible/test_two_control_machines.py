"""Two control machines run the studio on one database and one bucket: the one that leads loses its link, and
then its power.

The tests run in the order of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle

import pytest
from control_machines_in_lab import (
    BUCKET,
    MACHINES,
    STATE,
    STORE,
    STUDIOS,
    RenderInLab,
    Studio,
    ask_for_video,
    call_home,
    find_loss,
    leader,
    machine_at,
    objects,
    provisioning,
    query,
)
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM
from numbered_writers import Repeated
from studio_in_lab import eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM),
]
GOAL_S = 30
SCENES = 6
SERVER = "command = /bin/sleep, gpus = 0"
PRESENTER = "{id: olga, name: Olga, face: {kind: rig, character: vera}}\n"
RECEIVER = """
import http.server
class Calls(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/calls", "ab") as file:
            file.write(body + bytes([10]))
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9900), Calls).serve_forever()
"""
# A run of Ansible that goes on for as long as the drill wants.
PROJECT = "/opt/soundstage/provisioning/current/project"
WAITING = """
- hosts: all
  gather_facts: false
  tasks:
    - {name: Begin, ansible.builtin.shell: echo begun >> /root/runs}
    - {name: Wait, ansible.builtin.wait_for: {path: /root/go, timeout: 600}}
    - {name: End, ansible.builtin.shell: echo ended >> /root/runs}
"""
# Lets the API's Ansible in, beside the farm's.
TRUST = 'echo "$0" >> /etc/ssh/soundstage_user_ca.pub; echo root >> /etc/ssh/principals/root'
RUNS = """
SELECT id, state, coalesce(retry_of, ''), cause <> '' AND hint <> '' FROM runs
WHERE playbook = 'waiting.yaml' ORDER BY created_at
"""
# All that a restored database must hold again. Not events and traces: the studio goes on to write them.
ROWS = "SELECT id, state, spec_hash, finished_at FROM renders ORDER BY id"


@pytest.fixture(scope="module")
def farm(control_farm: LabFarm) -> LabFarm:
    return control_farm


@pytest.fixture(scope="module")
def first_run(control_run: Run) -> Run:
    return control_run


def test_both_machines_answer_on_one_database_and_one_name(farm: LabFarm, first_run: Run) -> None:
    assert all(first_run.count(machine, "failed") == 0 for machine in MACHINES)
    first, second = (Studio(farm, machine) for machine in STUDIOS)
    first.call("POST", "/api/projects", {"title": "Harbour"})
    assert second.call("GET", "/api/projects/harbour")["title"] == "Harbour"
    named = farm.on("control-3", "getent", "ahostsv4", "agent.service.consul").stdout.split()
    assert {MACHINES[machine] for machine in STUDIOS} <= set(named)
    keys = {farm.on(one, "sha256sum", f"{STATE}/seal.key", f"{STATE}/audit.key").stdout for one in STUDIOS}
    assert len(keys) == 1, "what one has encrypted the other can open"
    assert leader(farm) in STUDIOS


def test_the_database_takes_services_of_its_clients_alone(farm: LabFarm, first_run: Run) -> None:
    address = "host=10.77.0.13 user=soundstage dbname=soundstage connect_timeout=10"
    keyed = f"{address} passfile=/etc/soundstage/postgresql/soundstage.pgpass"
    refused = farm.on("control-3", "psql", "-wc", "SELECT 1", f"{keyed} sslmode=require")
    assert "no pg_hba.conf entry" in refused.stderr, "control-3 runs no studio"
    plain = farm.on(
        "control-3", "psql", "-wc", "SELECT 1", f"{keyed} sslmode=disable".replace("10.77.0.13", "127.0.0.1")
    )
    assert "no pg_hba.conf entry" in plain.stderr and "no encryption" in plain.stderr


def test_a_second_run_changes_nothing(farm: LabFarm, first_run: Run) -> None:
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]
    output = first_run.output + again.output
    for name in ("postgresql/soundstage.password", "object-storage/secret.key", "agent/keys/seal.key"):
        assert farm.secret(name) not in output, name


def test_a_presenter_of_one_machine_is_drawn_by_the_other(farm: LabFarm, first_run: Run) -> None:
    first, second = (Studio(farm, machine) for machine in STUDIOS)
    write = f'umask 077; printf %s "$0" | install -o soundstage-agent /dev/stdin {STATE}/personas/olga.yaml'
    done = farm.on(
        first.machine, "sh", "-ec", f"install -d -o soundstage-agent {STATE}/personas; {write}", PRESENTER
    )
    assert done.returncode == 0, done.stderr
    eventually(lambda: "olga" in {one["id"] for one in second.call("GET", "/api/personas")}, "Olga there")
    order = {"persona": "olga", "script": "The tide comes in.", "canvas": {"width": 320, "height": 180}}
    RenderInLab(second, second.call("POST", "/api/renders", order)["id"]).wait_for_video()
    second.call("PATCH", "/api/personas/olga", {"name": "Olga Berg"})
    eventually(lambda: first.call("GET", "/api/personas/olga")["name"] == "Olga Berg", "her new name")
    assert second.call("DELETE", "/api/personas/olga")["applied"]
    eventually(lambda: "olga" not in {one["id"] for one in first.call("GET", "/api/personas")}, "her end")


def wait_for_leader(farm: LabFarm, machine: str, since: datetime) -> float:
    """Returns the seconds until the process of that machine led."""
    eventually(lambda: leader(farm) == machine, f"{machine} to lead")
    return (datetime.now(UTC) - since).total_seconds()


def test_rows_and_files_are_whole_after_the_link_of_the_leader_was_cut(
    farm: LabFarm, first_run: Run, record_property: Callable[[str, object], None]
) -> None:
    lost = leader(farm)
    survivor = Studio(farm, next(one for one in STUDIOS if one != lost))
    at_lost = ask_for_video(Studio(farm, lost), "Link", SCENES)
    at_lost.wait_for_scene()
    farm.lab.inject_fault(lost, "network")
    cut_at = datetime.now(UTC)
    render = at_lost.at(survivor)
    before = render.attempts()
    assert 0 < len(before) < SCENES, "the link was cut in mid-render"
    led_s = wait_for_leader(farm, survivor.machine, cut_at)
    video = render.wait_for_video()
    ended_s = (datetime.now(UTC) - cut_at).total_seconds()
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    files = render.files()
    assert files == {one["role"]: one["sha256"].removeprefix("sha256:") for one in video["outputs"]}
    assert {"video", "vtt", "srt", "poster", "provenance"} <= set(files)

    farm.lab.clear_fault(lost)
    back = Studio(farm, lost)
    eventually(back.answers, "the machine that was cut off")
    # It has ended itself, and takes nothing back.
    assert leader(farm) == survivor.machine
    assert at_lost.get()["state"] == "done" and at_lost.files() == files
    assert [state for state, _ in at_lost.moves()].count("done") == 1
    loss = find_loss(farm)
    assert loss.is_none, loss
    record_property("led_s", round(led_s, 1))
    print(
        f"The link of {lost} was cut after {len(before)} of {SCENES} scenes. {survivor.machine} led after "
        f"{led_s:.1f} s and had the video after {ended_s:.1f} s. Lost: nothing; "
        f"{len(loss.unreferenced)} files that no row names; scenes drawn more than once: "
        f"{sum(count > 1 for count in after.values())}."
    )


def test_rows_and_files_come_back_from_a_copy(farm: LabFarm, first_run: Run) -> None:
    studio = Studio(farm, STUDIOS[0])
    render = ask_for_video(studio, "Copy", 1)
    render.wait_for_video()
    files = render.files()
    farm.converge("--tags", "backup", "--limit", STORE, backup__blobs="all")
    took = farm.on(STORE, "soundstage-backup", "take")
    parts = "postgresql-soundstage, postgresql-provisioning, objects"
    assert took.returncode == 0 and parts in took.stdout, took
    rows, held = query(farm, ROWS), objects(farm)

    query(farm, "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION soundstage")
    assert farm.on(STORE, "sh", "-c", f"rm -rf {BUCKET}/*").returncode == 0
    done = farm.on(STORE, "soundstage-backup", "restore", "newest", "postgresql-soundstage", "objects")
    assert done.returncode == 0, done.stderr

    eventually(lambda: all(Studio(farm, one).answers() for one in STUDIOS), "the studios to start anew")
    eventually(lambda: leader(farm) in STUDIOS, "a leader")
    assert query(farm, ROWS) == rows and objects(farm) == held
    for machine in STUDIOS:
        assert render.at(Studio(farm, machine)).files() == files
    verdict = studio.call("GET", "/api/audit/verdict")
    assert verdict["lines"] and verdict["code"] == "", verdict
    ask_for_video(studio, "After the copy", 1).wait_for_video()
    assert find_loss(farm).is_none


def test_the_other_goes_on_when_the_leader_loses_its_power_in_mid_render(
    farm: LabFarm, first_run: Run, record_property: Callable[[str, object], None]
) -> None:
    lost = leader(farm)
    survivor = Studio(farm, next(one for one in STUDIOS if one != lost))
    for machine in STUDIOS:
        started = farm.on(machine, "systemd-run", "--unit=calls", "python3", "-c", RECEIVER)
        assert started.returncode == 0, started.stderr
    active = Studio(farm, lost)
    active.call("POST", "/api/webhooks", {"url": "http://127.0.0.1:9900/"})
    active.call("POST", "/api/chat", {"message": f"deploy the job tts with {SERVER}"})
    (waiting,) = active.call("GET", "/api/approvals?state=pending")
    at_lost = ask_for_video(active, "Tide", SCENES)
    at_lost.wait_for_scene()
    farm.lab.power_off(lost)
    lost_at = datetime.now(UTC)
    render = at_lost.at(survivor)
    before = render.attempts()
    assert 0 < len(before) < SCENES, "the power was lost in mid-render"
    led_s = wait_for_leader(farm, survivor.machine, lost_at)
    render.wait_for_video()
    ended_s = (datetime.now(UTC) - lost_at).total_seconds()
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    moves = [one for one in survivor.events(f"/api/renders/{render.id}/events") if one["data"].get("why")]
    [taken_over] = [one for one in moves if one["data"]["why"] == "the server was restarted"]
    takeover_s = (datetime.fromisoformat(taken_over["at"]) - lost_at).total_seconds()
    record_property("takeover_s", round(takeover_s, 1))
    print(f"{lost} lost its power after {len(before)} of {SCENES} scenes.")
    print(
        f"{survivor.machine} led {led_s:.1f} s later, went on {takeover_s:.1f} s later, "
        f"and had the video after {ended_s:.1f} s."
    )
    assert takeover_s < GOAL_S
    # Workers use signed addresses of the bucket.
    assert survivor.files_by_way().keys() == {"bucket"}
    assert survivor.call("GET", f"/api/approvals/{waiting['id']}")["state"] == "pending"
    eventually(lambda: render.id in farm.on(survivor.machine, "cat", "/run/calls").stdout, "the call home")
    called = {"hostname": "new", "ip": "10.77.0.77"}
    provisioning(farm, survivor.machine, "POST", "/api/ready-for-provisioning", called)
    accepted = provisioning(farm, survivor.machine, "POST", "/api/machines/new/accept", {})
    assert accepted["state"] == "accepted", accepted
    farm.lab.power_on(lost)
    eventually(active.answers, "the machine that was off")
    assert at_lost.files() == render.files() and find_loss(farm).is_none
    assert eventually(lambda: machine_at(farm, lost), "its provisioning API")["state"] == "accepted"


def runs(farm: LabFarm) -> list[list[str]]:
    """Returns id, state, the run that it repeats, and whether cause and hint are there, the oldest first."""
    return query(farm, RUNS, "provisioning")


def test_a_run_of_ansible_and_calls_home_outlive_the_machine_that_drives_them(
    farm: LabFarm, first_run: Run, record_property: Callable[[str, object], None]
) -> None:
    """New machines call home all the time, each until somebody answers."""
    lost = eventually(lambda: leader(farm, name="runs", database="provisioning"), "who drives runs")
    survivor = next(one for one in STUDIOS if one != lost)
    for machine in STUDIOS:
        placed = farm.on(machine, "sh", "-ec", f'echo "$0" > {PROJECT}/waiting.yaml', WAITING)
        assert placed.returncode == 0, placed.stderr
    shared = provisioning(farm, lost, "GET", "/api/inventory")["all"]["vars"]
    (trusted,) = shared["ssh_hardening__also_trusted"]
    assert farm.on(STORE, "sh", "-ec", TRUST, trusted["authority"]).returncode == 0
    assert call_home(farm, lost, STORE, MACHINES[STORE])
    provisioning(farm, lost, "POST", f"/api/machines/{STORE}/accept", {})
    provisioning(farm, lost, "POST", f"/api/machines/{STORE}/pin", {})
    eventually(lambda: "begun" in farm.on(STORE, "cat", "/root/runs").stdout, "the run on the machine")
    ((first, state, _, _),) = runs(farm)
    assert state == "running"

    def call(number: int) -> None:
        for at in cycle((lost, survivor)):
            if call_home(farm, at, f"late-{number}", f"10.78.{number // 200}.{number % 200 + 1}"):
                return

    with Repeated(call) as calls:
        eventually(lambda: calls.done, "a call home")
        before = max(calls.done)
        farm.lab.power_off(lost)
        lost_at = datetime.now(UTC)
        eventually(lambda: max(calls.done) > before + 1, "calls at the other machine")
        eventually(lambda: len(runs(farm)) > 1, "the run once more")
        resumed_s = (datetime.now(UTC) - lost_at).total_seconds()
    ((_, state, _, explained), (second, _, repeats, _)) = runs(farm)
    assert (state, explained, repeats) == ("lost", "t", first)
    eventually(lambda: farm.on(STORE, "cat", "/root/runs").stdout.count("begun") == 2, "its begin")
    assert farm.on(STORE, "touch", "/root/go").returncode == 0
    eventually(lambda: runs(farm)[1][1] == "succeeded", "the end of the run")
    ended_s = (datetime.now(UTC) - lost_at).total_seconds()
    record_property("resumed_s", round(resumed_s, 1))
    print(
        f"{lost} lost its power with a run of Ansible in flight and calls home. The run was taken"
        f" up again after {resumed_s:.1f} s, and had ended after {ended_s:.1f} s. Machines called"
        f" {len(calls.done)} times, the longest time until one was answered was {calls.longest_s:.1f} s."
    )
    farm.lab.power_on(lost)
    eventually(lambda: machine_at(farm, lost, STORE), "its provisioning API")
    counted = query(
        farm, "SELECT name, count(*) FROM machines WHERE name LIKE 'late-%' GROUP BY 1", "provisioning"
    )
    assert sorted(counted) == sorted([f"late-{number}", "1"] for number in calls.done)
    assert machine_at(farm, lost, STORE)["state"] == "ready"
    assert [one[:2] for one in runs(farm)] == [[first, "lost"], [second, "succeeded"]], "nothing runs again"
    assert farm.on(STORE, "cat", "/root/runs").stdout.split() == ["begun", "begun", "ended"]
    distrust = "sed -si '$d' /etc/ssh/soundstage_user_ca.pub /etc/ssh/principals/root"
    assert farm.on(STORE, "sh", "-ec", distrust).returncode == 0
