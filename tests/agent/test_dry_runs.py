"""Of every action that changes something a dry run looks before it speaks, and refuses what the act does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from conversing import Conversing, result
from sentences import SentenceSnapshot
from sqlalchemy import select, text, update

from agent.sandbox import Sandbox
from agent.tools import ALL_TOOLS, ToolContext
from agent.tools.record import ToolResult
from agent.tools.services import ToolServices
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import PlannedResult
from app.composition import Services
from farm.history import work_of
from farm.history.models import FarmRun
from policy import Principal
from policy.audit.models import AuditLine
from soundstage.errors import SoundstageError
from studio.assets.schemas import AssetLabels
from studio.renders.models import Render

ROOT = Principal.local_admin()
CHANGING = sorted(rule for tool in ALL_TOOLS for rule, act in tool.rules.items() if act.effect != "read")
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"ada" * 50
CONSENT = {"person": "Ada Byron", "purpose": "films"}

NOT_THERE: dict[str, tuple[dict[str, Any], str]] = {
    "make_render": ({"script": "Hello", "persona": "nobody"}, "persona.not_found"),
    "cancel_render.cancel": ({"render": "rnd_nope"}, "render.not_found"),
    "cancel_render.delete": ({"render": "rnd_nope"}, "render.not_found"),
    "retry_render": ({"render": "rnd_nope"}, "render.not_found"),
    "publish_render.publish": ({"render": "rnd_nope"}, "render.not_found"),
    "create_persona.create": ({"name": "Ada", "photo": "ast_nope", **CONSENT}, "asset.not_found"),
    "create_persona.change": ({"persona": "nobody", "name": "Ada"}, "persona.not_found"),
    "create_persona.reload": ({"persona": "nobody"}, "persona.not_found"),
    "create_persona.delete": ({"persona": "nobody"}, "persona.not_found"),
    "write_script.draft": ({"topic": "tides", "persona": "nobody"}, "persona.not_found"),
    "write_script.film": ({"topic": "tides", "project": "none"}, "project.not_found"),
    "edit_project.create": ({"title": "Tides", "persona": "nobody"}, "persona.not_found"),
    "edit_project.copy": ({"project": "none"}, "project.not_found"),
    "edit_project.rename": ({"project": "none", "title": "Ebb"}, "project.not_found"),
    "edit_project.change": ({"project": "none", "quality": "720p"}, "project.not_found"),
    "edit_project.add_scene": ({"project": "none", "script": "Hello"}, "project.not_found"),
    "edit_project.change_scene": ({"project": "none", "scene": "1", "script": "Hi"}, "project.not_found"),
    "edit_project.move_scene": ({"project": "none", "scene": "1", "to": "2"}, "project.not_found"),
    "edit_project.duplicate_scene": ({"project": "none", "scene": "1"}, "project.not_found"),
    "edit_project.delete_scene": ({"project": "none", "scene": "1"}, "project.not_found"),
    "edit_project.restore": ({"project": "none", "version": 1}, "project.not_found"),
    "edit_project.delete": ({"project": "none"}, "project.not_found"),
    "trash.restore_video": ({"render": "none"}, "trash.not_found"),
    "trash.restore_project": ({"project": "none"}, "trash.not_found"),
    "queue.front": ({"render": "rnd_nope"}, "render.not_found"),
    "queue.back": ({"render": "rnd_nope"}, "render.not_found"),
    "change_machine.accept": ({"machine": "gpu-9"}, "machine.not_found"),
    "change_machine.choose_key": ({"machine": "gpu-9", "code": "2c91-a110-1679"}, "machine.not_found"),
    "change_machine.reinstall": ({"machine": "gpu-9"}, "machine.not_found"),
    "change_machine.drain": ({"machine": "gpu-9"}, "cluster.no_node"),
    "import_document": ({"url": "https://a.example/", "project": "Nothing"}, "project.not_found"),
    "change_machine.undrain": ({"machine": "gpu-9"}, "cluster.no_node"),
    "change_machine.switch_on": ({"machine": "gpu-9"}, "machine.not_found"),
    "change_machine.switch_off": ({"machine": "gpu-9"}, "machine.not_found"),
    "change_machine.retire": ({"machine": "gpu-9"}, "machine.not_found"),
    "ansible": ({"machines": "gpu-9"}, "ansible.no_playbook"),
    "cancel_run": ({"run": "run_nope"}, "run.not_found"),
    "change_job.deploy": ({"job": "none"}, "cluster.no_job_file"),
    "change_job.scale": ({"job": "none", "count": 2}, "cluster.no_job"),
    "change_job.stop": ({"job": "none"}, "cluster.no_job"),
    "ssh": ({"machine": "gpu-9", "command": "uptime"}, "machine.not_found"),
    "code_runner": ({"code": "6 * 7"}, "sandbox.missing"),
    "snapshots.save": ({"name": "tides"}, "session.not_found"),
    "snapshots.load": ({"name": "none"}, "snapshot.not_found"),
    "snapshots.delete": ({"name": "none"}, "snapshot.not_found"),
    "memory.forget": ({"about": "what nobody told"}, "memory.nothing_found"),
    "triggers.create": (
        {
            "steps": [
                {
                    "when": {"of": "render", "name": "rnd_nope", "becomes": "done"},
                    "calls": [{"tool": "list_renders"}],
                }
            ]
        },
        "render.not_found",
    ),
    "triggers.cancel": ({"trigger": "trg_nope"}, "trigger.not_found"),
}
"""Of each action a call about something that is not there."""
NAMES_NOTHING = {"queue.cancel_waiting", "memory.remember"}
"""Takes any words: there is nothing that could be missing."""


class NoMachines:
    """A provisioning API without machines, playbooks and runs: every list of it is empty."""

    async def get(self, path: str, **_: Any) -> Any:
        assert path in ("/api/machines", "/api/playbooks", "/api/runs"), path
        return []

    async def post(self, path: str, body: Any = None) -> Any:
        raise AssertionError(f"a dry run posts to {path}")


class NoCluster:
    """A farm without nodes and jobs."""

    async def nodes(self) -> tuple[list[Any], int]:
        return [], 0

    async def all_jobs(self) -> list[Any]:
        return []


@asynccontextmanager
async def _opened(inside: Any) -> AsyncIterator[Any]:
    yield inside


@pytest.fixture
def tool_services(services: Services) -> ToolServices:
    """The real ones; of the farm one with nothing in it, and no sandbox."""
    changed: dict[str, Any] = {
        "machines": lambda _: _opened(NoMachines()),
        "cluster": lambda: _opened(NoCluster()),
        "sandbox": Sandbox(program="no-such-bwrap"),
    }
    return replace(services.tool_services, **changed)


async def ran(
    services: Services,
    rule: str,
    arguments: dict[str, Any],
    *,
    tool_services: ToolServices | None = None,
    **context: Any,
) -> ToolResult:
    name, _, action = rule.partition(".")
    call = prepare_call(services.brain.toolset, name, {**arguments, **({"action": action} if action else {})})
    request: dict[str, Any] = {"dry_run": True, "session_id": "ses_none", **context}
    return await services.brain.toolset.run(
        ToolContext(ROOT, services=tool_services or services.tool_services, **request), call
    )


async def rows(services: Services) -> dict[str, int]:
    """How many there are in every table but those in which each call is noted."""
    noted = {"audit_lines", "events", "audit_words", "event_streams"}
    async with services.database.session() as session:
        names = (await session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'"))).all()
        return {
            name: (await session.scalar(text(f'SELECT count(*) FROM "{name}"'))) or 0  # noqa: S608
            for name in names
            if name not in noted
        }


def test_every_action_that_changes_something_has_a_plan_of_its_own_and_a_case_here() -> None:
    assert [tool.name for tool in ALL_TOOLS if tool.effect != "read" and tool.plan is None] == []
    assert {*NOT_THERE, *NAMES_NOTHING} == set(CHANGING)


@pytest.mark.parametrize("rule", NOT_THERE)
async def test_a_dry_run_about_what_is_not_there_is_refused_as_the_act_is(
    services: Services, tool_services: ToolServices, rule: str
) -> None:
    arguments, code = NOT_THERE[rule]
    before = await rows(services)
    with pytest.raises(SoundstageError) as dry:
        await ran(services, rule, arguments, tool_services=tool_services)
    with pytest.raises(SoundstageError) as act:
        await ran(services, rule, arguments, tool_services=tool_services, dry_run=False)
    assert (dry.value.code, act.value.code) == (code, code)
    assert await rows(services) == before


async def planned(services: Services, rule: str, arguments: dict[str, Any], **context: Any) -> PlannedResult:
    output = await ran(services, rule, arguments, **context)
    assert isinstance(output, PlannedResult), output
    return output


async def code_of(services: Services, rule: str, arguments: dict[str, Any], **context: Any) -> str:
    with pytest.raises(SoundstageError) as refused:
        await ran(services, rule, arguments, **context)
    return refused.value.code


async def test_a_new_video_is_planned_with_its_size_its_words_and_how_long_it_takes(
    services: Services,
    snapshot: SentenceSnapshot,
) -> None:
    request = {"script": "The tide comes in twice a day.", "quality": "720p", "title": "Tides"}
    reply = (await planned(services, "make_render", request)).sentence()
    assert reply == snapshot("new_video")
    assert "It takes" not in reply, "nothing has been made here yet"

    spec = await _spec(services, request)
    times = services.studio.renders.run_durations
    assert times is not None
    async with services.database.transaction() as session:
        for stage, seconds in (("segment/rig", 40.0), ("assemble/assemble", 2.0)):
            session.add(FarmRun(stage=stage, work=work_of(spec), seconds=seconds))
    await times.load()
    assert (await planned(services, "make_render", request)).plan.seconds == pytest.approx(42.0)
    assert await services.studio.renders.list() == []


async def _spec(services: Services, wish: dict[str, Any]) -> dict[str, Any]:
    """The stored spec of such a video, which is made and deleted again."""
    created = await ran(services, "make_render", wish, dry_run=False)
    async with services.database.transaction() as session:
        row = await session.get_one(Render, created.model_dump()["render_id"])
        spec = dict(row.spec)
        await session.execute(update(Render).values(state="cancelled"))
    await services.studio.renders.delete(row.id)
    return spec


async def test_a_video_that_could_not_be_made_is_not_planned(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("Make a project called Tides")
    assert await code_of(services, "make_render", {"project": "Tides"}) == "project.no_scenes"
    limits = services.studio.renders.admission.limits
    assert limits.queued_renders > 0
    full = replace(services.studio.renders.admission, limits=limits.model_copy(update={"queued_renders": 0}))
    services.studio.renders.admission = full
    for dry_run in (True, False):
        assert (
            await code_of(services, "make_render", {"script": "Hi"}, dry_run=dry_run) == "render.queue_full"
        )


async def test_what_has_ended_is_neither_cancelled_nor_tried_again_without_need(services: Services) -> None:
    render_id = str(result(await Conversing(services).say("Have Nova say: Hello"))["render_id"])
    which = {"render": render_id}
    reply = (await planned(services, "cancel_render.cancel", which)).sentence()
    assert f"“Hello” ({render_id})" in reply
    for dry_run in (True, False):
        assert await code_of(services, "retry_render", which, dry_run=dry_run) == "render.not_failed"
    await _state(services, render_id, "failed")
    assert "its try number 2" in (await planned(services, "retry_render", which)).sentence()
    for dry_run in (True, False):
        assert await code_of(services, "cancel_render.cancel", which, dry_run=dry_run) == "render.ended"
    await _state(services, render_id, "cancelled")
    assert (await planned(services, "cancel_render.cancel", which)).plan.changes == ()
    assert (await services.studio.renders.get(render_id)).attempt == 1


async def _state(services: Services, render_id: str, state: str) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(state=state))


async def test_a_video_that_is_being_cancelled_says_so(
    services: Services, snapshot: SentenceSnapshot
) -> None:
    render_id = str(result(await Conversing(services).say("Have Nova say: Hello"))["render_id"])
    progress = {"frames_done": 0, "frames_total": 49}
    async with services.database.transaction() as session:
        changed = update(Render).where(Render.id == render_id).values(state="running", progress=progress)
        await session.execute(changed)
    answer = await ran(services, "cancel_render.cancel", {"render": render_id}, dry_run=False)
    assert answer.sentence() == snapshot("cancelled", id=render_id)
    assert answer.model_dump()["message"] == snapshot("cancelled_message")
    shown = await ran(services, "show_render", {"render": render_id}, dry_run=False)
    assert shown.sentence() == snapshot("shown", id=render_id)


async def test_snapshots_are_planned_by_name_and_age(services: Services, snapshot: SentenceSnapshot) -> None:
    talk = Conversing(services, ROOT)
    await talk.say("Have Nova say: Hello")
    here = {"session_id": str(talk.session_id)}
    saved = await planned(services, "snapshots.save", {"name": "tides"}, **here)
    assert saved.sentence() == snapshot("save_snapshot")
    assert await services.tool_services.snapshots.list(talk.principal) == []
    await talk.say("save this as tides")
    assert await code_of(services, "snapshots.save", {"name": "Tides"}, **here) == "snapshot.exists"
    over = await planned(services, "snapshots.save", {"name": "tides", "replace": True}, **here)
    assert "Write over the snapshot of that name: tides, 1 turn, " in over.sentence()
    loaded = await planned(services, "snapshots.load", {"name": "tides"}, **here)
    assert "goes on from the snapshot: tides, 1 turn" in loaded.sentence()
    assert "“It” means what it meant there: Hello" in loaded.sentence()
    gone = await planned(services, "snapshots.delete", {"name": "tides"}, **here)
    assert "Delete the snapshot for good: tides, 1 turn" in gone.sentence()
    assert len(await services.tool_services.snapshots.list(talk.principal)) == 1


async def test_code_is_planned_with_its_limit_where_there_is_a_sandbox(
    services: Services, snapshot: SentenceSnapshot
) -> None:
    changed: dict[str, Any] = {"sandbox": Sandbox(program="true")}
    output = await planned(
        services,
        "code_runner",
        {"code": "6 * 7", "time_limit_s": 5},
        tool_services=replace(services.tool_services, **changed),
    )
    assert output.sentence() == snapshot("code")


async def test_a_persona_is_planned_with_its_photo_and_its_consent(services: Services) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield PHOTO

    asset = await services.studio.assets.upload(chunks(), AssetLabels(name="ada.jpg"))
    request = {"name": "Ada", "photo": asset.id, **CONSENT}
    reply = (await planned(services, "create_persona.create", request)).sentence()
    assert f"Make the persona “Ada” with the face of: {asset.id}" in reply
    assert "Record the consent of: Ada Byron, on " in reply and reply.splitlines()[-1].endswith(": ada")
    unasked = {"name": "Ada", "photo": asset.id}
    for dry_run in (True, False):
        code = await code_of(services, "create_persona.create", unasked, dry_run=dry_run)
        assert code == "consent.required"
    path = {**request, "photo": "/nowhere/ada.jpg"}
    assert await code_of(services, "create_persona.create", path, local_files=True) == "photo.not_found"
    assert await code_of(services, "create_persona.create", path) == "persona.path_not_allowed"
    assert [one.id for one in services.studio.library.list()] == ["nova"]


@pytest.mark.parametrize(
    ("rule", "arguments", "code"),
    [
        ("edit_project.restore", {"version": 99}, "project.version_not_found"),
        ("edit_project.restore", {"version": 2**63}, "project.version_not_found"),
        ("edit_project.move_scene", {"scene": "1", "to": "9"}, "scene.no_such_place"),
        ("edit_project.duplicate_scene", {"scene": "1", "to": "9"}, "scene.no_such_place"),
        ("edit_project.add_scene", {"script": "Hi", "persona": "nobody"}, "persona.not_found"),
        ("edit_project.change", {"persona": "nobody"}, "persona.not_found"),
    ],
)
async def test_a_project_is_looked_at_as_the_act_does(
    services: Services, rule: str, arguments: dict[str, Any], code: str
) -> None:
    talk = Conversing(services)
    await talk.say("Make a project called Tides")
    await talk.say("Add a scene to Tides where Nova says: Hello")
    for dry_run in (True, False):
        assert await code_of(services, rule, {"project": "Tides", **arguments}, dry_run=dry_run) == code


async def test_the_audit_log_tells_a_dry_run_from_an_act(services: Services) -> None:
    await planned(services, "make_render", {"script": "Hello"})
    await ran(services, "make_render", {"script": "Hello"}, dry_run=False)
    await ran(services, "list_renders", {})
    async with services.database.session() as session:
        query = select(AuditLine.data).where(AuditLine.kind.in_(["tool.called", "tool.ended"]))
        found = [line.get("dry_run", False) for line in await session.scalars(query)]
    assert found == [True, True, False, False, False, False]
