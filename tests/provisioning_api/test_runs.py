"""Runs of the real Ansible: queue, events, failures, cancel, retry, and what is left when processes are
killed.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of, end_of, eventually, operator_of, todo_of
from fastapi import FastAPI
from ramdisk import Ramdisk
from sqlalchemy import select

from app.provisioning import ProvisioningProcess, build_process
from provisioning_api.certificates.revocations import Revocations
from provisioning_api.runs import process as run_process
from provisioning_api.runs.driver import Waiting, startable
from provisioning_api.runs.models import Run
from soundstage.errors import Unavailable
from soundstage.settings import Settings

Make = Callable[..., Awaitable[dict[str, Any]]]

LOCAL = (
    "- hosts: all\n  gather_facts: false\n  connection: local\n"
    f"  vars: {{ansible_python_interpreter: {sys.executable}}}\n  tasks:\n"
)
OK = LOCAL + "    - name: Say something\n      ansible.builtin.debug: {msg: hello}\n"
FAILS_ON = LOCAL + (
    "    - name: Unpack\n"
    "      ansible.builtin.fail: {msg: 'No space left on device'}\n"
    "      when: inventory_hostname == 'b'\n"
)
SLEEPS = LOCAL + "    - name: Wait\n      ansible.builtin.command: sleep 600\n"


async def machine_state(operator: httpx.AsyncClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await operator.get(f"/api/machines/{name}")).json()
    return found


async def at_work(app: FastAPI, run_id: str) -> None:
    """Until Ansible itself is at work on it, not only started."""

    async def begun() -> bool:
        read = await app.state.provisioning.events.read(f"run:{run_id}", limit=1000)
        return any(event.kind == "run.task" for event in read)

    await eventually(begun)


def marked(run_id: str) -> list[int]:
    return run_process._marked(run_id)


def folder_of(settings: Settings, run_id: str) -> Path:
    return settings.state_dir.absolute() / "provisioning" / "runs" / run_id


async def test_each_run_has_connections_of_its_own_which_end_with_it(
    make_member: Make, run_of: Make, project: Path, settings: Settings
) -> None:
    """Addresses are given again: a connection that is still open leads to who had it then."""
    (project / "playbook.yaml").write_text(
        LOCAL
        + "    - name: Where its connections are\n"
        + "      ansible.builtin.copy:\n"
        + '        dest: "{{ playbook_dir }}/seen"\n'
        + "        content: \"{{ lookup('ansible.builtin.env', 'ANSIBLE_SSH_CONTROL_PATH_DIR') }}\"\n"
    )
    await make_member("a")
    seen = []
    for _ in range(2):
        assert (await run_of("a"))["state"] == "succeeded"
        seen.append((project / "seen").read_text())
    assert seen[0] != seen[1] and all(Path(one).is_absolute() for one in seen)
    assert max(len(one) for one in seen) < 70, "the name of a socket below it must not be too long"

    async def gone() -> bool:
        return not any([await asyncio.to_thread(os.path.exists, one) for one in seen])

    await eventually(gone)


async def test_a_run_that_fails_on_one_machine_says_where_why_and_what_to_do(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path, settings: Settings
) -> None:
    (project / "playbook.yaml").write_text(FAILS_ON)
    await make_member("a")
    await make_member("b")
    run = await run_of("a", "b")
    assert run["state"] == "failed"
    assert {one["name"]: one["result"] for one in run["machines"]} == {"a": "ok", "b": "failed"}
    assert "A disk is full" in run["hint"]
    assert (await machine_state(operator, "a"))["state"] == "ready"
    failed = await machine_state(operator, "b")
    assert (failed["state"], failed["cause"]) == ("failed", "No space left on device")
    [failure] = (await operator.get("/api/failures")).json()
    assert (failure["name"], failure["task"], failure["solved_at"]) == ("b", "Unpack", None)
    todo = await todo_of(settings)
    assert "b in “Unpack”: `No space left on device` A disk is full" in todo and run["id"] in todo

    (project / "playbook.yaml").write_text(OK)
    again = (await operator.post(f"/api/runs/{run['id']}/retry")).raise_for_status().json()
    assert ([one["name"] for one in again["machines"]], again["retry_of"]) == (["b"], run["id"])
    assert (await end_of(operator, again["id"]))["state"] == "succeeded"
    assert (await machine_state(operator, "b"))["state"] == "ready"
    assert (await operator.get("/api/failures", params={"solved": False})).json() == []


async def test_a_run_and_the_request_that_asked_for_it_are_steps_of_one_trace(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path
) -> None:
    (project / "playbook.yaml").write_text(OK)
    await make_member("a")
    run = await run_of("a")
    found = (await operator.get(f"/api/traces/{run['trace_id']}/spans")).raise_for_status().json()
    spans = {one["name"]: one for one in found["spans"]}
    assert {"POST /api/runs", "run playbook"} <= spans.keys()
    playbook = spans["run playbook"]
    assert playbook["attributes"]["soundstage.run.id"] == run["id"]
    assert playbook["attributes"]["soundstage.state"] == "succeeded"
    assert playbook["duration_ms"] > spans["POST /api/runs"]["duration_ms"]
    assert {one["service"] for one in found["spans"]} == {"provisioning"}


async def test_the_folder_of_a_run_is_private_and_its_inventory_does_not_change(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path, settings: Settings
) -> None:
    (project / "playbook.yaml").write_text(OK)
    await make_member("a")
    await make_member("b")
    run = await run_of("a")
    folder = folder_of(settings, run["id"])
    assert stat.S_IMODE(folder.parent.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE((folder / "inventory" / "hosts.json").stat().st_mode) == 0o400
    assert json.loads((folder / "inventory" / "hosts.json").read_text())["all"]["hosts"].keys() == {"a", "b"}
    # It knows the whole farm, and works on its own machines alone.
    assert (folder / "limit").read_text() == "a\n"
    assert (await machine_state(operator, "b"))["state"] == "enrolled"
    assert not (folder / "ssh").exists()


async def test_what_the_operator_says_of_groups_counts_but_not_how_machines_are_reached(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path
) -> None:
    task = {"ansible.builtin.fail": {"msg": "{{ colour }} as {{ ansible_user }}"}}
    play = {"hosts": "workers", "gather_facts": False, "tasks": [task]}
    (project / "playbook.yaml").write_text(json.dumps([play]))
    output = project / "inventory" / "group_vars"
    output.mkdir(parents=True)
    (output / "all.yaml").write_text("ansible_user: nobody\n")
    (output / "workers.yaml").write_text("colour: green\n")
    await make_member("a")
    run = await run_of("a")
    [failure] = (await operator.get("/api/failures")).json()
    assert (run["state"], failure["cause"]) == ("failed", f"green as {getpass.getuser()}")


async def test_events_come_in_order_once_and_resume(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path
) -> None:
    (project / "playbook.yaml").write_text(OK)
    await make_member("a")
    run = await run_of("a")
    kinds, ids, data = [], [], []
    async with operator.stream("GET", f"/api/runs/{run['id']}/events") as events:
        async for line in events.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kinds.append(value)
            elif name == "id":
                ids.append(value)
            elif name == "data":
                data.append(json.loads(value))
    assert kinds[:2] == ["run.queued", "run.started"] and kinds[-1] == "run.ended"
    assert {"run.play", "run.task", "run.ok", "run.stats"} <= set(kinds)
    assert [one["seq"] for one in data] == list(range(1, len(data) + 1))
    headers = {"Last-Event-ID": ids[-2]}
    rest = await operator.get(f"/api/runs/{run['id']}/events", headers=headers)
    assert rest.text.count("event:") == 1


async def test_a_cancelled_run_leaves_no_process_behind(
    app: FastAPI, operator: httpx.AsyncClient, make_member: Make, project: Path
) -> None:
    (project / "playbook.yaml").write_text(SLEEPS)
    await make_member("a")
    run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
    await at_work(app, run["id"])
    await eventually(lambda: asyncio.to_thread(lambda: len(marked(run["id"])) >= 3))
    (await operator.post(f"/api/runs/{run['id']}/cancel")).raise_for_status()
    assert (await end_of(operator, run["id"]))["state"] == "cancelled"
    assert marked(run["id"]) == []
    assert (await machine_state(operator, "a"))["state"] == "enrolled"
    assert (await operator.get("/api/failures")).json() == []


async def test_a_run_that_takes_too_long_is_ended_and_says_so(
    settings: Settings, project: Path, tmp_path: Path
) -> None:
    (project / "playbook.yaml").write_text(SLEEPS)
    short = settings.provisioning.model_copy(update={"run_timeout_s": 3})
    created = build_process(settings.model_copy(update={"provisioning": short}))
    app = created.app()
    async with app.router.lifespan_context(app), operator_of(app) as operator:
        await enrolled(app, operator, "a")
        run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
        ended = await end_of(operator, run["id"])
    assert ended["state"] == "failed" and "longer than the limit" in ended["cause"]
    assert marked(run["id"]) == []


async def test_a_queued_run_is_cancelled_before_it_begins(
    app: FastAPI, operator: httpx.AsyncClient, make_member: Make, project: Path
) -> None:
    (project / "playbook.yaml").write_text(SLEEPS)
    await make_member("a")
    first = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
    second = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
    await at_work(app, first["id"])
    cancelled = (await operator.post(f"/api/runs/{second['id']}/cancel")).json()
    assert (cancelled["state"], cancelled["started_at"]) == ("cancelled", None)
    await operator.post(f"/api/runs/{first['id']}/cancel")
    assert (await end_of(operator, first["id"]))["state"] == "cancelled"


async def test_a_playbook_that_cannot_be_read_fails_the_run_with_its_words(
    make_member: Make, run_of: Make, project: Path
) -> None:
    (project / "broken.yml").write_text("- hosts: all\n  tasks: [\n")
    await make_member("a")
    run = await run_of("a", playbook="broken.yml")
    assert run["state"] == "failed" and "broken.yml" in run["cause"]


async def test_a_dry_run_changes_no_state(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path
) -> None:
    (project / "playbook.yaml").write_text(OK)
    await make_member("a")
    assert (await run_of("a", check=True))["state"] == "succeeded"
    assert (await machine_state(operator, "a"))["state"] == "enrolled"


async def test_a_process_that_is_killed_is_lost_and_taken_up_again_once(
    app: FastAPI,
    operator: httpx.AsyncClient,
    make_member: Make,
    project: Path,
    process: ProvisioningProcess,
) -> None:
    (project / "playbook.yaml").write_text(SLEEPS)
    await make_member("a")
    run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
    await at_work(app, run["id"])
    (project / "playbook.yaml").write_text(OK)
    for pid in marked(run["id"]):
        with suppress(ProcessLookupError):  # it went with the one before it
            os.kill(pid, signal.SIGKILL)
    lost = await end_of(operator, run["id"])
    assert lost["state"] == "lost"

    async def resumed() -> Any:
        async with process.database.session() as session:
            found = await session.scalar(select(Run).where(Run.retry_of == run["id"]))
        return found and found.id

    again = await end_of(operator, await eventually(resumed))
    assert (again["state"], again["requested_by"]) == ("succeeded", "restart")
    assert (await machine_state(operator, "a"))["state"] == "ready"


async def test_a_run_whose_database_goes_away_while_it_begins_is_taken_up_again(
    operator: httpx.AsyncClient,
    make_member: Make,
    project: Path,
    process: ProvisioningProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "playbook.yaml").write_text(OK)
    await make_member("a")
    host_key_list, away = Revocations.host_key_list, [Unavailable("database.busy", "It is busy.", "Wait.")]

    async def once_away(revocations: Revocations) -> str:
        if away:
            raise away.pop()
        return await host_key_list(revocations)

    monkeypatch.setattr(Revocations, "host_key_list", once_away)
    run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
    assert (await end_of(operator, run["id"]))["state"] == "lost"

    async def resumed() -> Any:
        async with process.database.session() as session:
            found = await session.scalar(select(Run).where(Run.retry_of == run["id"]))
        return found and found.id

    assert (await end_of(operator, await eventually(resumed)))["state"] == "succeeded"


async def test_a_run_goes_on_while_the_api_is_away_and_is_taken_over(
    settings: Settings, project: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    wait = f"until [ -e {gate} ]; do sleep 0.2; done"
    (project / "playbook.yaml").write_text(
        LOCAL + f"    - name: Wait\n      ansible.builtin.shell: {json.dumps(wait)}\n"
    )
    first = build_process(settings)
    app = first.app()
    async with app.router.lifespan_context(app), operator_of(app) as operator:
        await enrolled(app, operator, "a")
        run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()
        await at_work(app, run["id"])
    assert run_process.is_alive(folder_of(settings, run["id"]))
    gate.touch()
    second = build_process(settings)
    app = second.app()
    async with app.router.lifespan_context(app), operator_of(app) as operator:
        assert (await end_of(operator, run["id"]))["state"] == "succeeded"
        read = await second.services.events.read(f"run:{run['id']}", limit=1000)
    assert [event.seq for event in read] == list(range(1, len(read) + 1))
    assert [event.kind for event in read].count("run.ok") == 1


def test_no_machine_is_in_two_runs_and_no_run_overtakes_another_on_its_machine() -> None:
    def waiting(run_id: str, *machines: str) -> Waiting:
        return Waiting(run_id, frozenset(machines))

    queued = [waiting("r1", "a"), waiting("r2", "b", "c"), waiting("r3", "c"), waiting("r4", "d")]
    assert startable(queued, [waiting("r0", "b")], 4) == ["r1", "r4"]
    assert startable(queued, [], 2) == ["r1", "r2"]
    assert startable(queued, [waiting("r0", "x")], 1) == []


async def enrolled(app: FastAPI, operator: httpx.AsyncClient, name: str) -> None:
    """A member of that name, at an address where nothing answers."""
    async with client_of(app, "https://provisioning.example", "10.0.0.7") as client:
        ramdisk = Ramdisk(client, address="127.0.0.1")
        (await ramdisk.discover()).raise_for_status()
        await operator.post(
            f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
        )
        (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
