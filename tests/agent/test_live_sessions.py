"""Live sessions over a real server, with the real worker: a persona answers with text, sound and feeling."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from brain_answers import answer
from fastapi import FastAPI
from local_login import log_in_locally
from metric_values import metric_value, read_state
from scripted_model import Say, Script, scripted_model
from socket_servers import connect, on_loopback
from sqlalchemy import update
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from agent import routes as chat_routes
from agent.live.routes import live_router
from agent.sessions.models import AgentSession
from app.composition import Services, open_services
from policy import Principal, install_policy
from policy.keys.schemas import KeyRequest
from soundstage.errors import install_error_handlers
from soundstage.routers import add_routers
from soundstage.settings import Settings
from studio.personas.speaking import PersonaSpeech

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
WAIT_S = 120

LIVE = """
id: live
name: Live
face: {kind: rig, character: nova}
voice: {kind: espeak, rate_wpm: 300}
"""


@asynccontextmanager
async def serving(
    settings: Settings, *script: Script, **worker: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    """A real server on loopback with the routes of sessions and chat."""
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    async with scripted_model(*script) as model:
        near = {"base_url": model.base_url, "model": "scripted"}
        chosen = {"llm": {"local": near}, "worker": {"command": (str(WORKER),), **worker}}
        folded = settings.model_dump(exclude={"llm", "worker"})
        async with open_services(Settings.model_validate({**folded, **chosen})) as services:
            app = FastAPI(docs_url=None, redoc_url=None)
            add_routers(app, live_router(services.live))
            for name in ("brain", "watch", "turns", "experts"):
                setattr(app.state, name, getattr(services, name))
            add_routers(app, chat_routes.router)
            install_policy(app, services.policy, public={"/openapi.json": "a test"})
            install_error_handlers(app)
            await services.speech_scheduler.start()
            try:
                async with on_loopback(app) as address:
                    base = f"http://{address}"
                    try:
                        async with httpx.AsyncClient(
                            base_url=base,
                            headers=await log_in_locally(services.policy),
                            timeout=WAIT_S,
                            trust_env=False,
                        ) as client:
                            yield client, services
                    finally:
                        await services.turns.close()
                        await services.live.close()
            finally:
                await services.speech_scheduler.close()


@pytest.fixture
def live(settings: Settings) -> Settings:
    assert settings.personas_dir is not None
    (settings.personas_dir / "live.yaml").write_text(LIVE)
    return settings


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def opened_session(client: httpx.AsyncClient, persona: str = "live") -> dict[str, Any]:
    answer = await client.post("/api/session", json={"personaId": persona})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def say(client: httpx.AsyncClient, session_id: str, message: str) -> httpx.Response:
    return await client.post(f"/api/session/{session_id}/message", json={"message": message})


async def until(connection: ClientConnection, state: str) -> list[dict[str, Any]]:
    """The events up to the first of that state."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            found.append(json.loads(await connection.recv()))
            if found[-1].get("state") == state:
                return found


