"""Drills on three control machines while a video is made: what fails, for how long, and what is lost.

The farm is that of test_two_control_machines.py; each drill leaves it as it was.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from control_machines_in_lab import (
    MACHINES,
    STORE,
    STUDIOS,
    Loss,
    RenderInLab,
    Studio,
    ask_for_video,
    find_loss,
    leader,
    query,
)
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM
from studio_in_lab import eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM),
]
SCENES = 10
FAULT_S = 20
ENGINES = {"nomad": ("4646", "X-Nomad-Token"), "consul": ("8501", "X-Consul-Token")}
# What servers of Nomad and Consul say to each other: their HTTP APIs and all else stay as they are.
BETWEEN_SERVERS = "{ 4647, 4648, 8300, 8301, 8302 }"
PARTITION = f"""
table inet drill {{
  chain in {{
    type filter hook input priority -50
    iif "lo" accept
    meta l4proto {{ tcp, udp }} th dport {BETWEEN_SERVERS} drop
    meta l4proto {{ tcp, udp }} th sport {BETWEEN_SERVERS} drop
  }}
  chain out {{
    type filter hook output priority -50
    oif "lo" accept
    meta l4proto {{ tcp, udp }} th dport {BETWEEN_SERVERS} drop
    meta l4proto {{ tcp, udp }} th sport {BETWEEN_SERVERS} drop
  }}
}}
"""


def a_picture() -> bytes:
    """Returns 3 MiB that begin as a PNG, never the same twice."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(3 << 20)


@pytest.fixture(scope="module")
def farm(control_farm: LabFarm, control_run: Run) -> LabFarm:
    return control_farm


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yields what returns the seconds since the block began."""
    began = time.monotonic()
    yield lambda: time.monotonic() - began


class Drill:
    """A video in work at the machine that leads. `end` waits for it and compares rows with files."""

    def __init__(self, farm: LabFarm, title: str) -> None:
        eventually(lambda: leader(farm) in STUDIOS, "a leader")
        self.farm = farm
        self.machine = leader(farm)
        self.studio = Studio(farm, self.machine)
        self.other = Studio(farm, next(one for one in STUDIOS if one != self.machine))
        self.render: RenderInLab = ask_for_video(self.studio, title, SCENES)
        self.before = self.render.wait_for_scene()
        assert len(self.before) < SCENES, "the fault comes in mid-render"

    def end(self, what: str, at: Studio | None = None, may_fail: tuple[str, ...] = ()) -> Loss:
        """Prints what was lost, which must be nothing: neither rows, nor files, nor finished scenes.

        `may_fail`: codes with which the render may end before it is retried.
        """
        render = self.render.at(at or self.studio)
        with stopwatch() as seconds:
            render.wait_for_end()
            if (error := render.get()["error"]) is not None:
                # The render said why it ended; what is finished stays.
                assert error["code"] in may_fail, error
                what += f" The render ended with {error['code']} and was retried."
                render.studio.call("POST", f"/api/renders/{render.id}/retry")
            render.wait_for_video()
            waited = seconds()
        after, files, loss = render.attempts(), render.files(), find_loss(self.farm)
        assert len(after) == SCENES and after.items() >= self.before.items(), (
            "a finished scene is drawn again"
        )
        assert {"video", "vtt", "poster", "provenance"} <= set(files)
        assert [state for state, _ in render.moves()].count("done") == 1
        assert loss.is_none, loss
        again = sum(count > 1 for count in after.values())
        print(
            f"\n{what} The video was there {waited:.0f} s later. Lost: nothing; scenes begun anew: {again}; "
            f"files that no row names: {len(loss.unreferenced)}."
        )
        return loss


def call(farm: LabFarm, engine: str, machine: str, path: str, *more: str) -> Any:
    """Returns the answer of an engine on that machine to the operator; None for an error or none."""
    port, header = ENGINES[engine]
    token = farm.secret(f"{engine}/management.token")
    done = farm.ask(f"https://{MACHINES[machine]}:{port}{path}", header, token, *more)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def leader_of(farm: LabFarm, engine: str, at: str) -> str:
    """Returns the machine whose server leads, as the server of the machine `at` sees it; empty for none."""
    found = str(call(farm, engine, at, "/v1/status/leader") or "").partition(":")[0]
    return next((name for name, address in MACHINES.items() if address == found), "")


def let_lead(farm: LabFarm, engine: str, machine: str) -> None:
    """Gives the leadership of an engine to a machine's server."""

    def try_it() -> bool:
        current = leader_of(farm, engine, machine)
        if current == machine:
            return True
        if current:
            raft = call(farm, engine, machine, "/v1/operator/raft/configuration") or {"Servers": []}
            ids = [one["ID"] for one in raft["Servers"] if one["Address"].startswith(f"{MACHINES[machine]}:")]
            transfer = "transfer-leadership" if engine == "nomad" else "transfer-leader"
            call(farm, engine, current, f"/v1/operator/raft/{transfer}?id={ids[0]}", "--request", "POST")
        return False

    eventually(try_it, f"{machine} to lead {engine}")


