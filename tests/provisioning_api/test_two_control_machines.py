"""Two provisioning processes on one PostgreSQL: one drives runs, and the other one resumes what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import end_of, eventually, operator_of
from fastapi import FastAPI
from sqlalchemy import select

from app.provisioning import build_process
from provisioning_api.runs import driver
from provisioning_api.runs import process as run_process
from provisioning_api.runs.models import Run
from soundstage.settings import Settings

PLAYBOOK = (
    "- hosts: all\n  gather_facts: false\n  connection: local\n"
    f"  vars: {{ansible_python_interpreter: {sys.executable}}}\n  tasks:\n"
)
SLEEPS = PLAYBOOK + "    - name: Wait\n      ansible.builtin.command: sleep 600\n"
OK = PLAYBOOK + "    - name: Say something\n      ansible.builtin.debug: {msg: hello}\n"


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "OTHER_MACHINE_GRACE_S", 1.0)


async def test_a_run_is_resumed_when_the_control_machine_that_drove_it_dies(
    settings: Settings, make_member: Any, app: FastAPI, operator: httpx.AsyncClient, project: Path
) -> None:
    """`app` and `operator` belong to the first machine, which leads because it started first."""
    (project / "playbook.yaml").write_text(SLEEPS)
    await make_member("a")
    other = settings.model_copy(update={"state_dir": settings.state_dir.parent / "other"})
    keys = Path("provisioning", "keys")
    shutil.copytree(settings.state_dir / keys, other.state_dir / keys)
    second = build_process(other)
    second_app = second.app()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(second_app.router.lifespan_context(second_app))
        other_operator = await stack.enter_async_context(operator_of(second_app))
        run = (await other_operator.post("/api/runs", json={"machines": ["a"]})).json()

        async def at_work() -> bool:
            events = await app.state.provisioning.events.read(f"run:{run['id']}", limit=1000)
            return any(event.kind == "run.task" for event in events)

        await eventually(at_work)
        folder = Path("provisioning", "runs", run["id"])
        assert (settings.state_dir / folder).exists() and not (other.state_dir / folder).exists()
        (project / "playbook.yaml").write_text(OK)
        await app.state.provisioning.driver.close()
        for pid in run_process._marked(run["id"]):
            with suppress(ProcessLookupError):  # it ended with the one before it
                os.kill(pid, signal.SIGKILL)
        assert (await end_of(other_operator, run["id"]))["state"] == "lost"

        async def find_retry() -> Any:
            async with second.database.session() as session:
                found = await session.scalar(select(Run).where(Run.retry_of == run["id"]))
            return found and found.id

        again = await end_of(other_operator, await eventually(find_retry))
        assert (again["state"], again["requested_by"]) == ("succeeded", "restart")
        assert (other.state_dir / "provisioning" / "runs" / again["id"]).exists()


async def test_a_machine_that_comes_back_ends_the_runs_that_it_does_not_drive_any_more(
    settings: Settings, make_member: Any, app: FastAPI, operator: httpx.AsyncClient, project: Path
) -> None:
    (project / "playbook.yaml").write_text(SLEEPS)
    await make_member("a")
    run = (await operator.post("/api/runs", json={"machines": ["a"]})).json()

    async def runs_something() -> bool:
        return bool(run_process._marked(run["id"]))

    await eventually(runs_something)
    restarted = build_process(settings)
    restarted_app = restarted.app()
    async with restarted_app.router.lifespan_context(restarted_app):
        assert run_process._marked(run["id"]) == []
    assert (await end_of(operator, run["id"]))["state"] == "lost"
