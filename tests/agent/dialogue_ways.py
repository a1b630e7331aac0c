"""Plays a dialogue over one of the ways in. Each way says a sentence and returns whether a question with
choices came back; MCP, which takes calls and no sentences, makes the calls that those sentences led to.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from brain_answers import answer
from dialogue_stage import Dialogue, Stage
from local_login import log_in_locally
from mcp import Client
from mcp_client import answered
from mcp_servers import mcp_address
from socket_servers import WAIT_S, on_loopback
from websockets.asyncio.client import connect

from agent.events import ToolCalled, ToolReturned
from agent.mcp.running import CallLimits
from app.server.web import create_app
from policy import Principal

ID = re.compile(r"\b(?:rnd|prj|trg|mem|snp)_[0-9a-z]+")
Say = Callable[[str], Awaitable[bool]]
Step = ToolCalled | ToolReturned | None
"""None: somebody else agrees to what waits."""


@dataclass
class Brain:
    """Asks the Brain in this process, and records the calls with whole arguments."""

    stage: Stage
    steps: list[Step] = field(default_factory=list)
    _session_id: str | None = None

    async def say(self, sentence: str) -> bool:
        brain = self.stage.services.brain
        opened = await brain.sessions.open(Principal.local_admin("test"), self._session_id)
        self._session_id = opened.id
        events = await answer(brain, replace(opened, debug=True), sentence)
        self.steps += [one for one in events if isinstance(one, ToolCalled | ToolReturned)]
        return _has_choices([one.model_dump() for one in events])


async def play(
    dialogue: Dialogue, stage: Stage, say: Say, approved: Callable[[], None] | None = None
) -> None:
    """Says all sentences in their order, with the answers to questions and the votes of others."""
    for turn in dialogue.turns:
        if await say(turn.say) and turn.answer is not None:
            await say(turn.answer)
        if turn.approved:
            await stage.approve()
            if approved is not None:
                approved()


async def play_in_process(dialogue: Dialogue, stage: Stage) -> list[Step]:
    """Returns the calls that were made, and when somebody agreed."""
    brain = Brain(stage)
    await play(dialogue, stage, brain.say, lambda: brain.steps.append(None))
    return brain.steps


async def play_over_rest(dialogue: Dialogue, stage: Stage) -> None:
    async with (
        on_loopback(create_app(stage.services)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address}",
            headers=await log_in_locally(stage.services.policy),
            timeout=WAIT_S,
            trust_env=False,
        ) as client,
    ):
        session: dict[str, str] = {}

        async def say(sentence: str) -> bool:
            response = await client.post("/api/chat", json={"message": sentence, **session})
            found = response.raise_for_status().json()
            session["session_id"] = found["session_id"]
            return _has_choices(found["events"])

        await play(dialogue, stage, say)
        await stage.services.turns.close()


async def play_over_websocket(dialogue: Dialogue, stage: Stage) -> None:
    async with (
        on_loopback(create_app(stage.services)) as address,
        connect(
            f"ws://{address}/api/chat/ws",
            additional_headers=await log_in_locally(stage.services.policy),
        ) as socket,
    ):
        session: dict[str, str] = {}

        async def say(sentence: str) -> bool:
            await socket.send(json.dumps({"type": "say", "message": sentence, **session}))
            events: list[dict[str, Any]] = []
            while not events or events[-1]["type"] != "done":
                events.append(json.loads(await socket.recv())["event"])
            session["session_id"] = events[-1]["session_id"]
            return _has_choices(events)

        await play(dialogue, stage, say)
        await stage.services.turns.close()


async def play_over_mcp(stage: Stage, steps: Sequence[Step], ids: dict[str, str]) -> None:
    """Makes the calls of `steps`; `ids` are those there to those here, and grow with what is created."""
    async with _mcp(stage) as client:
        found: dict[str, Any] = {}
        for step in steps:
            match step:
                case None:
                    await stage.approve()
                case ToolCalled():
                    arguments = ID.sub(lambda one: ids.get(one[0], one[0]), json.dumps(step.arguments))
                    result = await answered(client, step.tool, json.loads(arguments))
                    found = result.structured_content or {}
                case ToolReturned():
                    there, here = (ID.findall(json.dumps(one)) for one in (step.result, found))
                    ids.update(zip(there, here, strict=False))


@asynccontextmanager
async def _mcp(stage: Stage) -> AsyncIterator[Client]:
    async with (
        mcp_address(stage.services, CallLimits(wait_s=WAIT_S)) as address,
        address.client(await address.key("admin")) as client,
    ):
        yield client


def _has_choices(events: Sequence[dict[str, Any]]) -> bool:
    return any(one["type"] == "text" and one.get("choices") for one in events)
