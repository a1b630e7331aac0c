"""Triggers fire at their time or event, once, with the rights of now; a crash repeats no call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conversing import Conversing, result
from metric_values import read_state
from sqlalchemy import select, update

from agent.sessions.models import AgentTurn
from agent.sessions.schemas import INTERRUPTED
from agent.tools.record import ToolContext
from agent.tools.toolset import prepare_call
from agent.triggers.firing import NO_OWNER
from agent.triggers.models import Trigger
from agent.triggers.schemas import When
from app.composition import Services, open_services
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.database import utcnow
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, SoundstageError
from soundstage.settings import Settings
from studio.renders.models import Render

pytestmark = pytest.mark.each_database

ADA = Principal.local_admin("ada")
BOB = Principal.local_admin("bob")
ADA_ELSEWHERE = replace(ADA, tenant="another")
SPEAK = {"tool": "make_render", "arguments": {"script": "It is time."}}
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass
class Stage:
    """Services with a clock that tests set, and short ways to plan and to let time pass."""

    services: Services
    now: datetime = START

    def __post_init__(self) -> None:
        self.services.tool_services.triggers.clock = lambda: self.now

    async def plan(self, *steps: dict[str, Any], who: Principal = ADA) -> list[str]:
        sessions = self.services.brain.sessions
        conversation = await sessions.open(who)
        answer = await self.call("create", who, conversation.id, steps=steps)
        return [one.trigger_id for one in answer.triggers]

    async def call(self, action: str, who: Principal = ADA, session: str = "", **arguments: Any) -> Any:
        services = self.services
        render = await services.studio.renders.list(limit=1)
        context = ToolContext(
            principal=who,
            session_id=session or (await services.brain.sessions.open(who)).id,
            services=services.tool_services,
            last_render_id=render[0].id if render else None,
        )
        toolset = services.brain.toolset
        return await toolset.run(context, prepare_call(toolset, "triggers", {"action": action, **arguments}))

    async def later(self, **passed: float) -> None:
        """Lets time pass, and the worker look once."""
        self.now += timedelta(**passed)
        await self.poll()

    async def poll(self) -> None:
        worker = self.services.triggers
        for trigger_id in await worker.due((), 10):
            await worker.step(trigger_id)

    async def row(self, trigger_id: str) -> Trigger:
        found = await self.services.tool_services.triggers.get(trigger_id)
        assert found is not None
        return found

    async def videos(self) -> int:
        return len(await self.services.studio.renders.list(limit=50))

    async def video(self, state: str = "queued") -> str:
        """Makes a video in that state, and returns its id."""
        talk = Conversing(self.services, ADA)
        render_id: str = result(await talk.say("Have Nova say: Good morning"))["render_id"]
        await self.set_video(render_id, state)
        return render_id

    async def set_video(self, render_id: str, state: str) -> None:
        async with self.services.database.transaction() as session:
            await session.execute(update(Render).where(Render.id == render_id).values(state=state))


@pytest.fixture
async def at(database_url: str, settings: Settings) -> AsyncIterator[Stage]:
    """On both databases."""
    async with open_services(settings.model_copy(update={"database_url": database_url})) as services:
        yield Stage(services)


def at_time(moment: datetime, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"when": {"at": moment.isoformat()}, "calls": calls or (SPEAK,), "text": "speak then"}


def when_done(render_id: str, becomes: str = "done") -> dict[str, Any]:
    when = {"of": "render", "name": render_id, "becomes": becomes}
    return {"when": when, "calls": [SPEAK], "text": "speak when it is done"}


async def test_a_trigger_fires_once_at_its_time_as_a_turn_of_its_conversation(at: Stage) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    await at.later(minutes=59)
    assert await at.videos() == 0
    await at.later(minutes=2)
    await at.later(minutes=2)
    assert await at.videos() == 1
    row = await at.row(planned)
    assert (row.state, row.attempts) == ("fired", 1)
    assert await read_state(at.services.metrics, "triggers", state="fired") == 1
    [turn] = await at.services.brain.sessions.turns(ADA, row.session_id)
    assert (turn.utterance, turn.tool, turn.error_code) == ("speak then", "make_render", None)
    assert turn.reply == row.result != ""


async def test_the_audit_log_says_that_a_trigger_made_the_call(at: Stage) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    await at.later(hours=1)
    found = await at.services.audit.read(0, 20)
    utterances = [one for one in found if one.kind == "utterance.said"]
    assert utterances[0].data["source"] == "trigger"
    assert utterances[0].session_id == (await at.row(planned)).session_id


async def test_a_trigger_fires_when_its_video_is_ready(at: Stage) -> None:
    render_id = await at.video()
    [planned] = await at.plan(when_done(render_id))
    await at.poll()
    assert (await at.row(planned)).state == "waiting"
    await at.set_video(render_id, "done")
    await at.poll()
    assert (await at.row(planned)).state == "fired"
    assert await at.videos() == 2


async def test_a_trigger_for_a_ready_video_fails_with_the_video(at: Stage) -> None:
    render_id = await at.video()
    ready, failed = await at.plan(when_done(render_id), when_done(render_id, "failed"))
    await at.set_video(render_id, "failed")
    await at.poll()
    assert (await at.row(ready)).state == "failed"
    assert "is failed" in (await at.row(ready)).result
    assert (await at.row(failed)).state == "fired"


async def test_a_weekly_trigger_waits_for_its_next_day(at: Stage) -> None:
    when = {"every": "week", "days": ["monday"], "time": "09:00", "zone": "Europe/Berlin"}
    [planned] = await at.plan({"when": when, "calls": [SPEAK]})
    monday = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert (await at.row(planned)).fires_at == monday
    at.now = monday
    await at.poll()
    row = await at.row(planned)
    assert (row.state, row.fires_at) == ("waiting", monday + timedelta(days=7))
    at.now = monday + timedelta(days=7)
    await at.poll()
    assert await at.videos() == 2


def test_a_time_of_day_stays_when_summer_time_begins() -> None:
    daily = When(every="day", time="09:00", zone="Europe/Berlin")
    before = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
    first = daily.next_after(before)
    assert first is not None
    assert first.astimezone(UTC) == datetime(2027, 3, 28, 7, 0, tzinfo=UTC)
    assert (daily.next_after(datetime(2027, 3, 26, 12, 0, tzinfo=UTC)) or before).astimezone(UTC).hour == 8


@pytest.mark.parametrize("hours, fired", [(0.9, True), (1.1, False)])
async def test_a_missed_time_is_made_up_for_within_an_hour(at: Stage, hours: float, fired: bool) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    await at.later(hours=1 + hours)
    assert (await at.row(planned)).state == ("fired" if fired else "failed")
    assert await at.videos() == int(fired)


class Died(BaseException):
    """The process is killed: nothing catches this."""


async def crash(at: Stage, planned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fires a trigger whose process dies before it stores what came of it."""

    async def dies(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(at.services.tool_services.triggers, "finish", dies)
        patch.setattr(at.services.brain.sessions, "end_turn", dies)
        patch.setattr(at.services.brain.sessions, "lease_s", -1)
        at.now += timedelta(hours=1)
        with pytest.raises(Died):
            await at.poll()
    row = await at.row(planned)
    assert row.state == "firing"


async def test_a_crash_after_the_call_makes_no_second_call(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    await crash(at, planned, monkeypatch)
    assert await at.videos() == 1
    async with at.services.database.transaction() as session:
        await session.execute(update(AgentTurn).values(alive_until=utcnow() - timedelta(seconds=1)))
    await at.later(minutes=2)
    row = await at.row(planned)
    assert (row.state, await at.videos()) == ("failed", 1)
    assert "look what it has done" in row.result
    [turn] = await at.services.brain.sessions.turns(ADA, row.session_id)
    assert turn.error_code == INTERRUPTED


async def test_a_claim_whose_process_died_before_its_turn_fires_again(at: Stage) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    at.now += timedelta(hours=1)
    assert await at.services.tool_services.triggers.claim(planned) == 1
    await at.poll()
    assert await at.videos() == 0, "another process may still be at it"
    await at.later(minutes=2)
    await at.poll()
    assert ((await at.row(planned)).state, await at.videos()) == ("fired", 1)


async def test_two_processes_claim_one_trigger_once(at: Stage) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    at.now += timedelta(hours=1)
    service = at.services.tool_services.triggers
    assert [await service.claim(planned), await service.claim(planned)] == [1, None]


async def test_a_revoked_key_fires_nothing(at: Stage) -> None:
    keys, operator = at.services.policy.keys, Principal.local_admin("test")
    async with at.services.policy.db.transaction() as session:
        created = await keys.create(session, KeyRequest(name="Cy", role="editor"), by=operator)
        cy = await keys.by_id(session, created.id)
    assert cy is not None
    weekly = {"every": "day", "time": "10:00", "zone": "UTC"}
    once, daily = await at.plan(
        at_time(START + timedelta(hours=1)), {"when": weekly, "calls": [SPEAK]}, who=cy
    )
    async with at.services.policy.db.transaction() as session:
        await keys.revoke(session, created.id, by=operator)
    await at.later(hours=1)
    for planned in (once, daily):
        row = await at.row(planned)
        assert (row.state, row.result) == ("failed", NO_OWNER)
    assert await at.videos() == 0


async def test_the_policy_is_checked_again_when_it_fires(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))

    async def as_viewer(row: Trigger) -> Principal:
        return replace(ADA, role="viewer")

    monkeypatch.setattr(at.services.triggers, "find_principal", as_viewer)
    await at.later(hours=1)
    assert ((await at.row(planned)).state, await at.videos()) == ("failed", 0)


async def test_what_waits_is_listed_and_cancelled_and_never_fires(at: Stage) -> None:
    first, second = await at.plan(
        at_time(START + timedelta(hours=1)), {**at_time(START + timedelta(hours=2)), "text": "say noon"}
    )
    assert [one.trigger_id for one in (await at.call("list")).triggers] == [first, second]
    await at.call("cancel", trigger="the one at noon")
    assert (await at.row(second)).state == "cancelled"
    await at.call("cancel", trigger="1")
    await at.later(hours=3)
    assert await at.videos() == 0
    with pytest.raises(NotFound) as gone:
        await at.call("cancel", trigger=first)
    assert gone.value.code == "trigger.not_found"


async def test_words_that_fit_several_triggers_cancel_none(at: Stage) -> None:
    await at.plan(at_time(START + timedelta(hours=1)), at_time(START + timedelta(hours=2)))
    with pytest.raises(Conflict) as several:
        await at.call("cancel", trigger="speak")
    assert several.value.code == "trigger.several"


@pytest.mark.parametrize("other", [BOB, ADA_ELSEWHERE], ids=["another person", "another tenant"])
async def test_others_neither_see_nor_cancel_it(at: Stage, other: Principal) -> None:
    [planned] = await at.plan(at_time(START + timedelta(hours=1)))
    assert (await at.call("list", other)).triggers == ()
    for reference in (planned, "all", "1"):
        with pytest.raises(SoundstageError):
            await at.call("cancel", other, trigger=reference)
    assert (await at.row(planned)).state == "waiting"


async def test_a_step_that_waits_for_the_one_before_gets_its_result(at: Stage) -> None:
    previous = {"of": "render", "name": "previous", "becomes": "done"}
    _, second = await at.plan(
        at_time(START + timedelta(hours=1)), {"when": previous, "calls": [SPEAK], "text": "then"}
    )
    await at.later(hours=1)
    [created] = await at.services.studio.renders.list(limit=5)
    assert (await at.row(second)).condition["name"] == created.id
    await at.set_video(created.id, "done")
    await at.poll()
    assert ((await at.row(second)).state, await at.videos()) == ("fired", 2)


async def test_a_step_is_cancelled_with_the_one_that_it_waits_for(at: Stage) -> None:
    previous = {"of": "render", "name": "previous", "becomes": "done"}
    first, second = await at.plan(
        at_time(START + timedelta(hours=1)), {"when": previous, "calls": [SPEAK], "text": "then"}
    )
    await at.call("cancel", trigger=first)
    assert (await at.row(second)).state == "cancelled"


@pytest.mark.parametrize(
    "call, code",
    [
        ({"tool": "cancel_render", "arguments": {"action": "delete", "render": "x"}}, "trigger.destructive"),
        ({"tool": "triggers", "arguments": {"action": "list"}}, "trigger.nested"),
        ({"tool": "make_render", "arguments": {"speed": 3}}, "tool.bad_arguments"),
    ],
)
async def test_what_may_not_be_planned_is_refused_before_it_is_stored(
    at: Stage, call: dict[str, Any], code: str
) -> None:
    with pytest.raises(SoundstageError) as refused:
        await at.plan(at_time(START + timedelta(hours=1), call))
    assert refused.value.code == code
    async with at.services.database.session() as session:
        assert (await session.scalars(select(Trigger))).all() == []


async def test_nobody_plans_what_they_may_not_do(at: Stage) -> None:
    editor = replace(ADA, id="local:ed", role="editor")
    stop = {"tool": "change_job", "arguments": {"action": "stop", "job": "stt"}}
    with pytest.raises((Forbidden, Invalid)) as refused:
        await at.plan(at_time(START + timedelta(hours=1), stop), who=editor)
    assert refused.value.code in ("trigger.not_allowed", "trigger.destructive")


async def test_a_time_that_is_over_is_refused(at: Stage) -> None:
    with pytest.raises(Invalid) as refused:
        await at.plan(at_time(START - timedelta(hours=1)))
    assert refused.value.code == "trigger.over"


async def test_nothing_waits_for_what_is_repeated(at: Stage) -> None:
    hourly = {"when": {"every": "hour"}, "calls": [SPEAK], "text": "speak every hour"}
    previous = {"of": "render", "name": "previous", "becomes": "done"}
    with pytest.raises(Invalid) as refused:
        await at.plan(hourly, {"when": previous, "calls": [SPEAK], "text": "then"})
    assert refused.value.code == "trigger.repeats"
    listed = await at.call("list")
    assert not listed.triggers
