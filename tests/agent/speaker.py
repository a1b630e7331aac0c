"""A process that answers one sentence and says each event on standard output; tests kill it in mid-answer.

python speaker.py STATE_DIR MODEL_URL SESSION_ID REQUEST_ID SENTENCE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.events import BrainEvent
from app.composition import open_services
from policy import Principal
from soundstage.settings import Settings

LEASE_S = 2.0


async def main(state: str, model: str, session_id: str, request_id: str, sentence: str) -> None:
    folder = Path(state)
    settings = Settings.model_validate(
        {
            "state_dir": folder,
            "out_dir": folder.parent / "out",
            "personas_dir": folder.parent / "personas",
            "llm": {"local": {"base_url": model, "model": "scripted"}},
        }
    )
    async with open_services(settings) as services:
        services.brain.sessions.lease_s = LEASE_S
        conversation = await services.brain.sessions.open(Principal.local_admin("test"), session_id)
        await services.brain.answer(conversation, sentence, _print, request_id=request_id)


async def _print(event: BrainEvent) -> None:
    print(event.model_dump_json(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
