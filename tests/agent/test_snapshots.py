"""A conversation is saved under a name and gone on from, in another session and another process too."""

from __future__ import annotations

import pytest
from conversing import Conversing, failure, result
from scripted_model import Say, scripted_model
from sentences import SentenceSnapshot
from sqlalchemy import inspect, select, update

from agent.sessions.models import AgentSession
from agent.sessions.service import TurnEnd
from agent.snapshots.models import Continuation, Snapshot
from agent.snapshots.service import MAX_TEXT_CHARS, MAX_TURNS, SnapshotService
from app.composition import Services, open_services
from policy import Principal
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.settings import Settings
from studio.renders.models import Render

ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")
BOB = Principal(id="key_bob", name="Bob", role="editor", kind="key")
ADA_ELSEWHERE = Principal(id="key_ada", name="Ada", role="editor", kind="key", tenant="another")


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services, ADA)


async def finish(services: Services, render_id: str) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(state="done"))


async def test_after_a_restart_another_session_goes_on_where_it_was_saved(
    settings: Settings, snapshot: SentenceSnapshot
) -> None:
    async with open_services(settings) as services:
        talk = Conversing(services, ADA)
        tides = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
        assert await talk.told("Save this as tides") == snapshot("saved")
        await talk.say("Make a video called Sand where Nova says: second")
    async with open_services(settings) as services:
        later = Conversing(services, ADA)
        assert await later.told("load Tides") == snapshot("loaded")
        assert result(await later.say("Show it"))["render_id"] == tides
        assert result(await later.say("Cancel it"))["render_id"] == tides


