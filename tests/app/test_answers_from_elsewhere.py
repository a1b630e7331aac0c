"""Paths of another machine mean nothing here: answers of its studio show addresses instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.events import BrainEvent, Text
from app.cli.answers import Conversation

FILES = ["hello.mp4", "hello.vtt"]
DONE = "“Hello” is done (1.2 s).\n  /srv/out/hello.mp4\n  /srv/out/hello.vtt\nNote: spoken faster."
EVENTS: list[dict[str, Any]] = [
    {"type": "tool_result", "tool": "show_render", "result": {"render_id": "rnd_1"}},
    {"type": "text", "text": DONE},
]


class OneServer:
    """Answers what a conversation asks of a server: one answer, and the render that it names."""

    def __init__(self, *, remote: bool) -> None:
        self.remote = remote

    async def answer(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for event in EVENTS:
            yield event

    async def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/renders/rnd_1"
        outputs = [{"url": f"/api/renders/rnd_1/files/{role}"} for role in ("video", "vtt")]
        return {"out_files": FILES, "outputs": outputs}

    def address_of(self, path: str) -> str:
        return f"https://studio.example{path}"


async def answer_of(server: OneServer) -> str:
    shown: list[BrainEvent] = []
    await Conversation(server, "ses_1").say("show the last video", shown.append)  # type: ignore[arg-type]
    return next(event.text for event in shown if isinstance(event, Text))


@pytest.mark.parametrize("remote", [True, False])
async def test_paths_are_addresses_where_the_server_is_elsewhere(remote: bool) -> None:
    files = "https://studio.example/api/renders/rnd_1/files/"
    elsewhere = f"“Hello” is done (1.2 s).\n  {files}video\n  {files}vtt\nNote: spoken faster."
    assert await answer_of(OneServer(remote=remote)) == (elsewhere if remote else DONE)
