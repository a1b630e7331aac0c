"""A request that is sent again makes nothing twice: real servers, real parallel requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from audit_logs import audit_of
from fastapi import FastAPI
from local_login import log_in_locally
from sqlalchemy import update

from policy import Policy, install_policy
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.errors import Invalid, install_error_handlers
from soundstage.events import EventStore
from soundstage.routers import add_routers
from soundstage.settings import Settings
from studio.idempotency.header import read_key
from studio.idempotency.models import IdempotencyKey
from studio.routes import routers
from studio.wiring import build_studio

BODY = {"script": "hello", "canvas": {"width": 320, "height": 180}}
KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
REFERENCE = dict.fromkeys(
    ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"), "the API is no secret"
)


@asynccontextmanager
async def server(settings: Settings, database_url: str, scheduler: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Uvicorn on a port of its own, over a database connection of its own."""
    db = Database(database_url)
    events = EventStore(db)
    app = FastAPI()
    app.state.studio = build_studio(
        settings,
        db,
        events,
        BlobStore.open(settings.blobs_url),
        scheduler,
        audit_of(db, settings),
        worker_version="1.0",
    )
    add_routers(app, *routers())
    policy = Policy.open(settings, db, events)
    install_policy(app, policy, public=REFERENCE)
    install_error_handlers(app)
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(running.serve(sockets=[listening]))
    port = listening.getsockname()[1]
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers=await log_in_locally(policy),
        timeout=30,
        trust_env=False,
    ) as client:
        yield client
    running.should_exit = True
    await task
    await db.close()


@pytest.fixture
async def servers(
    settings: Settings, db: Database, database_url: str, scheduler: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(server(settings, database_url, scheduler)),
            await stack.enter_async_context(server(settings, database_url, scheduler)),
        )


async def test_twenty_parallel_submits_with_one_key_make_one_render(servers: Any) -> None:
    one, other = servers
    sent = [client.post("/api/renders", json=BODY, headers=KEY) for client in (one, other) * 10]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await one.get("/api/renders")).json()) == 1


async def test_parallel_submits_of_a_project_make_one_render_and_one_version(servers: Any) -> None:
    client = servers[0]
    project = (await client.post("/api/projects", json={"title": "A film"})).json()
    scene = {"title": "one", "script": "hello"}
    assert (await client.post(f"/api/projects/{project['id']}/scenes", json=scene)).status_code == 201
    body = {"project": project["id"]}
    answers = await asyncio.gather(*(one.post("/api/renders", json=body, headers=KEY) for one in servers * 5))
    assert [answer.status_code for answer in answers] == [202] * 10, answers[0].text
    assert len({(one.json()["id"], one.json()["project_version"]) for one in answers}) == 1
    versions = (await client.get(f"/api/projects/{project['id']}/versions")).json()
    assert sum(version["note"] == "rendered" for version in versions) == 1


async def test_without_a_key_or_with_another_every_submit_makes_a_render(client: httpx.AsyncClient) -> None:
    ids = {(await client.post("/api/renders", json=BODY)).json()["id"] for _ in range(2)}
    for key in ("a", "b"):
        answer = await client.post("/api/renders", json=BODY, headers={"Idempotency-Key": key})
        ids.add(answer.json()["id"])
    assert len(ids) == 4


async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/renders", json=BODY, headers=KEY)).status_code == 202
    answer = await client.post("/api/renders", json={**BODY, "script": "bye"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused")
    assert len((await client.get("/api/renders")).json()) == 1


async def test_what_a_body_means_counts_and_not_how_it_is_written(client: httpx.AsyncClient) -> None:
    first = (await client.post("/api/renders", json=BODY, headers=KEY)).json()
    written = '{"canvas": {"height": 180,  "width": 320}, "persona": "nova", "script": "hello"}'
    headers = {**KEY, "content-type": "application/json"}
    assert (await client.post("/api/renders", content=written, headers=headers)).json()["id"] == first["id"]


async def test_a_request_that_failed_may_be_sent_again_with_its_key(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    maximum = settings.limits.queued_renders
    ids = [(await client.post("/api/renders", json=BODY)).json()["id"] for _ in range(maximum)]
    full = await client.post("/api/renders", json=BODY, headers=KEY)
    assert (full.status_code, full.json()["code"]) == (503, "render.queue_full")
    await client.post(f"/api/renders/{ids[0]}/cancel")
    created = await client.post("/api/renders", json=BODY, headers=KEY)
    again = await client.post("/api/renders", json=BODY, headers=KEY)
    assert created.status_code == again.status_code == 202
    assert created.json()["id"] == again.json()["id"] not in ids


async def test_one_principal_never_meets_the_keys_of_another(client: httpx.AsyncClient) -> None:
    created = await client.post("/api/keys", json={"name": "another", "role": "editor"})
    bearer = {"Authorization": f"Bearer {created.json()['key']}"}
    mine = await client.post("/api/renders", json=BODY, headers=KEY)
    theirs = await client.post("/api/renders", json={**BODY, "script": "bye"}, headers={**KEY, **bearer})
    assert mine.status_code == theirs.status_code == 202
    assert mine.json()["id"] != theirs.json()["id"]


async def test_a_key_is_forgotten_after_its_time(client: httpx.AsyncClient, db: Database) -> None:
    first = await client.post("/api/renders", json=BODY, headers=KEY)
    async with db.transaction() as session:
        await session.execute(update(IdempotencyKey).values(expires_at=utcnow() - timedelta(seconds=1)))
    second = await client.post("/api/renders", json={**BODY, "script": "bye"}, headers=KEY)
    assert second.status_code == 202 and second.json()["id"] != first.json()["id"]


async def test_a_render_that_was_deleted_is_not_made_anew(client: httpx.AsyncClient) -> None:
    created = (await client.post("/api/renders", json=BODY, headers=KEY)).json()
    await client.post(f"/api/renders/{created['id']}/cancel")
    assert (await client.delete(f"/api/renders/{created['id']}?forever=true")).status_code == 204
    answer = await client.post("/api/renders", json=BODY, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "render.not_found")


@pytest.mark.parametrize(
    ("header", "key"),
    [('"a key"', "a key"), (r'"a \"key\""', 'a "key"'), ("bare-1", "bare-1"), ("x" * 255, "x" * 255)],
)
def test_a_key_is_read_with_and_without_quotes(header: str, key: str) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "two words", '"open', "x" * 256, "gräßlich", '"tab\there"'])
def test_a_key_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as error:
        read_key(header)
    assert (error.value.code, error.value.status) == ("idempotency.bad_key", 400)
