"""Voice sessions between person and worker: who serves which, and what a worker may say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from local_login import bearer, log_in_locally
from metric_values import metric_value, read_state
from pydantic import ValidationError
from socket_servers import on_loopback
from sqlalchemy import update
from waiting import eventually_async
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.voice.schemas import WORKER_MESSAGE
from agent.voice.sessions import ENDED
from agent.voice.transports import available
from agent.voice.worker_token import worker_token
from app.composition import Services
from app.server.web import create_app
from soundstage.errors import Unavailable
from soundstage.settings.conversation import VoiceSettings
from studio.personas.speaking import PersonaSpeech
from studio.renders.models import Render

WAIT_S = 60
SCHOOL = "https://school.example"


def test_a_worker_cannot_set_a_state_that_does_not_exist() -> None:
    WORKER_MESSAGE.validate_json('{"type": "state", "data": {"state": "speaking"}}')
    with pytest.raises(ValidationError):
        WORKER_MESSAGE.validate_json('{"type": "state", "data": {"state": "asleep"}}')
    with pytest.raises(ValidationError):
        WORKER_MESSAGE.validate_json('{"type": "state", "data": {}}')


@pytest.mark.parametrize(
    ("livekit", "origins"),
    [
        ({}, []),
        ({"url": "wss://rooms.example:7880/x"}, ["wss://rooms.example:7880", "https://rooms.example:7880"]),
        ({"serve": True, "port": 7880}, ["ws://127.0.0.1:7880", "http://127.0.0.1:7880"]),
    ],
)
def test_browsers_reach_the_origins_of_the_livekit_server(
    services: Services, monkeypatch: pytest.MonkeyPatch, livekit: dict[str, Any], origins: list[str]
) -> None:
    monkeypatch.setattr(available, "is_installed", lambda: True)
    settings = VoiceSettings.model_validate({"livekit": livekit})
    assert replace(services.voice_transports, settings=settings).browser_origins() == origins


async def test_the_worker_with_the_fewest_sessions_serves_the_next_one(services: Services) -> None:
    app, headers = create_app(services), await log_in_locally(services.policy)
    token = bearer(worker_token(services.settings.state_dir))
    async with on_loopback(app) as address, AsyncExitStack() as stack:
        url = f"ws://{address}/api/voice"
        workers = [
            await stack.enter_async_context(connect(f"{url}/workers", additional_headers=token))
            for _ in range(2)
        ]
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=WAIT_S)
        )
        # The handshake ends before the server counts the worker.
        await eventually_async(lambda: services.voice.status().workers == 2, "both workers")
        for _ in range(4):
            opened = (await client.post("/api/voice/session", json={})).raise_for_status().json()
            person = f"{opened['url']}?token={opened['token']}"
            await stack.enter_async_context(connect(person, additional_headers=headers))
        async with asyncio.timeout(WAIT_S):
            served = [json.loads(await worker.recv()) for worker in workers for _ in range(2)]
        assert len({message["session_id"] for message in served}) == 4
        assert await read_state(services.metrics, "voice_sessions", state="waiting") == 4
        await services.voice.close()


@asynccontextmanager
async def with_worker(
    services: Services,
) -> AsyncIterator[tuple[dict[str, Any], dict[str, str], ClientConnection]]:
    """Opens a session that a worker serves: the session, headers of its person, the worker's socket."""
    app, headers = create_app(services), await log_in_locally(services.policy)
    token = bearer(worker_token(services.settings.state_dir))
    async with on_loopback(app) as address, AsyncExitStack() as stack:
        url = f"ws://{address}/api/voice/workers"
        await stack.enter_async_context(connect(url, additional_headers=token))
        await eventually_async(lambda: services.voice.status().workers == 1, "the worker")
        async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as client:
            opened = (await client.post("/api/voice/session", json={})).raise_for_status().json()
        session = connect(f"{url}/{opened['session_id']}", additional_headers=token)
        yield opened, headers, await stack.enter_async_context(session)
        await services.voice.close()


async def test_the_server_counts_the_delays_that_its_workers_measure(services: Services) -> None:
    async with with_worker(services) as (_, _, worker):
        for delay, seconds in (("first_sound", 0.3), ("first_sound", -1), ("barge_in", 0.2), ("else", 1)):
            await worker.send(json.dumps({"type": "measured", "delay": delay, "seconds": seconds}))
        await eventually_async(lambda: metric_value("voice_barge_in_seconds") == 1, "the delays")
        assert metric_value("voice_first_audio_seconds") == 1


