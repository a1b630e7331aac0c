"""Puts a consent on record in an installation and prints its id; run with the control side's Python."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from app.composition import open_services
from soundstage.settings import load_settings
from studio.consents.schemas import ConsentDraft


async def record() -> str:
    draft = ConsentDraft(person="A. Person", purpose="tests", granted_at=datetime.now(UTC))
    async with open_services(load_settings()) as services:
        return (await services.studio.consents.record(draft)).id


if __name__ == "__main__":
    print(asyncio.run(record()))
