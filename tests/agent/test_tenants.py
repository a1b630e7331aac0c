"""What one tenant has said, saved or asked to be remembered does not exist for another one, by no way in."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from conversing import Conversing, failure

from agent.event_stream import EventReader
from agent.mcp.calls import McpCalls, McpSessions
from agent.memory.service import Owner
from agent.turns.runner import TurnRunner
from app.composition import Services
from policy import Principal
from soundstage.errors import NotFound

ADA = Principal(id="key_ada", name="Ada", role="admin", kind="key")
ELSEWHERE = replace(ADA, tenant="acme")
"""The same id and all rights, in another tenant."""
SECRET = "the channel is called Deep Water"


@pytest.fixture
async def talk(services: Services) -> Conversing:
    created = Conversing(services, ADA)
    await created.say(f"Remember that {SECRET}")
    await created.say("Save this as tides")
    return created


async def test_a_conversation_is_neither_listed_nor_read_nor_gone_on_with(
    services: Services, talk: Conversing
) -> None:
    sessions, session_id = services.brain.sessions, str(talk.session_id)
    assert [one.id for one in await sessions.list(ADA)] == [session_id]
    assert await sessions.list(ELSEWHERE) == []
    for request in (
        sessions.open(ELSEWHERE, session_id),
        sessions.turns(ELSEWHERE, session_id),
        sessions.turn(ELSEWHERE, session_id, 1),
        services.turns.cancel(ELSEWHERE, session_id, 1),
        anext(services.turns.follow(ELSEWHERE, session_id, 1)),
        services.live.set_listening(ELSEWHERE, session_id, "listening"),
        anext(services.live.follow(ELSEWHERE, session_id)),
        services.snapshots.save(ELSEWHERE, "mine", session_id),
        services.snapshots.load(ELSEWHERE, "tides"),
        services.snapshots.compare(ELSEWHERE, "tides"),
    ):
        with pytest.raises(NotFound) as missing:
            await request
        assert missing.value.code in ("session.not_found", "snapshot.not_found")


async def test_a_snapshot_is_loaded_into_no_conversation_of_another_tenant(
    services: Services, talk: Conversing
) -> None:
    theirs = await services.brain.sessions.open(ELSEWHERE)
    with pytest.raises(NotFound):
        await services.snapshots.load(ADA, "tides", theirs.id)


async def test_the_tools_tell_nothing_of_it(services: Services, talk: Conversing) -> None:
    other = Conversing(services, ELSEWHERE)
    assert "Deep Water" not in await other.told("What do you remember?")
    assert failure(await other.say("Load tides")).code == "snapshot.not_found"
    assert "tides" not in await other.told("List my snapshots")
    assert (await services.memory.export(Owner.of(ELSEWHERE))).memories == ()
    [stored] = (await services.memory.export(Owner.of(ADA))).memories
    assert await services.memory.forget(Owner.of(ELSEWHERE), [stored.id]) == 0


async def test_a_request_with_the_same_number_is_another_request(
    services: Services, talk: Conversing
) -> None:
    runner, sessions = TurnRunner(services.brain, services.events), services.brain.sessions
    for principal in (ADA, ELSEWHERE):
        conversation = await sessions.open(principal)
        events = [event async for event in await runner.ask(conversation, "help", request_id="1")]
        assert events[-1].event.model_dump()["session_id"] == conversation.id
    # At the same moment as well.
    both = [await sessions.open(principal) for principal in (ADA, ELSEWHERE)]
    begun = [await runner.ask(one, "help", request_id="2") for one in both]
    ends = await asyncio.gather(*(_last(one) for one in begun))
    assert [end["session_id"] for end in ends] == [one.id for one in both]


async def _last(told: object) -> dict[str, object]:
    *_, last = [event async for event in told]  # type: ignore[attr-defined]
    return dict(last.event.model_dump())


async def test_over_mcp_latest_is_the_latest_of_the_tenant(services: Services) -> None:
    calls = McpCalls(services.brain.toolset, services.tool_services, services.database)
    created = await calls.call(ADA, "make_render", {"script": "From Ada.", "persona": "nova"})
    assert not created.is_error, created.content
    sessions = McpSessions(services.database)
    ours, theirs = await sessions.of(ADA), await sessions.of(ELSEWHERE)
    assert ours.last_render_id == (created.structured_content or {})["render_id"]
    assert theirs.id != ours.id and theirs.last_render_id is None


async def test_what_happens_in_it_is_told_to_nobody_else_not_even_with_the_right_to_audit(
    services: Services, talk: Conversing
) -> None:
    events = [one for one in await services.events.read() if one.stream == f"session:{talk.session_id}"]
    assert events
    for principal, sees in ((ADA, True), (replace(ADA, id="key_bob"), True), (ELSEWHERE, False)):
        reader = EventReader(principal, services.brain.sessions, services.decisions)
        assert [await reader.may_see(one) for one in events] == [sees] * len(events), principal


async def test_the_audit_log_shows_a_tenant_its_own_lines_and_its_chain_holds_for_all(
    services: Services, talk: Conversing
) -> None:
    other = Conversing(services, ELSEWHERE)
    await other.say("List my videos")
    ours = await services.audit.read(0, 1000, "default")
    theirs = await services.audit.read(0, 1000, "acme")
    assert {line.session_id for line in ours} == {talk.session_id}
    assert {line.session_id for line in theirs} == {other.session_id}
    assert len(await services.audit.read(0, 1000)) == len(ours) + len(theirs)
    with pytest.raises(NotFound):
        await services.audit.trail(str(talk.session_id), "acme")
    assert (await services.audit.verify()).broken_at is None


async def test_what_is_remembered_in_somebody_else_s_conversation_is_not_its_persona_s(
    services: Services,
) -> None:
    held = await services.brain.sessions.open(ADA, persona_id="nova")
    stored = await services.memory.remember(Owner.of(ELSEWHERE), "a thing", session_id=held.id)
    assert stored.memory.persona == ""
