"""The studio in a command's own process: it ends when nothing uses its database any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from app.cli import embedded
from app.cli.connection import call_studio
from app.cli.embedded import open_embedded_studio
from app.cli.state import Invocation, set_invocation
from app.cli.studio_api import StudioApi
from app.composition import Services
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging, get_logger


async def test_a_request_that_is_cancelled_at_the_end_ends_before_the_database_is_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    begun = asyncio.Event()

    def create_app(services: Services) -> object:
        close = services.database.close

        async def is_closed() -> None:
            steps.append("closed")
            await close()

        monkeypatch.setattr(services.database, "close", is_closed)

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
    async with open_embedded_studio(settings) as api:
        asking = asyncio.create_task(api.get("/api/renders"))
        await begun.wait()
    assert steps == ["ended", "closed"]
    await asyncio.wait([asking])


def test_the_log_of_a_studio_that_ends_with_the_command_is_not_printed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def warn(_: StudioApi) -> None:
        get_logger("farm.local").warning("farm.local.swept", control_processes=["one"])

    configure_logging("warning")
    set_invocation(Invocation(None, as_json=False))
    call_studio(warn)
    assert "swept" not in capsys.readouterr().err
