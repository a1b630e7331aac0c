"""Looks at the agent's key for the provisioning API once it has one: at the start of a server, whose log says
what is wrong with it, and for the doctor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.machines_api import RETRIES, machines_api
from policy import Principal
from soundstage.errors import SoundstageError, Unavailable
from soundstage.settings import Settings
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger


async def look_at_key(settings: Settings) -> None:
    """Raises what the API refuses it, above all Forbidden (`machines.key_cannot_represent`), and Unavailable
    when the API does not answer.
    """
    async with machines_api(settings, Principal.local_admin("soundstage")) as api:
        await api.require_delegation()


@asynccontextmanager
async def key_looked_at(settings: Settings) -> AsyncIterator[None]:
    """Meanwhile, beside what runs within: the two servers may start together."""
    if settings.provisioning.api_key_file is None:
        yield
        return
    looking = asyncio.create_task(_looked(settings))
    try:
        yield
    finally:
        await cancel_all([looking])


async def _looked(settings: Settings) -> None:
    in_vain = 0
    while True:
        try:
            return await look_at_key(settings)
        except Unavailable:
            in_vain += 1
            await asyncio.sleep(RETRIES.delay_s(in_vain))
        except SoundstageError as error:
            get_logger(__name__).warning(
                "the agent's key for the provisioning API",
                code=error.code,
                problem=error.message,
                hint=error.hint,
            )
            return
        except Exception:
            get_logger(__name__).exception("the agent's key for the provisioning API was not looked at")
            return
