"""An answer outlives its connection, and its process too: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from brain_answers import answer, ignore
from fastapi import FastAPI
from local_login import log_in_locally
from scripted_model import Call, Say, Script, ScriptedModel, scripted_model
from sentences import SentenceSnapshot
from sqlalchemy import update

from agent.events import BrainEvent, Text, TextPart
from agent.sessions.models import AgentTurn
from agent.sessions.schemas import TurnOut
from agent.sessions.service import OpenTurn, SessionService, TurnEnd
from agent.turns.log import TurnLog
from app.composition import Services, open_services
from app.server.web import create_app
from policy import Principal
from soundstage.database import utcnow
from soundstage.errors import Conflict, Unavailable
from soundstage.settings import Settings

ME = Principal.local_admin("test")
SPEAKER = Path(__file__).with_name("speaker.py")
WAIT_S = 60
ASKED = "make me some sort of video, whatever you like best"
MAKE = Call("make_render", {"script": "Tides come and go.", "persona": "nova"})


async def killed_while(settings: Settings, model: ScriptedModel, session_id: str, until: str) -> None:
    """Another process answers and is killed as soon as it has told an event of the kind `until`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SPEAKER),
        str(settings.state_dir),
        model.base_url,
        session_id,
        "request-0001",
        ASKED,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    async with asyncio.timeout(WAIT_S):
        while True:
            line = await process.stdout.readline()
            if not line:
                raise RuntimeError("the speaker ended before it was killed")
            if line.startswith(b"{") and json.loads(line)["type"] == until:
                break
    # What is streamed is written every quarter of a second; this event, too, was told after all before it.
    await written(settings, session_id, until)
    process.kill()
    await process.wait()


async def written(settings: Settings, session_id: str, kind: str) -> None:
    async with (
        asyncio.timeout(WAIT_S),
        open_services(settings) as services,
        aclosing(services.events.follow(f"turn:{session_id}:1")) as events,
    ):
        async for event in events:
            if event.kind == kind:
                return


async def settled(services: Services, session_id: str) -> TurnOut:
    """The first turn, as soon as it has an end."""
    async with asyncio.timeout(WAIT_S), aclosing(services.turns.follow(ME, session_id, 1)) as events:
        async for _ in events:
            pass
    return await services.brain.sessions.turn(ME, session_id, 1)


async def test_after_a_kill_the_turn_says_what_was_said_and_that_it_broke_off(
    settings: Settings, snapshot: SentenceSnapshot
) -> None:
    async with scripted_model(Say("It is going well.", hold=asyncio.Event())) as model:
        async with open_services(settings) as services:
            session_id = (await services.brain.sessions.open(ME)).id
        await killed_while(settings, model, session_id, "text_part")
        async with open_services(settings) as services:
            turn = await settled(services, session_id)
            events = [event async for event in services.turns.follow(ME, session_id, 1)]
            again = await services.brain.sessions.open(ME, session_id)
            assert (await answer(services.brain, again, "help"))[-1].type == "done"
    assert turn.state == "interrupted"
    assert turn.reply.startswith("It\nThe server stopped")
    assert [item.event.type for item in events] == ["turn", "text_part", "error", "done"]
    assert events[2].event.hint == snapshot("nothing_begun", asked=ASKED)


async def test_what_a_killed_answer_has_made_is_there_once_and_never_made_again(settings: Settings) -> None:
    async with scripted_model(MAKE, Say("I am making it.", hold=asyncio.Event())) as model:
        async with open_services(settings) as services:
            session_id = (await services.brain.sessions.open(ME)).id
        await killed_while(settings, model, session_id, "text_part")
        async with open_services(settings) as services:
            conversation = await services.brain.sessions.open(ME, session_id)
            output = await services.turns.ask(conversation, ASKED, request_id="request-0001")
            async with asyncio.timeout(WAIT_S):
                events = [item.event async for item in output]
            created = await services.studio.renders.list()
        assert len(model.asked) == 2
    assert [one.state for one in created] == ["queued"]
    kinds = [event.type for event in events]
    assert kinds == ["turn", "tool_call", "tool_result", "text_part", "error", "done"]
    assert "look whether its effect is there" in getattr(events[-2], "hint")  # noqa: B009


# Over HTTP.


@asynccontextmanager
async def web(settings: Settings, *script: Script) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    async with scripted_model(*script) as model:
        near = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": near}})
        async with open_services(chosen) as services:
            app: FastAPI = create_app(services)
            transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
            headers = await log_in_locally(services.policy)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", headers=headers
            ) as client:
                yield client, services
            await services.turns.close()


