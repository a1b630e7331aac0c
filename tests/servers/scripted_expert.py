"""A language model for job files, as a program: it says one sentence on the port that it is given as PORT,
at the address HOST.

    PORT=9000 python scripted_expert.py "The tide comes twice a day." [KEY_FILE]

Variables of its environment in the sentence are filled in. With a key file it answers only who has the key.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from scripted_model import Line, Say, ScriptedModel, Status, scripted_model


async def serve(sentence: str, *keys: str) -> None:
    running: list[ScriptedModel] = []

    def answer(_: dict[str, Any]) -> Line:
        given = running[0].headers[-1].get("authorization", "")
        if keys and given not in [f"Bearer {key}" for key in keys]:
            return Status(401)
        return Say(os.path.expandvars(sentence))

    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    async with scripted_model(answer, host=host, port=port) as model:
        running.append(model)
        await asyncio.Event().wait()


if __name__ == "__main__":
    sentence, *key_files = sys.argv[1:]
    asyncio.run(serve(sentence, *(Path(one).read_text().strip() for one in key_files)))