def leads(farm: LabFarm, engine: str, machine: str) -> bool:
    """Returns whether the server of a machine leads, by its own word: others ask the one that is gone."""
    found = call(farm, engine, machine, "/v1/agent/self") or {}
    stats = found.get("stats") or found.get("Stats") or {"raft": {}}
    return bool(stats["raft"].get("state") == "Leader")


def wait_for_other_leaders(farm: LabFarm, lost: str, *engines: str) -> dict[str, tuple[str, float]]:
    """Returns by engine which server leads after `lost`, and after how many seconds."""
    elected: dict[str, tuple[str, float]] = {}
    with stopwatch() as seconds:

        def all_elected() -> bool:
            for engine in engines:
                for machine in MACHINES:
                    if engine not in elected and machine != lost and leads(farm, engine, machine):
                        elected[engine] = machine, seconds()
            return len(elected) == len(engines)

        eventually(all_elected, f"leaders of {', '.join(engines)}")
    return elected


def wait_until_servers_agree(farm: LabFarm) -> None:
    for engine in ENGINES:

        def leaders(engine: str = engine) -> set[str]:
            return {leader_of(farm, engine, machine) for machine in MACHINES}

        eventually(lambda: len(leaders()) == 1 and "" not in leaders(), f"one leader of {engine}")


@pytest.mark.parametrize("engine", list(ENGINES))
def test_the_leading_server_is_killed_on_the_machine_of_the_leading_studio(
    farm: LabFarm, engine: str
) -> None:
    drill = Drill(farm, f"Killed {engine}")
    let_lead(farm, engine, drill.machine)
    # Killed, and not started by systemd before another one leads.
    kill = f"systemctl kill --kill-whom=main --signal=KILL {engine} && systemctl stop {engine}"
    assert farm.on(drill.machine, "sh", "-c", kill).returncode == 0
    try:
        elected, seconds = wait_for_other_leaders(farm, drill.machine, engine)[engine]
    finally:
        assert farm.on(drill.machine, "systemctl", "start", engine).returncode == 0
    wait_until_servers_agree(farm)
    drill.end(f"{engine} was killed on {drill.machine}, its leader: {elected} led after {seconds:.1f} s.")


