"""Videos and personas are deleted by a sentence that another person has agreed to, and by no less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conversing import Conversing, failure, result
from own_persona import photographed
from sentences import SentenceSnapshot
from sqlalchemy import update

from agent.events import ApprovalRequested
from agent.tools import ALL_TOOLS, DirectToolset, ToolContext
from agent.tools.toolset import prepare_call
from agent.understanding import Grammar, Understanding
from app.composition import Services
from policy import Principal
from soundstage.errors import NotFound, SoundstageError
from studio.renders.models import Render
from studio.renders.schemas import RenderRequest

ADA = Principal("local:ada", "Ada", "operator", "local")
BOB = Principal("key_bob", "Bob", "operator", "session")
EDITOR = Principal("key_eve", "Eve", "editor", "session")
VIEWER = Principal("key_vic", "Vic", "viewer", "session")
ELSEWHERE = replace(ADA, tenant="acme")
DRIFTED = ("void", "the plan has changed since")


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services, ADA)


async def done_video(talk: Conversing) -> tuple[str, Path]:
    """A finished video with its file under a person's name."""
    services = talk.services
    render_id = result(await talk.say('Make a video called "High water" where Nova says: Hello'))["render_id"]
    services.settings.out_dir.mkdir(parents=True, exist_ok=True)
    file = services.settings.out_dir / "high-water.mp4"
    file.write_bytes(b"film")
    finished: dict[str, Any] = {"state": "done", "duration_ms": 900, "out_files": [file.name]}
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(**finished))
    return str(render_id), file


async def agreed(talk: Conversing, sentence: str) -> str:
    """What came of it when Bob has agreed."""
    request = next(event for event in await talk.say(sentence) if isinstance(event, ApprovalRequested))
    decisions = talk.services.decisions
    await decisions.vote(request.approval_id, BOB, agrees=True)
    await decisions.run_approved()
    approval = await decisions.approvals.get(request.approval_id, BOB)
    return f"{approval.state}: {approval.outcome}"


async def called(
    services: Services, who: Principal, name: str, dry_run: bool = False, **arguments: Any
) -> Any:
    toolset = services.brain.toolset
    context = ToolContext(who, "ses_1", services.tool_services, dry_run=dry_run)
    return await toolset.run(context, prepare_call(toolset, name, arguments))