async def test_what_changed_since_is_told_in_sentences(
    services: Services, talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    tides = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
    await talk.say("Save this as tides")
    assert await talk.told("What changed since tides?") == snapshot("unchanged")
    await finish(services, tides)
    await talk.say("Make a video called Sand where Nova says: second")
    assert await talk.told("What changed since tides?") == snapshot("changed")
    await talk.say("Save this as sand")
    between = await services.snapshots.compare(ADA, "sand", other="tides")
    assert [one.kind for one in between.differences] == ["turns", "video"]
    assert between.differences[0].sentence == snapshot("turn_missing")


async def test_a_model_goes_on_from_what_was_said_before_the_snapshot(settings: Settings) -> None:
    async with scripted_model(Say("Noted."), Say("Noted, too."), Say("You said: the blue one.")) as model:
        local = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": local}})
        async with open_services(chosen) as services:
            talk = Conversing(services, ADA)
            await talk.say("I would rather take the blue one of the two, what do you say")
            await talk.say("Save this as choice")
            other = Conversing(services, ADA)
            await other.say("this is quite another talk, about the weather and the wind")
            await other.say("Load choice")
            await other.say("so which of the two did I want")
    reply = [message["content"] for message in model.asked[-1]["messages"] if message["role"] == "user"]
    earlier, now = reply
    assert earlier == "I would rather take the blue one of the two, what do you say"
    assert now.startswith("so which of the two did I want\n\n<notes ")


async def test_what_goes_on_from_a_snapshot_is_saved_with_what_it_took_over(
    services: Services, talk: Conversing
) -> None:
    await talk.say("List my videos")
    await talk.say("Save this as one")
    other = Conversing(services, ADA)
    await other.say("Load one")
    await other.say("Who can speak?")
    await other.say("Save this as two")
    await services.snapshots.delete(ADA, "one")
    stored = await services.snapshots.get(ADA, "two")
    assert [turn.utterance for turn in stored.state.turns] == ["List my videos", "Who can speak?"]


async def test_a_name_is_one_owner_s_and_is_never_written_over_unasked(
    services: Services, talk: Conversing
) -> None:
    await talk.say("List my videos")
    await talk.say("Save this as Low Tide")
    taken = failure(await talk.say("save this as low  tide"))
    assert (taken.code, "over Low Tide" in taken.hint) == ("snapshot.exists", True)
    await talk.say("Who can speak?")
    assert "2 turns" in await talk.told("Save this over low tide")
    other = Conversing(services, BOB)
    await other.say("List my videos")
    assert "Saved" in await other.told("Save this as low tide")
    assert [one.name for one in await services.snapshots.list(ADA)] == ["low tide"]


@pytest.mark.parametrize("other", [BOB, ADA_ELSEWHERE], ids=["person", "tenant"])
async def test_somebody_else_s_snapshot_and_session_do_not_exist(
    services: Services, talk: Conversing, other: Principal
) -> None:
    await talk.say("List my videos")
    await talk.say("Save this as tides")
    snapshots = services.snapshots
    for verb in (snapshots.get, snapshots.load, snapshots.delete, snapshots.compare):
        with pytest.raises(NotFound) as missing:
            await verb(other, "tides")
        assert missing.value.code == "snapshot.not_found" and "tides" not in missing.value.hint
    assert await snapshots.list(other) == []
    for verb in (snapshots.save, snapshots.load):
        with pytest.raises(NotFound):
            await verb(BOB, "mine", talk.session_id)
    assert len(await snapshots.list(ADA)) == 1


async def test_a_near_miss_is_loaded_after_a_yes_only(
    services: Services, talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    await talk.say("Make a video called Tides where Nova says: hello")
    await talk.say("Save this as tides")
    assert await talk.told("load tidse") == snapshot("near_snapshot")
    async with services.database.session() as session:
        assert (await session.scalars(select(Continuation))).all() == []
    assert result(await talk.say("yes"))["action"] == "load"
    missed = failure(await talk.say("load whales"))
    assert missed.code == "snapshot.not_found"


async def test_there_is_a_limit_of_snapshots_of_turns_and_of_their_length(services: Services) -> None:
    few = SnapshotService(
        services.database,
        services.brain.sessions,
        services.studio.renders,
        services.studio.projects,
        maximum=1,
    )
    sessions = services.brain.sessions
    conversation = await sessions.open(ADA)
    for number in range(MAX_TURNS + 3):
        turn = await sessions.begin_turn(conversation, f"{number} " + "x" * MAX_TEXT_CHARS)
        await sessions.end_turn(turn, TurnEnd("y" * (MAX_TEXT_CHARS + 9)))
    await few.save(ADA, "long")
    state = (await few.get(ADA, "long")).state
    assert (len(state.turns), state.left_out) == (MAX_TURNS, 3)
    assert state.turns[0].utterance.startswith("3 ")
    assert {len(turn.reply) for turn in state.turns} == {MAX_TEXT_CHARS}
    assert (await few.compare(ADA, "long")).differences == ()
    with pytest.raises(Conflict) as full:
        await few.save(ADA, "another")
    assert full.value.code == "snapshot.too_many"
    await few.save(ADA, "long", replace=True)


async def test_without_any_conversation_there_is_nothing_to_save(services: Services) -> None:
    with pytest.raises(NotFound) as nothing:
        await services.snapshots.save(ADA, "tides")
    assert nothing.value.code == "snapshot.no_conversation"


async def test_a_video_and_a_persona_that_are_gone_are_no_errors(
    services: Services, talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    tides = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
    await talk.say("Cancel it")
    await talk.say("Save this as tides")
    await services.studio.renders.delete(tides)
    compared = await services.snapshots.compare(ADA, "tides")
    assert "\n".join(one.sentence for one in compared.differences) == snapshot("video_deleted")
    later = Conversing(services, ADA)
    await later.say("Load tides")
    assert failure(await later.say("Show it")).code == "render.deleted"


def test_a_column_of_sessions_is_either_saved_or_known_not_to_be() -> None:
    saved = {"title", "persona_id", "last_render_id", "last_project_id"}
    # A dialogue begins anew where a snapshot is loaded: its questions and calls are of another time.
    not_saved = {"id", "tenant", "principal_id", "turns", "dialogue", "created_at", "updated_at"}
    columns = {column.key for column in inspect(AgentSession).columns}
    assert columns == saved | not_saved, "say in State and in `load` what becomes of it"
    assert "state" in Snapshot.__table__.columns


@pytest.mark.parametrize("name", ["low/high", "a\\b", ".", ".."])
async def test_a_name_that_no_address_can_hold_is_refused_by_every_way_in(
    services: Services, talk: Conversing, name: str
) -> None:
    await talk.say("List my videos")
    reply = failure(await talk.say(f'Save this as "{name}"'))
    assert reply.code == "snapshot.bad_name" and "slashes" in reply.message
    for replace in (False, True):
        with pytest.raises(Invalid) as refused:
            await services.snapshots.save(ADA, name, talk.session_id, replace=replace)
        assert refused.value.code == "snapshot.bad_name"
    assert await services.snapshots.list(ADA) == []
