"""Other pages call the API from a browser only when the operator has named their origin."""

from __future__ import annotations

from dataclasses import replace

import httpx
from fastapi import FastAPI
from local_login import log_in_locally

from app.composition import Services
from app.server.web import create_app
from soundstage.settings.sections import HttpSettings

FRIEND, STRANGER = "https://app.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def calling(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


def friendly(services: Services) -> FastAPI:
    http = HttpSettings(cors_origins=f"{FRIEND}/")  # type: ignore[arg-type]
    return create_app(replace(services, settings=services.settings.model_copy(update={"http": http})))


async def test_no_origin_is_allowed_by_default(services: Services) -> None:
    async with calling(create_app(services)) as client:
        answer = await client.options("/api/renders", headers={"Origin": FRIEND, **PREFLIGHT})
        assert "access-control-allow-origin" not in answer.headers


async def test_a_named_origin_may_call_with_a_key_and_a_stranger_may_not(services: Services) -> None:
    key = await log_in_locally(services.policy)
    async with calling(friendly(services)) as client:
        preflight = await client.options("/api/renders", headers={"Origin": FRIEND, **PREFLIGHT})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, FRIEND)
        assert "access-control-allow-credentials" not in preflight.headers
        answer = await client.get("/api/renders", headers={"Origin": FRIEND, **key})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
        assert "X-Total-Count" in answer.headers["access-control-expose-headers"]
        refused = await client.options("/api/renders", headers={"Origin": STRANGER, **PREFLIGHT})
        assert "access-control-allow-origin" not in refused.headers


async def test_each_service_says_that_it_lives_at_health(services: Services) -> None:
    async with calling(create_app(services)) as client:
        for path in ("/health", "/api/health"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
