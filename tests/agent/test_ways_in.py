"""The same sentences tell the same over every way in: REST, WebSocket, SSE, command line, voice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from brain_answers import answer
from local_login import log_in_locally
from scripted_model import Call, Say, ScriptedModel, scripted_model
from socket_servers import on_loopback
from websockets.asyncio.client import connect

from app.composition import Services, open_services
from app.server.web import create_app
from policy import Principal
from soundstage.settings import Settings

WAIT_S = 60
SENTENCES = ("cancel it", "suggest a face that fits a bakery")
"""One for the grammar, which fails; one for the model, which takes a tool and says it word by word."""
SCRIPT = (Call("list_personas"), Say("Nova can do that."))
OF_ONE_TURN = ("session_id", "turn", "trace_id")
PROGRAM = [sys.executable, "-c", "from app.cli import main; main()"]

Event = dict[str, Any]
Told = list[list[Event]]


class Entrance:
    """One installation, at which both sentences are said."""

    def __init__(self, settings: Settings, services: Services, model: ScriptedModel) -> None:
        self.settings = settings
        self.services = services
        self.model = model

    async def in_this_process(self) -> Told:
        """What all ways lead to."""
        sessions = self.services.brain.sessions
        output: Told = []
        for sentence in SENTENCES:
            conversation = await sessions.open(Principal.local_admin("test"))
            events = await answer(self.services.brain, conversation, sentence)
            output.append([event.model_dump(mode="json", exclude_none=True) for event in events])
        return output

    async def rest(self) -> Told:
        return [json.loads(body)["events"] for body in await self._posted("application/json")]

    async def sse(self) -> Told:
        bodies = await self._posted("text/event-stream")
        return [
            [json.loads(line[5:]) for line in body.splitlines() if line.startswith("data:")]
            for body in bodies
        ]

    async def _posted(self, accept: str) -> list[str]:
        async with (
            on_loopback(create_app(self.services)) as address,
            httpx.AsyncClient(
                base_url=f"http://{address}",
                headers={"Accept": accept, **await log_in_locally(self.services.policy)},
                timeout=WAIT_S,
                trust_env=False,
            ) as client,
        ):
            answers = [await client.post("/api/chat", json={"message": one}) for one in SENTENCES]
        return [answer.raise_for_status().text for answer in answers]

    async def websocket(self) -> Told:
        output: Told = []
        async with (
            on_loopback(create_app(self.services)) as address,
            connect(
                f"ws://{address}/api/chat/ws",
                additional_headers=await log_in_locally(self.services.policy),
            ) as socket,
            asyncio.timeout(WAIT_S),
        ):
            for sentence in SENTENCES:
                await socket.send(json.dumps({"type": "say", "message": sentence}))
                output.append([])
                while not output[-1] or output[-1][-1]["type"] != "done":
                    output[-1].append(json.loads(await socket.recv())["event"])
        return output

    async def command_line(self) -> Told:
        arguments = {
            "STATE_DIR": self.settings.state_dir,
            "OUT_DIR": self.settings.out_dir,
            "PERSONAS_DIR": self.settings.personas_dir,
            "LLM__LOCAL__BASE_URL": self.model.base_url,
            "LLM__LOCAL__MODEL": "scripted",
        }
        own = {f"SOUNDSTAGE_{name}": str(value) for name, value in arguments.items()}
        output: Told = []
        for sentence in SENTENCES:
            process = await asyncio.create_subprocess_exec(
                *PROGRAM, "ask", sentence, "--json",
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **own},
            )  # fmt: skip
            async with asyncio.timeout(WAIT_S):
                out, _ = await process.communicate()
            output.append([json.loads(line) for line in out.splitlines()])
        return output

    async def voice(self) -> Told:
        pytest.importorskip("pipecat", reason="needs pipecat: run `uv sync --inexact --extra voice`")
        from pipecat.frames.frames import LLMFullResponseEndFrame
        from voice_call import calling, spoken

        from agent.voice.twin import BrainEventFrame

        output: Told = []
        async with calling(self.services, self.model) as call:
            for sentence in SENTENCES:
                call.listener.heard.clear()
                await call.say(spoken(sentence))
                await call.listener.until(LLMFullResponseEndFrame)
                frames = [one for one in call.listener.heard if isinstance(one, BrainEventFrame)]
                output.append([one.event.model_dump(mode="json", exclude_none=True) for one in frames])
        return output


WAYS: dict[str, Callable[[Entrance], Awaitable[Told]]] = {
    "REST": Entrance.rest,
    "WebSocket": Entrance.websocket,
    "SSE": Entrance.sse,
    "command line": Entrance.command_line,
    "voice": Entrance.voice,
}
AT_ONCE = {"REST"}
"""They answer when all is said, and leave out how it came word by word."""


@pytest.mark.parametrize("way", WAYS)
async def test_the_same_sentences_tell_the_same_over_every_way_in(settings: Settings, way: str) -> None:
    async with scripted_model(*SCRIPT, *SCRIPT) as model:
        near = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": near}})
        async with open_services(chosen) as services:
            entrance = Entrance(chosen, services, model)
            expected = await entrance.in_this_process()
            output = await WAYS[way](entrance)
            await services.turns.close()
        assert len(model.asked) == 2 * len(SCRIPT)
    assert [_plain(events, way) for events in output] == [_plain(events, way) for events in expected]
    failing, talking = expected
    assert [event["type"] for event in failing] == ["turn", "understood", "tool_call", "error", "done"]
    assert failing[-2]["code"] == "render.none_yet" and failing[-2]["hint"]
    kinds = [event["type"] for event in talking if event["type"] != "text_part"]
    assert kinds == ["turn", "tool_call", "tool_result", "text", "done"]
    assert talking[-2]["text"] == "Nova can do that."


def _plain(events: Sequence[Event], way: str) -> list[Event]:
    """Without what is another in each turn; one after the other, the parts of a text are that text."""
    output: list[Event] = []
    for event in events:
        if event["type"] == "text_part" and output and output[-1]["type"] == "text_part":
            output[-1]["text"] += event["text"]
        else:
            output.append({name: value for name, value in event.items() if name not in OF_ONE_TURN})
            usage = output[-1].pop("usage", None)
            if usage is not None:
                # A call is one conversation, so its second sentence costs more tokens.
                output[-1]["usage"] = {name: usage[name] for name in ("model", "requests")}
    return [event for event in output if way not in AT_ONCE or event["type"] != "text_part"]