async def test_a_persona_answers_with_text_sound_feeling_and_a_page_sees_it_speak(live: Settings) -> None:
    words = "I know no video of that name. Which one do you mean?"
    async with serving(live, Say(words)) as (client, services):
        begun = await opened_session(client)
        assert begun.keys() == {"sessionId", "wsUrl", "personaConfig"}
        assert (begun["personaConfig"]["name"], begun["personaConfig"]["voiceId"]) == ("Live", "espeak:en-us")
        assert begun["personaConfig"]["imageUrl"].startswith("/api/personas/live/image?v=")
        assert begun["wsUrl"].endswith(f"/api/session/{begun['sessionId']}/events")
        async with connect(begun["wsUrl"]) as page:
            assert await until(page, "idle") == [{"type": "state", "state": "idle"}]
            answer = await say(client, begun["sessionId"], "show me render nosuch")
            assert answer.status_code == 200, answer.text
            reply = answer.json()
            events = await until(page, "idle")
        assert reply.keys() == {
            "response", "audio", "emotion", "duration", "emotionCurve", "emotionLanguage",
        }  # fmt: skip
        assert reply["emotionLanguage"] == "en"
        head, _, data = reply["audio"].partition(",")
        assert head == "data:audio/wav;base64"
        assert metric_value("voice_first_audio_seconds") == 1
        assert await read_state(services.metrics, "voice_sessions", state="speaking") == 0
        with wave.open(io.BytesIO(base64.b64decode(data))) as sound:
            assert abs(sound.getnframes() * 1000 / sound.getframerate() - reply["duration"]) <= 1
            assert any(sound.readframes(sound.getnframes())), "it is not silent"
        curve = reply["emotionCurve"]
        assert len(curve) == max(1, round(reply["duration"] / 100)) + 1
        assert [sample["time"] for sample in curve] == sorted(sample["time"] for sample in curve)

        states = [event for event in events if event["type"] == "state"]
        assert [event["state"] for event in states] == ["thinking", "speaking", "idle"]
        assert states[1]["durationMs"] == reply["duration"]
        [text] = [event for event in events if event["type"] == "response"]
        assert text["text"] == reply["response"] and text["turn"] == 1
        moving = [event for event in events if event["type"] in ("viseme", "emotion")]
        times = [event["atMs"] for event in moving]
        assert times == sorted(times) and {event["type"] for event in moving} == {"viseme", "emotion"}
        mouth = [event for event in moving if event["type"] == "viseme"]
        assert mouth[-1]["atMs"] + mouth[-1]["durationMs"] == reply["duration"]
        assert len({event["viseme"] for event in mouth}) > 3

        [turn] = (await client.get(f"/api/chat/sessions/{begun['sessionId']}/turns")).json()
        assert turn["utterance"] == "show me render nosuch", "chat and live session are one"
        async with connect(f"{begun['wsUrl']}?after={states[1]['id']}") as page:
            again = [json.loads(await page.recv()) for _ in range(2)]
        assert again[1] == states[2], "who comes back gets what it missed"


@pytest.mark.parametrize(
    ("language", "emotion", "words"),
    [("de", "happy", "de"), ("en-gb", "neutral", "en"), ("pt", "neutral", None)],
)
async def test_the_feeling_is_found_by_the_words_of_the_persona_s_language(
    live: Settings, language: str, emotion: str, words: str | None
) -> None:
    assert live.personas_dir is not None
    write(live.personas_dir / "live.yaml", f"{LIVE}style: {{language: {language}}}\n")
    async with serving(live, Say("Das freut mich sehr.")) as (client, _):
        begun = await opened_session(client)
        reply = (
            await say(
                client, begun["sessionId"], "das Video von gestern, was hältst du davon, ehrlich gesagt?"
            )
        ).json()
    assert (reply["response"], reply["emotion"], reply["emotionLanguage"]) == (
        "Das freut mich sehr.",
        emotion,
        words,
    )
    assert {sample["emotion"] for sample in reply["emotionCurve"]} == {emotion}


async def test_an_unknown_persona_session_or_message_is_a_typed_error(live: Settings) -> None:
    async with serving(live) as (client, _):
        refused = await client.post("/api/session", json={"personaId": "nobody"})
        assert (refused.status_code, refused.json()["code"]) == (404, "persona.not_found")
        refused = await say(client, "ses_nosuch", "hello")
        assert (refused.status_code, refused.json()["code"]) == (404, "session.not_found")
        session_id = (await opened_session(client))["sessionId"]
        for wrong in ({"message": ""}, {"message": "x" * 300_000}, {"message": ["a"]}, {}, {"text": "hi"}):
            refused = await client.post(f"/api/session/{session_id}/message", json=wrong)
            assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid"), wrong
        plain = (await client.post("/api/chat", json={"message": "help"})).json()["session_id"]
        refused = await say(client, plain, "hello")
        assert (refused.status_code, refused.json()["code"]) == (409, "session.no_persona")
        with pytest.raises(InvalidStatus):
            async with connect(f"ws{str(client.base_url)[4:]}/api/session/ses_nosuch/events"):
                pass


async def test_a_missing_worker_is_said_before_anything_is_answered(live: Settings, tmp_path: Path) -> None:
    async with serving(live, command=(str(tmp_path / "no-avatar"),)) as (client, _):
        session_id = (await opened_session(client))["sessionId"]
        refused = await say(client, session_id, "list my videos")
        assert (refused.status_code, refused.json()["code"]) == (503, "speech.no_worker")
        assert (await client.get(f"/api/chat/sessions/{session_id}/turns")).json() == []


