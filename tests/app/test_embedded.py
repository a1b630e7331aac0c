"""The studio in a command's own process: it ends when nothing uses its database any more."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from app.cli import embedded
from app.cli.embedded import embedded_studio
from app.composition import Services
from soundstage.settings import Settings


async def test_a_request_that_is_cancelled_at_the_end_ends_before_the_database_is_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    begun = asyncio.Event()

    def create_app(services: Services) -> object:
        close = services.database.close

        async def closed() -> None:
            steps.append("closed")
            await close()

        monkeypatch.setattr(services.database, "close", closed)

        async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                async with services.database.transaction():
                    await asyncio.sleep(0.2)
                steps.append("ended")

        return application

    monkeypatch.setattr(embedded, "SHUTDOWN_S", 1)
    monkeypatch.setattr(embedded, "create_app", create_app)
    async with embedded_studio(settings) as api:
        asking = asyncio.create_task(api.get("/api/renders"))
        await begun.wait()
    assert steps == ["ended", "closed"]
    await asyncio.wait([asking])