@pytest.mark.parametrize(
    ("utterance", "changes", "announced"),
    [
        (
            "Have Nova say: Good morning",
            [
                {"state": "running", "progress": {"frames_done": 30, "frames_total": 90, "eta_s": 90.0}},
                {"state": "running", "progress": {"frames_done": 46, "frames_total": 90, "eta_s": 60.0}},
                {"state": "running", "progress": {"frames_done": 60, "frames_total": 90, "eta_s": 40.0}},
                {"state": "done"},
            ],
            ["Your video “Good morning” is half done.", "Your video “Good morning” is ready."],
        ),
        (
            "Have Nova say: Good morning",
            [
                {"state": "running", "progress": {"frames_done": 60, "frames_total": 90, "eta_s": 4.0}},
                {"state": "failed", "error": {"code": "x.y", "message": "No disk.", "hint": ""}},
            ],
            ["Your video “Good morning” failed: No disk."],
        ),
        ("Have Nova say: Good morning", [{"state": "cancelled"}], []),
        (
            "Lass Nova bitte sagen: Guten Morgen",
            [{"state": "done"}],
            ["Dein Video „Guten Morgen“ ist fertig."],
        ),
    ],
)
async def test_a_person_is_told_how_a_video_that_they_ordered_goes_on(
    services: Services, utterance: str, changes: list[dict[str, Any]], announced: list[str]
) -> None:
    async with with_worker(services) as (opened, headers, worker):
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers=headers), asyncio.timeout(WAIT_S):
            await eventually_async(lambda: services.voice.all()[0].person is not None, "the person")
            await worker.send(json.dumps({"type": "ask", "ref": 1, "text": utterance}))
            while (await receive(worker))["type"] != "answered":
                continue
            [session] = services.voice.all()
            [render] = await services.studio.renders.list(limit=5)
            await eventually_async(lambda: services.events.followers >= 1, "who follows the video")
            for values in changes:
                await put(services, render.id, values)
            for text in announced:
                message = await receive(worker)
                assert (message["type"], message["text"]) == ("announce", text)
            await eventually_async(lambda: not session.tasks, "the end of it")
        async with httpx.AsyncClient(headers=headers) as client:
            base = opened["url"].replace("ws", "http", 1).partition("/api/")[0]
            turns = (await client.get(f"{base}/api/chat/sessions/{opened['session_id']}/turns")).json()
        found = [line for line in turns[0]["reply"].split("\n") if "video “" in line or "Video „" in line]
        assert found == announced[-1:]


async def put(services: Services, render_id: str, values: dict[str, Any]) -> None:
    """Writes a render down as the dispatcher does, with the event that tells of it."""
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(**values))
        await services.events.append(session, f"render:{render_id}", "render.changed")
    await asyncio.sleep(0.3)


async def receive(worker: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await worker.recv())
    return message


async def never(*_: object) -> None:
    await asyncio.sleep(3600)


async def down(*_: object) -> None:
    raise Unavailable("voice.service_down", "The speech service does not answer.", "Start it.")


@pytest.mark.parametrize(
    ("voice", "code"), [(never, "voice.speech_late"), (down, "voice.service_down")], ids=["late", "down"]
)
async def test_a_voice_that_is_late_or_down_is_named_and_the_session_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch, voice: Any, code: str
) -> None:
    monkeypatch.setattr(PersonaSpeech, "say", voice)
    monkeypatch.setattr("agent.voice.speech.SENTENCE_TIMEOUT_S", 0.05)
    async with with_worker(services) as (opened, headers, worker):
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers=headers) as person, asyncio.timeout(WAIT_S):
            await worker.send(json.dumps({"type": "speak", "ref": 7, "text": "Hello."}))
            while (message := json.loads(await person.recv()))["type"] != "error":
                continue
            while (sound := json.loads(await worker.recv()))["type"] != "sound":
                continue
            await worker.send(json.dumps({"type": "ask", "ref": 8, "text": "What can you do?"}))
            while (await receive(worker))["type"] != "answered":
                continue
    assert message["code"] == code
    assert (sound["ref"], sound["text"], sound["wav"]) == (7, "Hello.", "")


async def test_a_session_whose_worker_does_not_come_is_given_to_one_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.voice.sessions.REASSIGN", timedelta())
    app, headers = create_app(services), await log_in_locally(services.policy)
    token = bearer(worker_token(services.settings.state_dir))
    async with on_loopback(app) as address, AsyncExitStack() as stack:
        url = f"ws://{address}/api/voice"
        worker = await stack.enter_async_context(connect(f"{url}/workers", additional_headers=token))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=WAIT_S)
        )
        opened = (await client.post("/api/voice/session", json={})).raise_for_status().json()
        person = f"{opened['url']}?token={opened['token']}"
        await stack.enter_async_context(connect(person, additional_headers=headers))
        async with asyncio.timeout(WAIT_S):
            first = json.loads(await worker.recv())
            await services.voice.worker.start()
            assert json.loads(await worker.recv()) == first
        await services.voice.close()