def test_a_server_that_no_longer_reaches_the_others_decides_nothing_and_comes_back(farm: LabFarm) -> None:
    drill = Drill(farm, "Partition")
    for engine in ENGINES:
        let_lead(farm, engine, drill.machine)
    cut = farm.lab.run(drill.machine, ["nft", "-f", "-"], stdin=PARTITION)
    assert cut.returncode == 0, cut.stderr
    try:
        elected = wait_for_other_leaders(farm, drill.machine, *ENGINES)
        (nomad, nomad_s), (consul, consul_s) = (elected[engine] for engine in ENGINES)
        write = ("--request", "PUT", "--data")
        assert call(farm, "consul", nomad, "/v1/kv/drill", *write, "majority") is True
        eventually(
            lambda: call(farm, "consul", drill.machine, "/v1/kv/drill", *write, "minority") is None,
            "the server that is alone to refuse",
        )
        shown = drill.render.get()
        assert shown["state"] in ("running", "placed", "done"), shown
    finally:
        assert farm.on(drill.machine, "nft", "delete", "table", "inet", "drill").returncode == 0
    with stopwatch() as seconds:
        wait_until_servers_agree(farm)
        back_s = seconds()
    for machine in MACHINES:
        read = farm.ask(
            f"https://{MACHINES[machine]}:8501/v1/kv/drill?raw&consistent",
            "X-Consul-Token",
            farm.secret("consul/management.token"),
        )
        assert read.stdout == "majority", (machine, read)
    drill.end(
        f"{drill.machine} was cut off from the other servers: {nomad} led Nomad after {nomad_s:.1f} s, "
        f"{consul} Consul after {consul_s:.1f} s; back in {back_s:.1f} s."
    )


def test_a_revoked_token_is_named_and_work_goes_on_with_the_next_one(farm: LabFarm) -> None:
    drill = Drill(farm, "Revoked")
    token = farm.secret("nomad/tokens/agent.token")
    url = f"https://{MACHINES[drill.machine]}:4646/v1/acl/token/self"
    accessor = farm.json(url, "X-Nomad-Token", token)["AccessorID"]
    done = farm.ask(
        url.replace("self", accessor),
        "X-Nomad-Token",
        farm.secret("nomad/management.token"),
        "--request",
        "DELETE",
    )
    assert done.returncode == 0, done.stderr
    with stopwatch() as seconds:
        waits = eventually(
            lambda: (text := drill.render.get()["waits"]) and "does not allow" in text and text,
            "the reason why it waits",
            within_s=120,
        )
        named_s = seconds()
    with stopwatch() as seconds:
        farm.converge("--tags", "nomad,agent")
        renewed_s = seconds()
    assert farm.secret("nomad/tokens/agent.token") != token
    drill.end(
        f"The studio's token of Nomad was revoked: after {named_s:.1f} s it says “{waits}”; "
        f"the playbook gave it another one in {renewed_s:.0f} s."
    )


def test_a_worker_whose_token_is_revoked_brings_nothing_and_its_scene_is_drawn_by_another_task(
    farm: LabFarm,
) -> None:
    drill = Drill(farm, "Revoked worker")
    # What `issue` and `close` of farm/transfer/service.py do to a token: no token has this hash.
    revoke = "UPDATE farm_tickets SET token_sha256 = repeat('0', 64) WHERE NOT closed RETURNING task_id"
    with stopwatch() as seconds:
        revoked = {row[0] for row in query(farm, revoke) if not row[0].startswith("UPDATE")}
        assert revoked, "the token is revoked in mid-render"

        def have_successors() -> bool:
            issued = {row[0] for row in query(farm, "SELECT task_id FROM farm_tickets")}
            return all(f"{task.removesuffix('.1')}.2" in issued for task in revoked)

        eventually(have_successors, "another task for each")
        again_s = seconds()
    drill.end(
        f"The tokens of {len(revoked)} tasks on workers were revoked: after {again_s:.1f} s "
        f"other tasks had the scenes."
    )


@pytest.mark.parametrize("store", [False, True], ids=["studio", "database-and-bucket"])
def test_a_full_disk_is_named_and_nothing_is_half_written(farm: LabFarm, store: bool) -> None:
    drill = Drill(farm, f"Full {'store' if store else 'studio'}")
    machine = STORE if store else drill.machine
    farm.lab.inject_fault(machine, "disk-full")
    try:
        with stopwatch() as seconds:
            refused = eventually(
                lambda: (one := drill.studio.upload("full.png", a_picture())).get("code") and one,
                "the disk to be named",
            )
            refused_s = seconds()
        time.sleep(FAULT_S)
    finally:
        farm.lab.clear_fault(machine, "disk-full")
    with stopwatch() as seconds:
        eventually(lambda: "id" in drill.studio.upload("back.png", a_picture()), "an upload after it")
        eventually(lambda: leader(farm) in STUDIOS, "a leader")
        wait_until_servers_agree(farm)
        back_s = seconds()
    if store:
        # It has refused work, and is avoided for some minutes unless an operator says that it is well.
        let_work_again(farm, machine)
    drill.end(
        f"The disk of {machine} was full: {refused['code']} ({refused['detail']}) after {refused_s:.1f} s; "
        f"all well {back_s:.1f} s after there was room.",
        may_fail=("blobs.disk_full", "blobs.bucket_full", "database.disk_full", "disk.full"),
    )
    assert refused["status"] == 507, refused


