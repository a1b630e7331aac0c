"""Debug mode shows what goes into a tool and comes out of it, and never a secret; nor do kept turns."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from local_login import log_in_locally

from app.composition import Services
from app.server.web import create_app

DEPLOY = "deploy the job talker with hf_token = hf_secret123, vram_mib = 4096"
ADDRESS = "https://ann:hunter2@cam.example/live"
SCRIPT = f"The camera is at {ADDRESS}. {'It shows the tide. ' * 20}"
SECRETS = ("hf_secret123", "hunter2")


@pytest.fixture
async def client(services: Services) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 40000))
    headers = await log_in_locally(services.policy)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


async def shown(client: httpx.AsyncClient, services: Services, sentence: str, *, debug: bool) -> list[Any]:
    """The tools' events of one answer: as they came, and as they were kept with the turn."""
    request = {"message": sentence, "debug": debug}
    answer = (await client.post("/api/chat", json=request)).json()
    stored = await services.events.read(f"turn:{answer['session_id']}:1")
    events = [*answer["events"], *({"type": event.kind, **event.data} for event in stored)]
    tools = [event for event in events if event.get("type") in ("tool_call", "tool_result")]
    assert len(tools) % 2 == 0 and tools, "what was told was kept"
    return tools


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("sentence", [DEPLOY, f"Make a video where Nova says: {SCRIPT}"])
async def test_no_event_of_a_tool_holds_a_secret(
    client: httpx.AsyncClient, services: Services, sentence: str, debug: bool
) -> None:
    events = json.dumps(await shown(client, services, sentence, debug=debug))
    assert "[masked]" in events
    assert not [secret for secret in SECRETS if secret in events]


async def test_what_is_no_secret_is_shown_whole(client: httpx.AsyncClient, services: Services) -> None:
    called, *_ = await shown(client, services, DEPLOY, debug=True)
    assert called["arguments"]["variables"] == {"hf_token": "[masked]", "vram_mib": 4096}
    sentence = f"Make a video where Nova says: {SCRIPT}"
    whole, *_ = await shown(client, services, sentence, debug=True)
    short, *_ = await shown(client, services, sentence, debug=False)
    assert len(whole["arguments"]["script"]) > 300 > len(short["arguments"]["script"])


async def test_a_result_is_masked_and_the_thing_itself_is_not(
    client: httpx.AsyncClient, services: Services
) -> None:
    _, created, *_ = await shown(client, services, f"Make a video where Nova says: {ADDRESS}", debug=True)
    assert "ann:[masked]@cam.example" in json.dumps(created["result"])
    render = await services.studio.renders.get(created["result"]["render_id"])
    assert "hunter2" in render.model_dump_json(), "what is to be said is said whole"
