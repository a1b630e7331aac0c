"""Broadcasts over REST: who may begin one, what a worker gets, and what is shown of its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from face_worker import WAIT_S, message_of, serving
from local_login import bearer
from waiting import eventually_async
from websockets.asyncio.client import connect

from app.composition import Services, build
from policy import Principal
from soundstage.errors import Conflict, NotFound
from soundstage.settings.conversation import BroadcastTarget, VoiceSettings


@pytest.fixture
def targets(services: Services, tmp_path: Path) -> Services:
    (tmp_path / "key").write_text("a-stream-key\n")
    wall = {"url": "rtmp://10.0.0.9/live", "key_file": tmp_path / "key"}
    settings = VoiceSettings.model_validate({"broadcasts": {"wall": wall, "hall": {"url": "/srv/hall.m3u8"}}})
    services.voice_transports.settings = settings
    return services


@asynccontextmanager
async def person(client: httpx.AsyncClient, *scopes: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody else of the same installation, with a key for these permissions alone."""
    body = {"name": "other", "role": "admin", "scopes": list(scopes)}
    key = (await client.post("/api/keys", json=body)).raise_for_status().json()
    async with httpx.AsyncClient(base_url=client.base_url, headers=bearer(key["key"]), timeout=WAIT_S) as own:
        yield own


async def until(client: httpx.AsyncClient, state: str) -> str:
    """Waits for a state of the one broadcast; returns its error."""
    found: dict[str, str] = {}
    async with asyncio.timeout(WAIT_S):
        while found.get("state") != state:
            (found,) = (await client.get("/api/voice/broadcasts")).json()
    return found["error"]


async def test_a_worker_gets_what_the_presenter_says_and_tells_of_the_connection(targets: Services) -> None:
    async with serving(targets) as (client, workers, token, _):
        begun = await client.post("/api/voice/broadcasts", json={"to": "wall"})
        assert begun.status_code == 201 and "a-stream-key" not in begun.text
        found = begun.json()
        assert (found["to"], found["persona_id"], found["state"]) == ("wall", "nova", "waiting")
        path = f"/api/voice/broadcasts/{found['id']}"
        early = await client.post(f"{path}/say", json={"text": "Hello."})
        assert (early.status_code, early.json()["code"]) == (503, "voice.not_live"), "nobody would hear it"
        async with connect(f"ws://{workers}/{found['id']}", additional_headers=token) as worker:
            assert (await message_of(worker, "face"))["spec"]["scenes"][0]["face"]["kind"] == "rig"
            await worker.send(json.dumps({"type": "broadcast", "state": "live"}))
            assert await until(client, "live") == ""
            assert (await client.post(f"{path}/say", json={"text": "Good morning."})).is_success
            assert (await message_of(worker, "read"))["text"] == "Good morning."
            assert (await client.post(f"{path}/interrupt")).is_success
            await message_of(worker, "interrupt")
            refusal = {"type": "broadcast", "state": "failed", "error": "Connection refused."}
            await worker.send(json.dumps(refusal))
            assert await until(client, "failed") == "Connection refused."
        # The worker has gone: the broadcast waits for the next one.
        await until(client, "waiting")
        assert (await client.delete(path)).status_code == 204
        assert (await client.get("/api/voice/broadcasts")).json() == []


async def test_the_address_with_its_key_reaches_the_worker_alone(targets: Services) -> None:
    async with serving(targets) as (client, _, _, control):
        begun = (await client.post("/api/voice/broadcasts", json={"to": "wall"})).json()
        served = await message_of(control, "serve")
        url = "rtmp://10.0.0.9/live/a-stream-key"
        assert (served["session_id"], served["transport"]["url"]) == (begun["id"], url)
        listed = (await client.get("/api/voice/sessions")).text
        assert begun["id"] in listed and "a-stream-key" not in listed and "10.0.0.9" not in listed


def test_a_target_is_unknown_to_other_tenants(targets: Services) -> None:
    transports = targets.voice_transports
    assert transports.for_broadcast("hall", "default")["url"] == "/srv/hall.m3u8"
    with pytest.raises(NotFound, match="no target hall") as caught:
        transports.for_broadcast("hall", "another")
    assert caught.value.hint.endswith("there are: none.")


async def test_targets_that_are_not_there_or_busy_are_refused(targets: Services) -> None:
    async with serving(targets) as (client, *_):

        async def code(**body: str) -> tuple[int, str]:
            answer = await client.post("/api/voice/broadcasts", json=body)
            return answer.status_code, answer.json().get("code", "")

        assert await code(to="nowhere") == (404, "voice.no_target")
        assert await code(to="rtmp://10.0.0.9/live") == (404, "voice.no_target")
        assert await code(to="wall", agent_id="nobody") == (404, "persona.not_found")
        at_once = await asyncio.gather(*(code(to="wall") for _ in range(4)))
        assert sorted(at_once) == [(201, ""), *[(409, "voice.target_busy")] * 3]
        assert await code(to="hall") == (201, "")
        (one, _) = (await client.get("/api/voice/broadcasts")).json()
        taken = await client.post("/api/voice/session", json={"session_id": one["id"], "agent_id": "vera"})
        assert (taken.status_code, taken.json()["code"]) == (409, "voice.is_broadcast")
        assert [here["persona_id"] for here in (await client.get("/api/voice/broadcasts")).json()] == [
            "nova"
        ] * 2