def let_work_again(farm: LabFarm, machine: str) -> None:
    """Sets a node aside and back to work, as an operator does."""
    (node,) = [one for one in call(farm, "nomad", STUDIOS[0], "/v1/nodes") if one["Name"] == machine]
    for eligibility in ("ineligible", "eligible"):
        body = json.dumps({"NodeID": node["ID"], "Eligibility": eligibility})
        path = f"/v1/node/{node['ID']}/eligibility"
        assert call(farm, "nomad", STUDIOS[0], path, "--request", "PUT", "--data", body) is not None


def restart_studio(farm: LabFarm, machine: str) -> None:
    """Starts the studio of a machine anew, in a new task that reads the machine's clock."""

    def ours() -> list[dict[str, Any]]:
        found = call(farm, "nomad", STORE, "/v1/job/agent/allocations") or []
        return [one for one in found if one["NodeName"] == machine and one["ClientStatus"] == "running"]

    (old,) = eventually(ours, "the studio's task")
    assert call(farm, "nomad", STORE, f"/v1/allocation/{old['ID']}/stop", "--request", "PUT")
    eventually(lambda: [one for one in ours() if one["ID"] != old["ID"]], "its next task")
    eventually(Studio(farm, machine).answers, "the studio")


def ahead_s(studio: Studio, title: str) -> float:
    """Returns how far the clock of a studio is ahead of this computer's."""
    created = studio.call("POST", "/api/projects", {"title": title})["created_at"]
    return (datetime.fromisoformat(created) - datetime.now(UTC)).total_seconds()


def test_a_clock_that_jumps_an_hour_and_back_loses_nothing(farm: LabFarm) -> None:
    drill = Drill(farm, "Clock")
    farm.lab.inject_fault(drill.machine, "clock")
    try:
        wait_until_servers_agree(farm)
        restart_studio(farm, drill.machine)
        ahead = ahead_s(drill.studio, "Ahead")
        assert ahead > 3000, "its studio believes in the wrong clock"
        drill.end(f"The clock of {drill.machine} was {ahead / 60:.0f} min ahead.", drill.other)
        # What is asked for by the wrong clock is drawn, too.
        future = ask_for_video(drill.studio, "From the future", 2)
        future.wait_for_video()
    finally:
        farm.lab.clear_fault(drill.machine, "clock")
    wait_until_servers_agree(farm)
    restart_studio(farm, drill.machine)
    assert abs(ahead_s(drill.studio, "Right again")) < 60
    ask_for_video(drill.studio, "Present", 1).wait_for_video()
    assert find_loss(farm).is_none


def test_an_upgrade_while_a_video_is_made_takes_the_leader_last(
    farm: LabFarm, record_property: Callable[[str, object], None]
) -> None:
    drill = Drill(farm, "Upgrade")
    last = leader_of(farm, "nomad", drill.machine)
    let_lead(farm, "consul", last)
    with stopwatch() as seconds:
        farm.converge(playbook="ansible/playbooks/upgrade.yaml", **farm.another_build("nomad"))
        took_s = seconds()
    since = ("systemctl", "show", "nomad", "-P", "ActiveEnterTimestampMonotonic")
    started = {machine: int(farm.on(machine, *since).stdout) for machine in MACHINES}
    assert max(started, key=lambda machine: started[machine]) == last
    record_property("took_s", round(took_s))
    drill.end(f"All three servers had another build after {took_s:.0f} s, {last} last.")
    farm.converge(playbook="ansible/playbooks/upgrade.yaml")