async def test_a_video_goes_to_the_trash_with_its_files_when_somebody_else_has_agreed(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    render_id, file = await done_video(talk)
    reply = await talk.told("Delete the last video")
    # The last line names the approval.
    assert reply.rpartition("\n")[0] == snapshot("waits", id=render_id, file=file.name)
    assert file.exists()
    assert await agreed(talk, f"Delete the video {render_id}") == snapshot("deleted", id=render_id)
    assert file.exists() and (await talk.services.studio.renders.get(render_id)).trashed_at is not None
    assert await talk.services.studio.renders.list() == []
    assert await talk.told("Where is it?") == snapshot("where", id=render_id)


async def test_a_video_that_is_deleted_for_good_is_gone_with_its_files(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    render_id, file = await done_video(talk)
    outcome = await agreed(talk, f"Delete the video {render_id} for good")
    assert outcome == snapshot("deleted_for_good", id=render_id)
    assert not file.exists()
    with pytest.raises(NotFound):
        await talk.services.studio.renders.get(render_id)
    assert failure(await talk.say("Where is it?")).code == "render.deleted"


async def test_a_video_that_is_being_made_is_not_deleted_but_cancelled_first(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    await talk.say("Make a video where Nova says: Hello")
    refused = failure(await talk.say("Delete the last video"))
    assert (refused.code, refused.hint) == ("render.active", snapshot("active"))


async def test_a_newer_video_voids_the_yes_to_the_last_one(services: Services) -> None:
    talk = Conversing(services, ADA)
    _, file = await done_video(talk)
    talk.session_id = None
    request = next(
        event for event in await talk.say("Delete the newest video") if isinstance(event, ApprovalRequested)
    )
    await done_video(Conversing(services, ADA))
    await services.decisions.vote(request.approval_id, BOB, agrees=True)
    await services.decisions.run_approved()
    approval = await services.decisions.approvals.get(request.approval_id, BOB)
    assert (approval.state, approval.outcome) == DRIFTED and file.exists()
    assert len(await services.studio.renders.list()) == 2


@pytest.mark.parametrize("sentence", ["Delete it", "Delete all my videos", "Delete the video scene"])
async def test_a_vague_wish_deletes_no_video(talk: Conversing, sentence: str) -> None:
    _, file = await done_video(talk)
    assert not [event for event in await talk.say(sentence) if isinstance(event, ApprovalRequested)]
    assert file.exists()


async def test_a_dry_run_of_a_deletion_asks_nobody(talk: Conversing, snapshot: SentenceSnapshot) -> None:
    render_id, file = await done_video(talk)
    planned = await called(talk.services, ADA, "cancel_render", True, action="delete", render=render_id)
    reply = planned.sentence()
    assert reply == snapshot("dry_run", id=render_id, file=file.name)
    assert file.exists() and (await talk.services.studio.renders.get(render_id)).state == "done"


async def test_a_plan_to_cancel_names_the_video(talk: Conversing) -> None:
    render_id = result(await talk.say("Make a video where Nova says: Hello"))["render_id"]
    reply = (await called(talk.services, ADA, "cancel_render", True, render=render_id)).sentence()
    assert "Stop making the video" in reply and render_id in reply
    assert (await talk.services.studio.renders.get(render_id)).state == "queued"


@pytest.mark.parametrize("who", [EDITOR, VIEWER], ids=lambda who: who.role)
@pytest.mark.parametrize(
    ("sentence", "permission"),
    [("Delete the last video", "render:delete"), ("Delete the persona Nova", "persona:delete")],
)
async def test_whoever_may_not_delete_is_refused_before_anybody_is_asked(
    services: Services, who: Principal, sentence: str, permission: str
) -> None:
    events = await Conversing(services, who).say(sentence)
    assert failure(events).code == "policy.forbidden" and permission in failure(events).message
    assert not [event for event in events if isinstance(event, ApprovalRequested)]


async def test_what_is_not_there_is_not_deleted(talk: Conversing) -> None:
    assert failure(await talk.say("Delete the video rnd_0123456789")).code == "render.not_found"
    assert failure(await talk.say("Delete the last video")).code == "render.none_yet"
    events = await talk.say("Delete the persona Nowa")
    assert not {"tool_result", "approval"} & {event.type for event in events}, "which one is asked"


async def test_another_tenant_deletes_nothing(talk: Conversing) -> None:
    render_id, file = await done_video(talk)
    await photographed(talk.services)
    for name, arguments, code in (
        ("cancel_render", {"action": "delete", "render": render_id}, "render.not_found"),
        ("create_persona", {"action": "delete", "persona": "Grace"}, "persona.not_found"),
    ):
        with pytest.raises(SoundstageError) as refused:
            await called(talk.services, ELSEWHERE, name, **arguments)
        assert refused.value.code == code
    assert file.exists() and talk.services.studio.library.get("grace").name == "Grace"


async def test_a_persona_goes_with_its_face_and_its_videos(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    services = talk.services
    sha256 = await photographed(services)
    render = await services.studio.renders.create(
        RenderRequest(script="Hello", persona="grace"), requested_by="Ada"
    )
    await services.studio.renders.cancel(render.id)
    reply = await talk.told("Delete the persona Grace")
    assert "Delete the face and the voice for good, with all made of them: Grace (grace)" in reply
    assert (
        f"Stop and delete the video: “Hello” ({render.id})" in reply
        and f"Delete what is stored as: {sha256}" in reply
    )
    assert services.studio.library.get("grace").name == "Grace"
    assert await agreed(talk, "Delete the persona Grace") == snapshot("persona_deleted")
    with pytest.raises(NotFound):
        services.studio.library.get("grace")
    assert await services.studio.renders.list() == [] and await services.studio.consents.list() == []
    assert [blob async for blob in services.blobs.iterate()] == []


async def test_a_video_made_meanwhile_voids_the_yes_to_a_deleted_persona(talk: Conversing) -> None:
    services = talk.services
    await photographed(services)
    request = next(
        event for event in await talk.say("Delete the persona Grace") if isinstance(event, ApprovalRequested)
    )
    await services.studio.renders.create(RenderRequest(script="Hi", persona="grace"), requested_by="Eve")
    await services.decisions.vote(request.approval_id, BOB, agrees=True)
    await services.decisions.run_approved()
    approval = await services.decisions.approvals.get(request.approval_id, BOB)
    assert (approval.state, approval.outcome) == DRIFTED
    assert services.studio.library.get("grace").name == "Grace"


async def test_a_dry_run_keeps_the_persona(services: Services) -> None:
    await photographed(services)
    planned = await called(services, ADA, "create_persona", True, action="delete", persona="grace")
    assert "Delete the record of consent: " in planned.sentence()
    assert services.studio.library.get("grace").name == "Grace"


async def test_the_operators_persona_is_a_file_and_stays(talk: Conversing) -> None:
    assert failure(await talk.say("Delete the persona Nova")).code == "persona.shipped"
    assert talk.services.studio.library.get("nova").name == "Nova"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cancel_render", {"action": "delete", "render": "rnd_01m7yz0vne6nnccr9psdpj3bn9"}),
        ("cancel_render", {"action": "delete", "render": "latest"}),
        ("cancel_render", {"action": "cancel", "render": "rnd_01m7yz0vne6nnccr9psdpj3bn9"}),
        ("create_persona", {"action": "delete", "persona": "Ada B."}),
        ("create_persona", {"action": "reload", "persona": "Ada B."}),
        ("create_persona", {"action": "reload"}),
    ],
)
def test_what_is_offered_is_what_is_done(grammar: Grammar, name: str, arguments: dict[str, Any]) -> None:
    toolset = DirectToolset(ALL_TOOLS)
    call = prepare_call(toolset, name, arguments)
    sentence = grammar.wording(call.rule).sentence(arguments)
    found = grammar.understand(sentence)
    assert isinstance(found, Understanding), sentence
    assert prepare_call(toolset, str(found.tool), found.arguments) == call, sentence
