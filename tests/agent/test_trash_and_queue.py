"""A conversation over REST deletes into the trash, restores from it, and moves and cancels what waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from local_login import log_in_locally
from socket_servers import WAIT_S, on_loopback
from sqlalchemy import update

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from app.composition import Services
from app.server.web import create_app
from policy import Principal
from soundstage.errors import Forbidden, SoundstageError
from studio.projects.schemas import ProjectDraft
from studio.renders.models import Render
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

BOB = Principal("key_bob", "Bob", "operator", "session")
VIEWER = Principal("key_vic", "Vic", "viewer", "session")


@dataclass
class Chat:
    """One session at `/api/chat`."""

    services: Services
    client: httpx.AsyncClient
    session: dict[str, str] = field(default_factory=dict)

    async def say(self, sentence: str) -> list[dict[str, Any]]:
        answer = await self.client.post("/api/chat", json={"message": sentence, **self.session})
        found = answer.raise_for_status().json()
        self.session["session_id"] = found["session_id"]
        events: list[dict[str, Any]] = found["events"]
        return events

    async def reply(self, sentence: str) -> str:
        texts = [one for one in await self.say(sentence) if one["type"] in ("text", "error")]
        return "\n".join(one.get("text") or f"{one['message']} {one['hint']}" for one in texts)

    async def approve(self, sentence: str) -> str:
        """Returns what was shown to Bob, who agrees, and what came of it."""
        events = await self.say(sentence)
        approval_id = next(one["approval_id"] for one in events if one["type"] == "approval")
        decisions = self.services.decisions
        shown = await decisions.approvals.get(approval_id, BOB)
        await decisions.vote(approval_id, BOB, agrees=True)
        await decisions.run_approved()
        done = await decisions.approvals.get(approval_id, BOB)
        plan = " ".join(f"{one.what}: {one.where}" for one in shown.plan.changes)
        return f"{plan}\n{done.state}: {done.outcome}"

    async def titles(self, path: str) -> list[str]:
        return [one["title"] for one in (await self.client.get(path)).raise_for_status().json()]


@pytest.fixture
async def chat(services: Services) -> AsyncIterator[Chat]:
    async with (
        on_loopback(create_app(services)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address}",
            headers=await log_in_locally(services.policy),
            timeout=WAIT_S,
            trust_env=False,
        ) as client,
    ):
        yield Chat(services, client)
        await services.turns.close()


async def video(services: Services, title: str, state: RenderState = RenderState.QUEUED) -> str:
    created = await services.studio.renders.create(
        RenderRequest(script=f"Hello {title}", title=title, persona="nova")
    )
    if state is not RenderState.QUEUED:
        async with services.database.transaction() as session:
            await session.execute(update(Render).where(Render.id == created.id).values(state=state))
    return created.id


async def waiting(services: Services) -> list[str]:
    return [one.title for one in (await services.studio.queue.read(50)).waiting]


@pytest.mark.parametrize(
    ("delete", "list_trash", "restore"),
    [
        ("delete the video Tides", "what is in the trash?", "restore the video Tides"),
        ("lösch das Video Tides", "was liegt im Papierkorb?", "hol das Video Tides zurück"),
    ],
    ids=["en", "de"],
)
async def test_a_deleted_video_is_in_the_trash_and_comes_back(
    chat: Chat, delete: str, list_trash: str, restore: str
) -> None:
    tides = await video(chat.services, "Tides", RenderState.DONE)
    outcome = await chat.approve(delete)
    assert "Move the video to the trash, where it can be restored for 30 days" in outcome
    assert "done: The video “Tides” is in the trash." in outcome and "for 30 days" in outcome
    assert await chat.titles("/api/renders") == [] and await chat.titles("/api/renders?trash=true") == [
        "Tides"
    ]
    assert "Tides" in await chat.reply(list_trash)
    await chat.reply(restore)
    assert await chat.titles("/api/renders?trash=true") == []
    assert (await chat.services.studio.renders.get(tides)).state is RenderState.DONE


@pytest.mark.parametrize(
    ("delete", "restore"),
    [
        ("delete the project Harbour", "bring back the project Harbour"),
        ("lösch das Projekt Harbour", "hol das Projekt Harbour aus dem Papierkorb zurück"),
    ],
    ids=["en", "de"],
)
async def test_a_deleted_project_is_in_the_trash_and_comes_back(
    chat: Chat, delete: str, restore: str
) -> None:
    project = await chat.services.studio.projects.create(ProjectDraft(title="Harbour", persona="nova"))
    outcome = await chat.approve(delete)
    assert "Move it to the trash" in outcome and "it can be restored for 30 days" in outcome
    assert "done: The project “Harbour” is in the trash." in outcome
    assert await chat.titles("/api/projects?trash=true") == ["Harbour"]
    reply = await chat.reply(restore)
    assert await chat.titles("/api/projects?trash=true") == [], reply
    assert (await chat.services.studio.projects.get(project.id)).title == "Harbour"


@pytest.mark.parametrize("sentence", ["undo", "take that back"])
async def test_a_deletion_that_is_taken_back_is_restored(chat: Chat, sentence: str) -> None:
    await video(chat.services, "Tides", RenderState.DONE)
    await chat.approve("delete the video Tides")
    assert "“Tides” is back" in await chat.reply(sentence)
    assert await chat.titles("/api/renders") == ["Tides"]
    await chat.services.studio.projects.create(ProjectDraft(title="Harbour", persona="nova"))
    await chat.approve("delete the project Harbour")
    assert "“Harbour” is back" in await chat.reply(sentence)
    assert await chat.titles("/api/projects") == ["Harbour"]


async def test_for_good_deletes_past_the_trash_and_out_of_it(chat: Chat) -> None:
    await video(chat.services, "Tides", RenderState.DONE)
    await video(chat.services, "Sand", RenderState.DONE)
    outcome = await chat.approve("delete the video Tides for good")
    assert "Delete the video for good" in outcome and "done: “Tides” is deleted" in outcome
    assert await chat.titles("/api/renders?trash=true") == []
    await chat.approve("delete the video Sand")
    assert "in the trash" in await chat.reply("delete the video Sand")
    assert "done: “Sand” is deleted" in await chat.approve("delete the video Sand for good")
    assert await chat.titles("/api/renders?trash=true") == []
    await chat.services.studio.projects.create(ProjectDraft(title="Harbour", persona="nova"))
    await chat.approve("delete the project Harbour")
    assert "deleted. Its videos stay." in await chat.approve("delete the project Harbour for good")
    assert await chat.titles("/api/projects?trash=true") == []


async def test_a_project_of_the_same_name_is_not_taken_for_the_one_in_the_trash(chat: Chat) -> None:
    projects = chat.services.studio.projects
    old = await projects.create(ProjectDraft(title="Harbour", persona="nova"))
    await projects.trash(old.id, by="Ada")
    new = await projects.create(ProjectDraft(title="Harbour", persona="nova"))
    await chat.approve("delete the project Harbour")
    assert (await projects.get(new.id)).trashed_at is not None
    assert (await projects.get(old.id)).trashed_at is not None
    await chat.reply("restore the project Harbour from the trash")


async def test_the_queue_is_shown_in_its_order_and_a_video_is_moved(chat: Chat) -> None:
    for title in ("Sand", "Tides", "Harbour"):
        await video(chat.services, title)
    shown = await chat.reply("what is in the queue?")
    assert shown.index("Sand") < shown.index("Tides") < shown.index("Harbour") and "3 videos waiting" in shown
    assert "“Tides” runs next." in await chat.reply("move Tides to the front")
    assert await waiting(chat.services) == ["Tides", "Sand", "Harbour"]
    assert "“Harbour” runs next." in await chat.reply("make Harbour run next")
    assert await waiting(chat.services) == ["Harbour", "Tides", "Sand"]
    await chat.reply("schieb Sand nach vorn")
    assert await waiting(chat.services) == ["Sand", "Harbour", "Tides"]
    assert "number 3" in await chat.reply("move the video Sand to the end of the queue")
    assert await waiting(chat.services) == ["Harbour", "Tides", "Sand"]


@pytest.mark.parametrize("sentence", ["cancel everything that waits", "alle wartenden Videos abbrechen"])
async def test_all_that_waits_is_cancelled_after_a_yes_and_nothing_else(chat: Chat, sentence: str) -> None:
    for title in ("Sand", "Tides"):
        await video(chat.services, title)
    running = await video(chat.services, "Harbour", RenderState.RUNNING)
    question = await chat.reply(sentence)
    assert "Sand" in question and "Tides" in question and "Harbour" not in question
    assert await waiting(chat.services) == ["Sand", "Tides"], "nothing is done without a yes"
    later = await video(chat.services, "Later")
    await chat.reply("yes" if sentence.startswith("cancel") else "ja")
    assert await waiting(chat.services) == ["Later"], "what came after the question was not agreed to"
    renders = chat.services.studio.renders
    assert (await renders.get(running)).state is RenderState.RUNNING
    assert (await renders.get(later)).state is RenderState.QUEUED


async def call(services: Services, who: Principal, name: str, **arguments: Any) -> Any:
    toolset = services.brain.toolset
    context = ToolContext(who, "ses_1", services.tool_services)
    return await toolset.run(context, prepare_call(toolset, name, arguments))


async def test_permissions_and_tenants_are_those_of_the_routes(services: Services) -> None:
    studio = services.studio
    tides = await video(services, "Tides", RenderState.DONE)
    await studio.render_editing.trash(tides, by="Ada")
    sand = await video(services, "Sand")
    shown = await call(services, VIEWER, "trash", action="list")
    assert [one.title for one in shown.things] == ["Tides"]
    for name, action in (("trash", "restore_video"), ("trash", "restore_project"), ("queue", "front")):
        with pytest.raises(Forbidden):
            await call(services, VIEWER, name, action=action)
    elsewhere = replace(BOB, tenant="acme")
    assert (await call(services, elsewhere, "trash", action="list")).things == ()
    assert (await call(services, elsewhere, "queue", action="show")).waiting == ()
    assert (await call(services, elsewhere, "queue", action="cancel_waiting")).cancelled == ()
    for name, arguments, code in (
        ("trash", {"action": "restore_video", "render": tides}, "trash.not_found"),
        ("queue", {"action": "front", "render": sand}, "render.not_found"),
    ):
        with pytest.raises(SoundstageError) as refused:
            await call(services, elsewhere, name, **arguments)
        assert refused.value.code == code
    assert (await studio.renders.get(tides)).trashed_at is not None


async def test_what_has_ended_stands_in_no_queue(services: Services) -> None:
    done = await video(services, "Tides", RenderState.DONE)
    with pytest.raises(SoundstageError) as refused:
        await call(services, BOB, "queue", action="front", render=done)
    assert refused.value.code == "render.ended"