async def test_a_worker_that_fails_leaves_the_text_in_the_session_and_the_persona_idle(
    live: Settings, tmp_path: Path
) -> None:
    broken = tmp_path / "avatar"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    async with serving(live, command=(str(broken),)) as (client, _):
        begun = await opened_session(client)
        async with connect(begun["wsUrl"]) as page:
            await until(page, "idle")
            refused = await say(client, begun["sessionId"], "list my videos")
            assert (refused.status_code, refused.json()["code"]) == (502, "worker.crashed")
            output = f"turn 1 of the session {begun['sessionId']} has the text"
            assert output in refused.json()["hint"]
            events = await until(page, "idle")
        assert [event["type"] for event in events][-2:] == ["error", "state"]
        [turn] = (await client.get(f"/api/chat/sessions/{begun['sessionId']}/turns")).json()
        assert turn["state"] == "done" and turn["reply"]


async def test_a_defect_while_it_speaks_leaves_no_page_with_a_persona_that_thinks_for_ever(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(PersonaSpeech, "say", broken)
    async with serving(live) as (client, _):
        begun = await opened_session(client)
        async with connect(begun["wsUrl"]) as page:
            await until(page, "idle")
            assert (await say(client, begun["sessionId"], "list my videos")).status_code == 500
            assert [event.get("state") for event in await until(page, "idle")] == ["thinking", None, "idle"]


async def test_a_second_message_waits_for_its_turn_and_the_first_one_is_answered(live: Settings) -> None:
    hold = asyncio.Event()
    async with serving(live, Say("one two", hold=hold)) as (client, _):
        begun = await opened_session(client)
        async with connect(begun["wsUrl"]) as page:
            first = asyncio.create_task(say(client, begun["sessionId"], "count for me, would you"))
            await until(page, "thinking")
            refused = await say(client, begun["sessionId"], "list my videos")
            assert (refused.status_code, refused.json()["code"]) == (409, "session.busy")
            hold.set()
            assert (await first).json()["response"] == "one two"


async def test_a_client_that_is_gone_leaves_the_answer_in_the_session_and_no_sound_is_made(
    live: Settings,
) -> None:
    hold = asyncio.Event()
    async with serving(live, Say("one two", hold=hold)) as (client, _):
        begun = await opened_session(client)
        async with connect(begun["wsUrl"]) as page:
            async with httpx.AsyncClient(
                base_url=client.base_url, headers=client.headers, timeout=WAIT_S, trust_env=False
            ) as going:
                asking = asyncio.create_task(say(going, begun["sessionId"], "count for me, would you"))
                await until(page, "thinking")
                asking.cancel()
                await asyncio.wait([asking])
            hold.set()
            events = await until(page, "idle")
        assert [event["type"] for event in events if event["type"] != "state"] == ["response"]
        [turn] = (await client.get(f"/api/chat/sessions/{begun['sessionId']}/turns")).json()
        assert (turn["state"], turn["reply"]) == ("done", "one two")


async def test_a_persona_listens_while_its_person_speaks_and_nonsense_is_refused(live: Settings) -> None:
    async with serving(live) as (client, _):
        begun = await opened_session(client)
        async with connect(begun["wsUrl"]) as page:
            await until(page, "idle")
            await page.send(json.dumps({"type": "listening"}))
            assert (await until(page, "listening"))[-1]["state"] == "listening"
            await page.send(json.dumps({"type": "listening"}))
            for nonsense in ("{", "[]", '{"type": "speaking"}', b"\x00", "x" * 5000):
                await page.send(nonsense)
                assert json.loads(await page.recv())["code"] == "session.bad_message"
            await page.send(json.dumps({"type": "idle"}))
            await until(page, "idle")


async def test_somebody_elses_session_does_not_exist(live: Settings) -> None:
    async with serving(live) as (client, services):
        begun = await opened_session(client)
        async with services.database.transaction() as session:
            request = KeyRequest(name="other", role="editor")
            created = await services.policy.keys.create(session, request, Principal.local_admin())
        client.headers["Authorization"] = f"Bearer {created.key}"
        refused = await say(client, begun["sessionId"], "list my videos")
        assert (refused.status_code, refused.json()["code"]) == (404, "session.not_found")


async def test_a_persona_uses_only_the_tools_of_its_file_over_any_transport(live: Settings) -> None:
    assert live.personas_dir is not None
    path: Path = live.personas_dir / "live.yaml"
    write(path, LIVE + "tools: [list_personas]\n")
    async with serving(live, Say("nothing to call")) as (client, _):
        session_id = (await opened_session(client))["sessionId"]
        chat = {"message": "list my videos", "session_id": session_id}
        answer = (await client.post("/api/chat", json=chat)).json()
        assert [event["code"] for event in answer["events"] if event["type"] == "error"] == [
            "persona.tool_not_allowed"
        ]
        assert not [event for event in answer["events"] if event["type"] == "tool_call"]
        chat["message"] = "which personas are there"
        assert "Live" in (await client.post("/api/chat", json=chat)).json()["reply"]
        write(path, LIVE)
        chat["message"] = "list my videos"
        answer = (await client.post("/api/chat", json=chat)).json()
        assert "tool_result" in [event["type"] for event in answer["events"]], "its file is read again"


async def test_a_model_knows_as_whom_it_speaks_and_gets_only_that_personas_tools(live: Settings) -> None:
    assert live.personas_dir is not None
    persona = LIVE + "description: Talks like a sailor.\ntools: [list_personas]\n"
    write(live.personas_dir / "live.yaml", persona)
    request: list[dict[str, Any]] = []

    def ahoy(body: dict[str, Any]) -> Say:
        request.append(body)
        return Say("Ahoy!")

    async with serving(live, ahoy) as (client, _):
        session_id = (await opened_session(client))["sessionId"]
        answer = (await say(client, session_id, "and how do you feel today, old friend")).json()
    assert (answer["response"], answer["emotion"]) == ("Ahoy!", "happy")
    [body] = request
    assert "<data" in body["messages"][0]["content"].partition("You speak as a persona")[2]
    assert "Talks like a sailor." in body["messages"][0]["content"]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["list_personas"]


async def test_voices_do_not_wait_behind_videos(live: Settings) -> None:
    async with serving(live) as (client, services):
        assert services.speech_scheduler is not services.scheduler
        assert services.studio.speech.scheduler is services.speech_scheduler
        sessions = [(await opened_session(client))["sessionId"] for _ in range(3)]
        reply = await asyncio.gather(*(say(client, session_id, "help") for session_id in sessions))
        assert [answer.status_code for answer in reply] == [200, 200, 200]
        assert reply[0].json()["duration"] < 120_000, "a long help is said up to about a minute"


async def test_a_cloned_voice_without_consent_is_refused_before_anything_is_answered(live: Settings) -> None:
    assert live.personas_dir is not None
    voice = "voice: {kind: qwen, base_url: 'http://127.0.0.1:9', voice_id: somebody}\n"
    write(live.personas_dir / "clone.yaml", f"id: clone\nname: Clone\n{voice}")
    async with serving(live) as (client, _):
        session_id = (await opened_session(client, "clone"))["sessionId"]
        refused = await say(client, session_id, "list my videos")
        assert (refused.status_code, refused.json()["code"]) == (403, "consent.required")
        assert (await client.get(f"/api/chat/sessions/{session_id}/turns")).json() == []


async def test_a_conversation_that_got_a_persona_since_it_was_opened_uses_its_tools_only(
    live: Settings,
) -> None:
    assert live.personas_dir is not None
    path: Path = live.personas_dir / "live.yaml"
    write(path, LIVE + "tools: [list_personas]\n")
    async with serving(live) as (_, services):
        opened_before = await services.brain.sessions.open(Principal.local_admin())
        async with services.database.transaction() as session:
            await session.execute(update(AgentSession).values(persona_id="live"))
        output = await answer(services.brain, opened_before, "list my videos")
        assert [event.code for event in output if event.type == "error"] == ["persona.tool_not_allowed"]
