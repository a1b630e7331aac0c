"""A server is killed while it tells answers on a WebSocket: each says how far it came, none is doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from typing import Any

import httpx
import pytest
from ready import told_until_ready
from scripted_model import Call, Say, scripted_model
from sentences import SentenceSnapshot
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WAIT_S = 60
TALK = "tell me something nice about the sea, would you"
MAKE = "make me some sort of video, whatever you like best"
SCRIPT = (
    Say("The sea is wide.", hold=asyncio.Event()),
    Call("make_render", {"script": "Tides come and go.", "persona": "nova"}),
    Say("I am making it.", hold=asyncio.Event()),
)


async def started(home: Any, model_url: str) -> tuple[subprocess.Popen[str], str]:
    """A server that is ready, in a process group of its own, and its URL."""
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_PROVISIONING__ENABLED="false",
        SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]',
        SOUNDSTAGE_LLM__LOCAL__BASE_URL=model_url,
        SOUNDSTAGE_LLM__LOCAL__MODEL="scripted",
    )
    told = await asyncio.to_thread(told_until_ready, process, home.log)
    return process, str(told["url"])


def kill(process: subprocess.Popen[str]) -> None:
    """All of it at once, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(WAIT_S)


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_S):
        while not told or told[-1]["type"] != kind:
            told.append(json.loads(await socket.recv())["event"])
    return told


async def send(socket: ClientConnection, **wish: Any) -> None:
    await socket.send(json.dumps(wish))


def chat_of(url: str) -> str:
    return f"{url.replace('http', 'ws', 1)}/api/chat/ws"


@pytest.mark.timeout(600)
async def test_answers_that_a_killed_server_was_telling_are_interrupted_and_nothing_is_doubled(
    home: Any,
    snapshot: SentenceSnapshot,
) -> None:
    async with scripted_model(*SCRIPT) as model:
        process, url = await started(home, model.base_url)
        began: dict[str, list[dict[str, Any]]] = {}
        try:
            async with (
                connect(chat_of(url), additional_headers=home.headers) as talking,
                connect(chat_of(url), additional_headers=home.headers) as making,
            ):
                for socket, sentence in ((talking, TALK), (making, MAKE)):
                    await send(socket, type="say", message=sentence, request_id=f"request-{len(began)}-1234")
                    began[sentence] = await until(socket, "text_part")
                # The word that was heard is written within a quarter of a second.
                await written(home, url, *(events[0]["session_id"] for events in began.values()))
                kill(process)
                for socket in (talking, making):
                    with pytest.raises(ConnectionClosed):
                        await until(socket, "done")
            process, url = await started(home, model.base_url)
            async with (
                connect(chat_of(url), additional_headers=home.headers) as socket,
                httpx.AsyncClient(
                    base_url=url, headers=home.headers, timeout=WAIT_S, trust_env=False
                ) as client,
            ):
                for number, (sentence, before) in enumerate(began.items()):
                    session_id = before[0]["session_id"]
                    await send(socket, type="read", session_id=session_id, turn=1)
                    read = await until(socket, "done")
                    assert [one["type"] for one in read[: len(before)]] == [one["type"] for one in before]
                    assert [one["type"] for one in read[len(before) :]] == ["error", "done"], read
                    assert read[-2]["code"] == "agent.interrupted"
                    if sentence == TALK:
                        assert read[-2]["hint"] == snapshot("nothing_begun", asked=TALK)
                    else:
                        assert "look whether its effect is there" in read[-2]["hint"]
                    # The same request again, as a page sends it that has heard nothing.
                    again = {"message": sentence, "request_id": f"request-{number}-1234"}
                    await send(socket, type="say", session_id=session_id, **again)
                    assert await until(socket, "done") == read
                    path = f"/api/chat/sessions/{session_id}/turns"
                    turns = (await client.get(path)).raise_for_status().json()
                    assert [(one["utterance"], one["state"]) for one in turns] == [(sentence, "interrupted")]
                made = (await client.get("/api/renders")).raise_for_status().json()
            assert len(model.asked) == len(SCRIPT)
        finally:
            kill(process)
    [ticket] = [one["result"]["render_id"] for one in began[MAKE] if one["type"] == "tool_result"]
    assert [one["id"] for one in made] == [ticket]


async def written(home: Any, url: str, *sessions: str) -> None:
    """Until the first word of each answer is in the database."""
    async with (
        asyncio.timeout(WAIT_S),
        httpx.AsyncClient(base_url=url, headers=home.headers, timeout=WAIT_S, trust_env=False) as client,
    ):
        for session_id in sessions:
            path = f"/api/chat/sessions/{session_id}/turns/1/events"
            async with client.stream("GET", path) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("event: text_part"):
                        break