async def running(client: httpx.AsyncClient) -> str:
    """The path of the turn that is being answered."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for session in (await client.get("/api/chat/sessions")).json():
                path = f"/api/chat/sessions/{session['id']}/turns/1"
                answer = await client.get(path)
                if answer.status_code == 200 and answer.json()["reply"]:
                    return path
            await asyncio.sleep(0.1)


def sse(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


async def test_a_turn_can_be_read_again_while_it_is_answered_and_goes_on_without_its_reader(
    settings: Settings,
) -> None:
    hold = asyncio.Event()
    async with web(settings, Say("one two three", hold=hold)) as (client, _):
        asking = asyncio.create_task(client.post("/api/chat", json={"message": "count for me, would you"}))
        path = await running(client)
        # As if the page was closed in mid-answer.
        asking.cancel()
        assert (await client.get(path)).json()["state"] == "running"
        hold.set()
        reply = sse((await client.get(f"{path}/events")).text)
        turn = (await client.get(path)).json()
    assert (turn["state"], turn["reply"]) == ("done", "one two three")
    assert [one["type"] for one in reply if one["type"] != "text_part"] == ["turn", "text", "done"]
    assert "".join(one["text"] for one in reply if one["type"] == "text_part") == "one two three"


async def test_a_reader_comes_back_where_it_was_and_hears_the_end_once(settings: Settings) -> None:
    async with web(settings, Say("never asked")) as (client, services):
        session_id = (await client.post("/api/chat", json={"message": "list my videos"})).json()["session_id"]
        path = f"/api/chat/sessions/{session_id}/turns/1/events"
        events = await services.events.read(f"turn:{session_id}:1")
        rest = await client.get(path, headers={"Last-Event-ID": str(events[2].id)})
        over = await client.get(path, headers={"Last-Event-ID": str(events[-1].id)})
    assert [one["type"] for one in sse(rest.text)] == ["tool_result", "text", "done"]
    assert over.status_code == 204


async def test_an_answer_is_cancelled_from_elsewhere_and_all_who_listen_hear_it(settings: Settings) -> None:
    async with web(settings, Say("one two three", hold=asyncio.Event())) as (client, _):
        asking = asyncio.create_task(client.post("/api/chat", json={"message": "count for me, would you"}))
        path = await running(client)
        cancelled = (await client.post(f"{path}/cancel")).json()
        answer = (await asyncio.wait_for(asking, WAIT_S)).json()
        again = (await client.post(f"{path}/cancel")).json()
    assert cancelled["state"] == again["state"] == "cancelled"
    assert [event["type"] for event in answer["events"]][-2:] == ["error", "done"]


async def test_a_request_that_comes_twice_also_at_once_makes_one_video(settings: Settings) -> None:
    request = {"message": "Have Nova say: one", "request_id": "page-12345678"}
    async with web(settings, Say("never asked")) as (client, services):
        first, second = [(await client.post("/api/chat", json=request)).json() for _ in range(2)]
        at_once = {**request, "request_id": "page-23456789"}
        third, fourth = await asyncio.gather(*(client.post("/api/chat", json=at_once) for _ in range(2)))
        assert len(await services.studio.renders.list()) == 2
    assert third.json()["events"] == fourth.json()["events"]
    assert first["events"] == second["events"]
    assert first["session_id"] == second["session_id"]


async def test_a_request_that_another_process_has_begun_is_not_begun_again(settings: Settings) -> None:
    async with open_services(settings) as services:
        sessions = services.brain.sessions
        conversation = await sessions.open(ME)
        await sessions.begin_turn(conversation, "Have Nova say: one", "request-0001")
        with pytest.raises(Conflict) as begun:
            await sessions.begin_turn(conversation, "Have Nova say: one", "request-0001")
        assert begun.value.code == "turn.begun"
        somebody = await sessions.open(Principal.local_admin("somebody"))
        await sessions.begin_turn(somebody, "Have Nova say: one", "request-0001")


async def test_what_could_not_be_written_is_written_the_next_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("database.busy", "Too many want the database at once.")

    async with open_services(settings) as services:
        sessions = services.brain.sessions
        turn = await sessions.begin_turn(await sessions.open(ME), "hello")
        log = TurnLog(sessions, turn, ignore)
        await log.add(TextPart(text="one "))
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(sessions, "append_events", busy)
            await log.flush()
        await log.add(Text(text="one two"))
        await log.end()
        events = [event.kind for event in await services.events.read(turn.stream)]
    assert events == ["text_part", "text"]


async def test_an_answer_that_was_declared_lost_changes_nothing_any_more(settings: Settings) -> None:
    async with open_services(settings) as services:
        sessions = services.brain.sessions
        # As if nothing was heard of it for too long, from its beginning.
        sessions.lease_s = -1
        conversation = await sessions.open(ME)
        kinds: list[str] = []

        async def emit(event: BrainEvent) -> None:
            kinds.append(event.type)
            if event.type == "turn":
                assert (await sessions.turn(ME, conversation.id, 1)).state == "interrupted"

        await services.brain.answer(conversation, "Have Nova say: one", emit)
        assert kinds == ["turn", "understood", "error", "done"]
        assert await services.studio.renders.list() == []


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_neither_ends_an_answer_nor_keeps_that_of_a_dead_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    async with open_services(settings) as services:
        here = services.brain.sessions
        elsewhere = SessionService(here.database, here.events, here.audit)
        conversation = await here.open(ME)
        with monkeypatch.context() as patch:
            patch.setattr("agent.sessions.service.utcnow", lambda: utcnow() + timedelta(hours=hours))
            running = await here.begin_turn(conversation, "hello")
            await here.append_events(running, [], TurnEnd())
            for sessions in (here, elsewhere):
                assert (await sessions.turn(ME, *of(running))).state == "running"
            here.lease_s = -1
            dead = await here.begin_turn(conversation, "and again")
        assert (await elsewhere.turn(ME, *of(running))).state == "running"
        assert (await elsewhere.turn(ME, *of(dead))).state == "interrupted"


async def test_an_answer_outlives_a_jump_of_the_clock_of_the_database_in_its_own_process_alone(
    settings: Settings,
) -> None:
    async with open_services(settings) as services:
        here = services.brain.sessions
        turn = await here.begin_turn(await here.open(ME), "hello")
        async with here.database.transaction() as session:
            await session.execute(update(AgentTurn).values(alive_until=utcnow() - timedelta(hours=1)))
        assert (await here.turn(ME, *of(turn))).state == "running"
        await here.append_events(turn, [], TurnEnd())
        elsewhere = SessionService(here.database, here.events, here.audit)
        assert (await elsewhere.turn(ME, *of(turn))).state == "running", "its lease is renewed"


def of(turn: OpenTurn) -> tuple[str, int]:
    return turn.session_id, turn.number


async def test_a_model_does_not_go_on_once_its_turn_was_declared_lost(settings: Settings) -> None:
    async with web(settings, MAKE, Say("never asked")) as (_, services):
        services.brain.sessions.lease_s = -1
        conversation = await services.brain.sessions.open(ME)
        kinds: list[str] = []

        async def emit(event: BrainEvent) -> None:
            kinds.append(event.type)
            if event.type == "turn":
                await services.brain.sessions.turn(ME, conversation.id, 1)

        await services.brain.answer(conversation, ASKED, emit)
        assert await services.studio.renders.list() == []
    assert kinds == ["turn", "error", "done"]


async def test_a_fault_of_our_own_is_told_and_not_taken_for_an_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web(settings, Say("never asked")) as (client, services):
        monkeypatch.setattr(services.studio.renders, "list", None)
        answer = (await client.post("/api/chat", json={"message": "list my videos"})).json()
        turns = await client.get(f"/api/chat/sessions/{answer['session_id']}/turns")
    assert [event["type"] for event in answer["events"]][-2:] == ["error", "done"]
    assert answer["events"][-2]["code"] == "internal.unexpected"
    assert turns.json()[0]["state"] == "failed"


async def test_an_answer_that_cannot_even_begin_is_a_problem_document(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web(settings, Say("never asked")) as (client, services):
        monkeypatch.setattr(services.brain.sessions, "begin_turn", None)
        answer = await client.post("/api/chat", json={"message": "list my videos"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.unexpected")


@pytest.mark.parametrize("path", ["ses_none/turns/1", "ses_none/turns/1/events"])
async def test_a_turn_that_there_is_not_is_a_problem_document(settings: Settings, path: str) -> None:
    async with web(settings, Say("x")) as (client, _):
        answer = await client.get(f"/api/chat/sessions/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "session.not_found")
        session_id = (await client.post("/api/chat", json={"message": "help"})).json()["session_id"]
        answer = await client.get(f"/api/chat/sessions/{session_id}/turns/2")
        assert (answer.status_code, answer.json()["code"]) == (404, "session.no_such_turn")
        answer = await client.get(f"/api/chat/sessions/{session_id}/turns/0")
        assert answer.status_code == 422
