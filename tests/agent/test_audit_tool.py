"""What happened is told from the audit log, to those who may read it, of their own tenant alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conversing import Conversing, failure, result
from sentences import SentenceSnapshot
from sqlalchemy import text

from app.composition import Services
from policy import Principal
from soundstage.telemetry import trace
from soundstage.tracing import trace_id

ADA = Principal("key_ada", "Ada", "admin", "session")
BEN = Principal("key_ben", "Ben", "editor", "session")
OPERATOR = Principal("key_oz", "Oz", "operator", "session")
ELSEWHERE = replace(ADA, tenant="acme")


async def made(services: Services, who: Principal = BEN) -> tuple[str, str]:
    """Trace and id of a video that somebody asked for."""
    with trace():
        events = await Conversing(services, who).say('Make a video called "Low water" where Nova says: Hello')
        return str(trace_id()), str(result(events)["render_id"])


async def test_the_log_is_shown_with_who_did_what(services: Services) -> None:
    await made(services)
    told = await Conversing(services, ADA).told("Show the audit log")
    assert told.startswith("The last lines of the audit log:\n")
    assert "tool.called" in told and "Ben" in told and "make_render" in told


async def test_the_newest_lines_are_shown_and_the_oldest_of_them_first(services: Services) -> None:
    for _ in range(9):
        await made(services)
    lines = result(await Conversing(services, ADA).say("Show the audit log"))["lines"]
    numbers = [line["number"] for line in lines]
    assert len(numbers) == 20 and numbers == list(range(numbers[0], numbers[0] + 20))
    assert numbers[0] > 1


async def test_the_story_of_a_trace_is_told_from_the_sentence_to_the_video(services: Services) -> None:
    found, render_id = await made(services)
    await made(services)
    told = await Conversing(services, ADA).told(f"What happened in the trace {found}?")
    assert told.startswith(f"The story of {found}:\n")
    kinds = [line.split()[2] for line in told.splitlines()[1:]]
    assert kinds[0] == "utterance.said" and "policy.decided" in kinds and kinds.count("tool.ended") == 1
    assert render_id in told


async def test_the_story_of_the_last_video_is_that_of_its_id(services: Services) -> None:
    _, render_id = await made(services, ADA)
    told = await Conversing(services, ADA).told("Tell me the story of the last video")
    assert told.startswith(f"The story of {render_id}:") and "make_render" in told


async def test_words_of_others_are_not_repeated_and_ones_own_are(services: Services) -> None:
    theirs, _ = await made(services, BEN)
    own, _ = await made(services, ADA)
    talk = Conversing(services, ADA)
    lines = result(await talk.say(f"What happened in the trace {theirs}?"))["lines"]
    assert "Low water" not in str(lines[0]) and "soundstage trace" in lines[0]["data"]["text"]
    lines = result(await talk.say(f"What happened in the trace {own}?"))["lines"]
    assert "Low water" in lines[0]["data"]["text"]


async def test_whether_the_log_is_whole_is_told(services: Services, snapshot: SentenceSnapshot) -> None:
    await made(services)
    talk = Conversing(services, ADA)
    assert await talk.told("Is the audit log whole?") == snapshot("whole")
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE audit_lines SET actor = 'Eve' WHERE number = 2"))
    assert await talk.told("Check the audit log") == snapshot("broken")


@pytest.mark.parametrize("who", [BEN, OPERATOR], ids=lambda who: who.role)
@pytest.mark.parametrize("sentence", ["Show the audit log", "Check the audit log"])
async def test_whoever_may_not_read_it_is_refused(services: Services, who: Principal, sentence: str) -> None:
    refused = failure(await Conversing(services, who).say(sentence))
    assert refused.code == "policy.forbidden" and "audit:read" in refused.message


async def test_an_id_of_which_nothing_is_known_is_told(services: Services) -> None:
    missing = failure(await Conversing(services, ADA).say("What happened in the trace 4f1c02aa93be4d51?"))
    assert missing.code == "audit.record_not_found"


async def test_another_tenant_reads_nothing_of_it(services: Services) -> None:
    found, render_id = await made(services)
    other = Conversing(services, ELSEWHERE)
    for wanted in (found, render_id):
        assert (
            failure(await other.say(f"What happened in the trace {wanted}?")).code == "audit.record_not_found"
        )
    told = result(await other.say("Show the audit log"))["lines"]
    assert "make_render" not in str(told) and {line["data"]["tenant"] for line in told} == {"acme"}
