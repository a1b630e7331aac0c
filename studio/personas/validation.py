"""Validates unsaved texts of personas, one at a time; called by routes of personas and agents.

Reading YAML holds the interpreter, so two at once are no faster than one after the other, and those that wait
would hold the threads that other requests need.
"""

from __future__ import annotations

import asyncio

from soundstage.errors import TooManyRequests
from soundstage.tasks import create_task_in
from studio.personas.faults import BadPersonaFile
from studio.personas.schemas import PersonaValidity
from studio.personas.yaml_source import parse_persona

MAX_WAITING = 4
RETRY_AFTER_S = 5


class PersonaValidation:
    """One of a process, of one event loop."""

    def __init__(self) -> None:
        self._place = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[PersonaValidity]] = set()

    async def validate(self, text: str, file: str) -> PersonaValidity:
        """Return all that is wrong with a text; `file` is how it is called there. Raises TooManyRequests
        `persona.validation_busy` when enough wait already.
        """
        if len(self._tasks) > MAX_WAITING:
            raise TooManyRequests(
                "persona.validation_busy",
                f"{len(self._tasks)} definitions are being validated or wait for it.",
                "Send it again in a few seconds.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        # A thread cannot be stopped: its place is free when it ends, not when its caller disconnects.
        return await asyncio.shield(create_task_in(self._tasks, self._validate(text, file)))

    async def _validate(self, text: str, file: str) -> PersonaValidity:
        async with self._place:
            try:
                await asyncio.to_thread(parse_persona, text, file)
            except BadPersonaFile as error:
                return PersonaValidity(valid=False, faults=error.faults)
            return PersonaValidity(valid=True)
