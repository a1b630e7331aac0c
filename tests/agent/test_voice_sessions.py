"""Voice sessions between person and worker: who serves which, and what a worker may say."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest
from local_login import bearer, log_in_locally
from pydantic import ValidationError
from socket_servers import on_loopback
from websockets.asyncio.client import connect

from agent.voice.schemas import WORKER_MESSAGE
from agent.voice.worker_token import worker_token
from app.composition import Services
from app.server.web import create_app

WAIT_S = 60


def test_a_worker_cannot_set_a_state_that_does_not_exist() -> None:
    WORKER_MESSAGE.validate_json('{"type": "state", "data": {"state": "speaking"}}')
    with pytest.raises(ValidationError):
        WORKER_MESSAGE.validate_json('{"type": "state", "data": {"state": "asleep"}}')
    with pytest.raises(ValidationError):
        WORKER_MESSAGE.validate_json('{"type": "state", "data": {}}')


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
        for _ in range(4):
            opened = (await client.post("/api/voice/session", json={})).raise_for_status().json()
            person = f"{opened['url']}?token={opened['token']}"
            await stack.enter_async_context(connect(person, additional_headers=headers))
        async with asyncio.timeout(WAIT_S):
            served = [json.loads(await worker.recv()) for worker in workers for _ in range(2)]
        assert len({message["session_id"] for message in served}) == 4
        await services.voice.close()


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