async def test_a_key_that_has_gone_ends_nobody_elses_call(targets: Services, tmp_path: Path) -> None:
    async with serving(targets) as (client, workers, token, control):
        await client.post("/api/voice/broadcasts", json={"to": "wall"})
        await message_of(control, "serve")
        (tmp_path / "key").unlink()
        async with connect(f"ws://{workers}", additional_headers=token) as another:
            # The handshake ends before the server counts the worker.
            await eventually_async(lambda: targets.voice.status().workers == 2, "both workers")
            opened = (await client.post("/api/voice/session", json={"transport": "webrtc"})).json()
            served = await message_of(another, "serve")
            assert served["session_id"] == opened["session_id"]
        assert "key file" in await until(client, "failed")


async def test_a_broadcast_needs_the_right_to_publish_and_is_its_tenants(targets: Services) -> None:
    async with serving(targets) as (client, *_):
        begun = (await client.post("/api/voice/broadcasts", json={"to": "wall"})).json()
        async with person(client, "chat:use") as chatter:
            assert (await chatter.post("/api/voice/broadcasts", json={"to": "hall"})).status_code == 403
        async with person(client, "publication:create", "publication:read") as publisher:
            # It is checked again while it goes on, with the right that it needed.
            own = (await publisher.post("/api/voice/broadcasts", json={"to": "hall"})).json()
            await targets.voice.worker.start()
            await targets.voice._end_left()
            listed = (await publisher.get("/api/voice/broadcasts")).json()
            assert {one["id"] for one in listed} == {own["id"], begun["id"]}
            # Whoever may publish may end a colleague's.
            assert (await publisher.delete(f"/api/voice/broadcasts/{begun['id']}")).status_code == 204
        assert [one["id"] for one in (await client.get("/api/voice/broadcasts")).json()] == [own["id"]]


@pytest.fixture
async def another(targets: Services) -> AsyncIterator[Services]:
    """A second server with the same database and settings."""
    services = build(targets.settings)
    services.voice_transports.settings = targets.voice_transports.settings
    yield services
    await services.database.close()


async def stop(server: Services) -> None:
    """Ends a server as the end of its process does, with notice."""
    await server.broadcasts.close()
    await server.voice.close()


async def test_a_broadcast_goes_on_with_the_next_server_that_has_a_worker(
    targets: Services, another: Services
) -> None:
    async with serving(targets) as (client, *_):
        begun = (await client.post("/api/voice/broadcasts", json={"to": "wall"})).json()
        await another.broadcasts.poll()
        (listed,) = await another.broadcasts.list()
        assert (listed.id, listed.state) == (begun["id"], "waiting")
        with pytest.raises(Conflict, match="already"):
            await another.broadcasts.start(Principal.local_admin(), "wall", None)
        await stop(targets)
    await another.broadcasts.poll()
    assert another.voice.all() == [], "it has no worker"
    async with serving(another) as (client, _, _, control):
        await another.broadcasts.poll()
        served = await message_of(control, "serve")
        url = "rtmp://10.0.0.9/live/a-stream-key"
        assert (served["session_id"], served["transport"]["url"]) == (begun["id"], url)
        assert [one["id"] for one in (await client.get("/api/voice/broadcasts")).json()] == [begun["id"]]
        await another.broadcasts.poll()
        assert len(another.voice.all()) == 1, "one broadcast, once"


async def test_a_server_that_was_cut_off_gives_way_to_the_one_that_took_over(
    targets: Services, another: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(targets) as (client, *_), serving(another):
        await client.post("/api/voice/broadcasts", json={"to": "wall"})
        monkeypatch.setattr("agent.voice.broadcasts.LEASE_S", -1.0)
        await targets.broadcasts.poll()
        monkeypatch.undo()
        await another.broadcasts.poll()
        assert len(another.voice.all()) == 1
        await targets.broadcasts.poll()
        assert targets.voice.all() == []
        # What is ended over one server ends on the other.
        (one,) = (await client.get("/api/voice/broadcasts")).json()
        early = await client.post(f"/api/voice/broadcasts/{one['id']}/say", json={"text": "Hello."})
        assert early.json()["code"] == "voice.not_live"
        assert (await client.delete(f"/api/voice/broadcasts/{one['id']}")).status_code == 204
        await another.broadcasts.poll()
        assert another.voice.all() == []


async def test_a_broadcast_of_a_revoked_key_ends_with_its_server(
    targets: Services, another: Services
) -> None:
    async with serving(targets) as (client, *_):
        async with person(client, "publication:create", "publication:read") as publisher:
            assert (await publisher.post("/api/voice/broadcasts", json={"to": "wall"})).is_success
        (other,) = [key for key in (await client.get("/api/keys")).json() if key["name"] == "other"]
        assert (await client.delete(f"/api/keys/{other['id']}")).is_success
        await stop(targets)
    async with serving(another) as (client, *_):
        await another.broadcasts.poll()
        assert another.voice.all() == [] and (await client.get("/api/voice/broadcasts")).json() == []


async def test_a_session_that_ends_by_itself_ends_its_broadcast(targets: Services) -> None:
    async with serving(targets) as (client, *_):
        begun = (await client.post("/api/voice/broadcasts", json={"to": "wall"})).json()
        await targets.voice._end(targets.voice._open[begun["id"]])
        assert (await client.get("/api/voice/broadcasts")).json() == []
        await targets.broadcasts.poll()
        assert (await client.post("/api/voice/broadcasts", json={"to": "wall"})).status_code == 201


@pytest.mark.parametrize("url", ["http://10.0.0.9/live", "srv/hall.m3u8", "/srv/hall.mp4", "rtmp://a b"])
def test_only_rtmp_and_playlists_are_targets(url: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        BroadcastTarget.model_validate({"url": url})
