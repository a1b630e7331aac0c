"""Tells at the prompt whether a render will be ready when it is wanted; used by `soundstage render`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.cli.printing import Printer
from app.cli.studio_api import StudioApi
from app.cli.words import segment
from soundstage.tasks import cancel_all

FIRST_WORD_S = 5.0
"""A render that is not dispatched yet has no forecast: a command that does not wait for its end waits so long
for one.
"""


@asynccontextmanager
async def print_forecasts(
    api: StudioApi, printer: Printer, view: dict[str, Any], *, wait: bool
) -> AsyncIterator[None]:
    """Each forecast that differs from the last while the block runs; without `wait` the first, before it."""
    if view["ready_by"] is None:
        yield
        return
    telling = asyncio.create_task(_tell(api, printer, view["id"], only_first=not wait))
    try:
        if not wait:
            await asyncio.wait({telling}, timeout=FIRST_WORD_S)
        yield
    finally:
        await cancel_all([telling])


async def _tell(api: StudioApi, printer: Printer, render_id: str, *, only_first: bool) -> None:
    async for kind, event in api.events(f"/api/renders/{segment(render_id)}/events"):
        if kind == "render.forecast":
            printer.answer({"type": "forecast", **event}, str(event["sentence"]))
            if only_first:
                return
