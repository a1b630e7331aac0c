"""`bench/agent_load.py` counts what is lost: its people talk to a server that leaves events out,
doubles and mixes them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

PROGRAM = Path(__file__).parents[2] / "bench" / "agent_load.py"
WHOLE = ("turn", "understood", "tool_call", "tool_result", "text", "done")
ANSWERS = 5


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_agent", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are made.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setattr(module, "TIMEOUT_S", 2.0)
    return module


def event(kind: str, turn: int, session: str = "ses_1") -> dict[str, Any]:
    about = {"session_id": session, "turn": turn} if kind in ("turn", "done") else {}
    return {"type": kind, **about}


class Scripted:
    """Answers each sentence in full, but the second as `odd` says; what is read again is always whole."""

    def __init__(self, odd: list[dict[str, Any]]) -> None:
        self._odd = odd

    async def talk(self, connection: ServerConnection) -> None:
        said = 0
        async for message in connection:
            wish = json.loads(message)
            said += 1
            told = [event(kind, said) for kind in WHOLE]
            if wish["type"] == "read":
                said, told = 0, [event(kind, wish["turn"]) for kind in WHOLE]
            for one in self._odd if wish["type"] == "say" and wish["ref"] == "1" else told:
                await connection.send(json.dumps({"ref": one.pop("ref", wish["ref"]), "event": one}))


@pytest.fixture
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async with serve(Scripted([dict(one) for one in request.param]).talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def second(*kinds: str) -> list[dict[str, Any]]:
    return [event(kind, 2) for kind in kinds]


@pytest.mark.parametrize(
    ("url", "amiss", "lost_answers", "strays"),
    [
        (second(*WHOLE), (0, 0, 0), 0, 0),
        (second("turn", "understood", "tool_call", "text", "done"), (1, 0, 0), 0, 0),
        (second("turn", "understood", "tool_call", "tool_result", "text", "text", "done"), (0, 1, 0), 0, 0),
        (second("turn", "understood", "tool_result", "tool_call", "text", "done"), (0, 0, 1), 0, 0),
        (second("understood", "tool_call", "tool_result", "text", "done"), (1, 0, 0), 1, 0),
        (second(*WHOLE[:-1]), (1, 0, 0), 1, 0),
        ([*second(*WHOLE[:-1]), event("done", 2, "ses_2")], (0, 0, 0), 1, 0),
        ([event(kind, 3) for kind in WHOLE], (0, 0, 0), 1, 0),
        ([{**event("text", 2), "ref": "0"}, *second(*WHOLE)], (0, 0, 0), 0, 1),
        ([], (6, 0, 0), 1, 0),
    ],
    ids=["whole", "left-out", "doubled", "mixed", "no-turn", "no-end", "session", "turn", "stray", "none"],
    indirect=["url"],
)
async def test_each_event_that_is_lost_is_counted(
    program: ModuleType, url: str, amiss: tuple[int, int, int], lost_answers: int, strays: int
) -> None:
    totals = program.Measurements()
    begin_s = asyncio.get_running_loop().time()
    # Somebody whose answer does not end is late for what comes after it, and says it all the same.
    await program.talk(
        url, "key", program.COMMANDS, begin_s, begin_s + (ANSWERS - 0.5) * program.EVERY_S, totals
    )
    assert totals.requests == ANSWERS
    journal = await program.journal_of(url, "key", program.COMMANDS)
    assert journal == dict.fromkeys(program.COMMANDS, WHOLE)
    found = program.amiss(totals.spoken_at_s, journal)
    assert (found, totals.lost, totals.strays) == (amiss, lost_answers, strays)
    assert len(totals.arriving) == 1 and len(totals.settled) == ANSWERS - 1 - (amiss == (6, 0, 0))
