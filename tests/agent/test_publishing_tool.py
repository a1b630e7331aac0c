"""A video leaves the house only when somebody else has agreed to channel, title, privacy and disclosure."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from conversing import Conversing, failure, result
from sentences import SentenceSnapshot
from sqlalchemy import update

from agent.approvals.states import ApprovalState
from agent.events import ApprovalRequested, Text
from agent.tools.record import ToolContext
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import plan_of
from app.composition import Services, open_services
from policy import Principal
from soundstage.database import utcnow
from soundstage.settings import Settings
from studio.publishing.models import Account
from studio.renders.models import Render, RenderOutput

BOB = Principal("key_bob", "Bob", "operator", "session")
SEALED = "sealed; nothing is sent in these tests"


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    youtube = settings.youtube.model_copy(update={"client_id": "a-client"})
    async with open_services(settings.model_copy(update={"youtube": youtube})) as made:
        yield made


async def connected(services: Services, *titles: str) -> None:
    async with services.database.transaction() as session:
        for title in titles:
            session.add(
                Account(
                    channel_id=f"UC{title.replace(' ', '')}",
                    title=title,
                    connected_by="test",
                    refresh_token_sealed=SEALED,
                    access_token_sealed=SEALED,
                    access_expires_at=utcnow(),
                )
            )


@pytest.fixture
async def talk(services: Services) -> Conversing:
    """A conversation about a video that is done."""
    talk = Conversing(services)
    render_id = result(await talk.say('Make a video called "High water" where Nova says: Hello'))["render_id"]
    async with services.database.transaction() as session:
        await session.execute(
            update(Render).where(Render.id == render_id).values(state="done", duration_ms=900)
        )
        session.add(
            RenderOutput(
                render_id=render_id,
                role="video",
                name="high-water.mp4",
                sha256=f"sha256:{'0' * 64}",
                bytes=3 << 20,
                media_type="video/mp4",
            )
        )
    return talk


async def asked(talk: Conversing, sentence: str) -> ApprovalRequested:
    return next(event for event in await talk.say(sentence) if isinstance(event, ApprovalRequested))


async def test_the_plan_names_channel_title_privacy_and_disclosure(talk: Conversing) -> None:
    await connected(talk.services, "Sea School")
    events = await talk.say("Publish it on YouTube as unlisted")
    [told] = [event.text for event in events if isinstance(event, Text)]
    for part in ("Sea School (UCSeaSchool)", "“High water”", "unlisted", "3.0 MiB", "synthetic"):
        assert part in told
    assert await talk.services.studio.outgoing.publishing.page() == []


async def test_all_of_a_long_description_is_in_the_plan(talk: Conversing) -> None:
    await connected(talk.services, "Sea School")
    description = "Ebb and flow. " * 80 + "And this is the end."
    call = prepare_call(
        talk.services.brain.toolset,
        "publish_render",
        {"action": "publish", "description": description},
    )
    context = ToolContext(talk.principal, "ses_test", talk.services.tool_services)

    plan = await plan_of(context, call)

    told = "".join(one.what.removeprefix("Description: ").removeprefix("… ") for one in plan.changes[3:])
    assert told.startswith(description)


async def test_it_is_queued_when_somebody_else_has_agreed(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    await connected(talk.services, "Sea School")
    waits = await asked(talk, "Publish it")
    assert "has not been published" in await talk.told("Is it published?")
    decisions = talk.services.decisions
    await decisions.vote(waits.approval_id, BOB, agrees=True)
    await decisions.run_approved()
    approval = await decisions.approvals.get(waits.approval_id, BOB)
    assert approval.state is ApprovalState.DONE
    [publication] = await talk.services.studio.outgoing.publishing.page()
    assert (publication.state, publication.wishes.privacy, publication.wishes.synthetic) == (
        "queued",
        "private",
        True,
    )
    assert await talk.told("Is it on YouTube yet?") == snapshot("on_its_way")


async def test_an_agreement_is_void_when_the_video_has_another_name_since(talk: Conversing) -> None:
    await connected(talk.services, "Sea School")
    waits = await asked(talk, "Publish it")
    async with talk.services.database.transaction() as session:
        await session.execute(update(Render).values(title="Low water"))
    decisions = talk.services.decisions
    await decisions.vote(waits.approval_id, BOB, agrees=True)
    await decisions.run_approved()
    assert (await decisions.approvals.get(waits.approval_id, BOB)).state is ApprovalState.VOID
    assert await talk.services.studio.outgoing.publishing.page() == []


async def test_an_administrator_waits_for_somebody_too_and_an_editor_may_not_ask(talk: Conversing) -> None:
    await connected(talk.services, "Sea School")
    assert talk.principal.role == "admin"
    assert await asked(talk, "Publish it publicly")
    editor = Conversing(talk.services, Principal("key_ed", "Ed", "editor", "key"))
    assert failure(await editor.say("Publish it on YouTube")).code == "policy.forbidden"


async def test_what_is_missing_is_said_before_anybody_is_asked(talk: Conversing) -> None:
    assert failure(await talk.say("Publish it")).code == "publishing.no_account"
    await connected(talk.services, "Sea School", "Moon School")
    assert failure(await talk.say("Publish it")).code == "publishing.which_account"
    told = failure(await talk.say('Publish it on the channel "Sun School"'))
    assert told.code == "publishing.account_not_found"
    assert "Sea School" in told.hint
    assert await asked(talk, 'Publish it on the channel "Moon School"')


async def test_a_video_that_is_not_done_is_not_published(talk: Conversing) -> None:
    await connected(talk.services, "Sea School")
    await talk.say("Have Nova say: Not yet.")
    assert "When the video “Not yet” is ready" in await talk.told("Publish it")
    await talk.say("no")
    await talk.say("cancel the video")
    assert failure(await talk.say("Publish it")).code == "publication.no_video"