@asynccontextmanager
async def embedding(services: Services) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any], str]]:
    """Serves a studio that a school's page may show: its client, an opened session, and the key's id."""
    services.voice.page_origins = (f"{SCHOOL}/",)
    app, local = create_app(services), await log_in_locally(services.policy)
    token = bearer(worker_token(services.settings.state_dir))
    async with on_loopback(app) as address, AsyncExitStack() as stack:
        url = f"ws://{address}/api/voice"
        await stack.enter_async_context(connect(f"{url}/workers", additional_headers=token))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{address}", headers=local, timeout=WAIT_S)
        )
        body = {"name": "school", "role": "editor", "scopes": ["chat:use"]}
        key = (await client.post("/api/keys", json=body)).raise_for_status().json()
        client.headers.update(bearer(key["key"]))
        answer = await client.post("/api/voice/session", json={"origin": SCHOOL})
        yield client, answer.raise_for_status().json(), key["id"]
        await services.voice.close()


async def refusal(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """Returns the status and the code of a socket that is not opened."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, additional_headers=headers):
            pass
    response = caught.value.response
    return response.status_code, str(json.loads(response.body or b"{}").get("code"))


async def test_the_page_of_another_site_needs_its_token_and_its_origin(services: Services) -> None:
    async with embedding(services) as (client, opened, _):

        async def fresh(**body: str) -> str:
            answer = (await client.post("/api/voice/session", json=body)).raise_for_status().json()
            return f"{answer['url']}?token={answer['token']}"

        bad_token, foreign = (403, "voice.bad_token"), (403, "voice.foreign_origin")
        again = {"session_id": opened["session_id"], "origin": SCHOOL}
        assert await refusal(await fresh(**again), {}) == foreign
        assert await refusal(await fresh(**again), {"Origin": "https://thief.example"}) == foreign
        url = await fresh(**again)
        assert (
            await refusal(f"{opened['url']}?token=guessed", {"Origin": "https://thief.example"}) == bad_token
        )
        assert await refusal(url.replace(opened["session_id"], "unknown"), {"Origin": SCHOOL}) == bad_token
        async with connect(url, additional_headers={"Origin": SCHOOL}) as person:
            assert json.loads(await person.recv())["type"] == "ready"
            assert await refusal(url, {"Origin": SCHOOL}) == bad_token
        not_embedded = (await fresh()).replace("/session/", "/embedded/")
        assert await refusal(not_embedded, {"Origin": SCHOOL}) == foreign


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"origin": "https://thief.example"}, "voice.foreign_origin"),
        ({"origin": ""}, "voice.foreign_origin"),
        ({"origin": SCHOOL, "transport": "webrtc"}, "voice.no_transport"),
    ],
)
async def test_only_allowed_pages_over_a_websocket_can_show_a_session(
    services: Services, body: dict[str, str], code: str
) -> None:
    async with embedding(services) as (client, _, _):
        answer = await client.post("/api/voice/session", json=body)
        assert answer.json()["code"] == code


@pytest.mark.parametrize(("code", "stays"), [(1000, False), (1001, False), (3000, True)])
async def test_a_visitor_who_leaves_ends_the_session_and_one_who_is_lost_does_not(
    services: Services, code: int, *, stays: bool
) -> None:
    async with embedding(services) as (client, opened, _):
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers={"Origin": SCHOOL}) as person:
            await person.recv()
            await person.close(code)
        path = f"/api/voice/session/{opened['session_id']}"

        async def has_left() -> bool:
            answer = await client.get(path)
            return answer.status_code == 404 if not stays else not answer.json()["connected"]

        await eventually_async(has_left, "the visitor to be gone")
        again = {"session_id": opened["session_id"], "origin": SCHOOL}
        reopened = (await client.post("/api/voice/session", json=again)).raise_for_status().json()
        assert (reopened["created_at"] == opened["created_at"]) == stays


async def test_opening_a_session_without_its_origin_disconnects_the_visitor(services: Services) -> None:
    async with embedding(services) as (client, opened, _):
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers={"Origin": SCHOOL}) as person:
            await person.recv()
            own = await client.post("/api/voice/session", json={"session_id": opened["session_id"]})
            own.raise_for_status()
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(ConnectionClosed):
                    while True:
                        await person.recv()


async def test_a_visitor_whose_sites_key_was_revoked_is_disconnected(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.voice.worker, "_poll_s", 0.05)
    async with embedding(services) as (client, opened, key_id):
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers={"Origin": SCHOOL}) as person:
            await services.voice.worker.start()
            client.headers.update(await log_in_locally(services.policy))
            (await client.delete(f"/api/keys/{key_id}")).raise_for_status()
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        await person.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == ENDED
