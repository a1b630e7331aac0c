"""Memory, snapshots and the state of the agent as people and programs meet them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.composition import Services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest

CHANNEL = "our channel is called Deep Water"


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        yield client


@pytest.fixture
def key(services: Services) -> Callable[..., Awaitable[dict[str, str]]]:
    async def make(role: str, name: str = "") -> dict[str, str]:
        async with services.database.transaction() as session:
            created = await services.policy.keys.create(
                session, KeyRequest(name=name or role, role=role), Principal.local_admin()
            )
        return {"Authorization": f"Bearer {created.key}"}

    return make


async def test_what_is_remembered_over_http_is_one_s_own(http: httpx.AsyncClient, key: Any) -> None:
    ada, bob = await key("editor", "ada"), await key("editor", "bob")
    created = (await http.post("/api/memory", json={"text": CHANNEL}, headers=ada)).json()
    again = (await http.post("/api/memory", json={"text": CHANNEL.upper()}, headers=ada)).json()
    assert (created["known"], again["known"]) == (False, True)
    found = (await http.get("/api/memory", params={"about": "the channel"}, headers=ada)).json()
    assert [one["text"] for one in found["memories"]] == [CHANNEL]
    assert (await http.get("/api/memory", headers=bob)).json()["memories"] == []
    path = f"/api/memory/{created['memory']['id']}"
    assert (await http.delete(path, headers=bob)).status_code == 404
    export = (await http.get("/api/memory/export", headers=ada)).json()
    assert (export["format"], [one["text"] for one in export["memories"]]) == (1, [CHANNEL])
    assert (await http.delete(path, headers=ada)).json() == {"gone": 1}
    assert (await http.get("/api/memory", headers=ada)).json()["memories"] == []


async def test_everything_is_forgotten_only_when_it_is_said(http: httpx.AsyncClient, key: Any) -> None:
    ada = await key("editor")
    await http.post("/api/memory", json={"text": CHANNEL}, headers=ada)
    slip = await http.delete("/api/memory", headers=ada)
    assert (slip.status_code, slip.json()["code"]) == (422, "memory.say_everything")
    assert (await http.delete("/api/memory", params={"everything": True}, headers=ada)).json() == {"gone": 1}


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001])
async def test_nothing_and_too_much_cannot_be_remembered(
    http: httpx.AsyncClient, key: Any, text: str
) -> None:
    answer = await http.post("/api/memory", json={"text": text}, headers=await key("editor"))
    assert answer.status_code == 422


async def test_a_viewer_looks_and_changes_nothing(http: httpx.AsyncClient, key: Any) -> None:
    viewer = await key("viewer")
    for path in ("/api/memory", "/api/memory/export", "/api/snapshots", "/api/status"):
        assert (await http.get(path, headers=viewer)).status_code == 200, path
    for method, path, body in (
        ("POST", "/api/memory", {"text": CHANNEL}),
        ("DELETE", "/api/memory?everything=true", None),
        ("POST", "/api/snapshots", {"name": "tides"}),
        ("POST", "/api/state/save", {"name": "tides"}),
        ("POST", "/api/state/load", {"name": "tides"}),
        ("DELETE", "/api/snapshots/tides", None),
    ):
        assert (await http.request(method, path, json=body, headers=viewer)).status_code == 403, path


async def test_a_state_is_saved_and_loaded_and_the_chat_goes_on_there(
    http: httpx.AsyncClient, key: Any
) -> None:
    ada = await key("editor")

    async def say(message: str, session_id: str | None = None) -> dict[str, Any]:
        body = {"message": message, "session_id": session_id}
        answer: dict[str, Any] = (await http.post("/api/chat", json=body, headers=ada)).json()
        return answer

    created = await say("Make a video called Tides where Nova says: hello")
    saved = await http.post("/api/state/save", json={"save_name": "tides"}, headers=ada)
    assert (saved.status_code, saved.json()["session_id"]) == (200, created["session_id"])
    await say("Make a video called Sand where Nova says: second", created["session_id"])
    changed = (await http.get("/api/snapshots/tides/diff", headers=ada)).json()
    assert [one["kind"] for one in changed["differences"]] == ["turns", "video"]
    loaded = (await http.post("/api/state/load", json={"save_name": "tides"}, headers=ada)).json()
    assert loaded["session_id"] != created["session_id"]
    assert (await say("Show it", loaded["session_id"]))["render_id"] == created["render_id"]
    into = {"session_id": created["session_id"]}
    assert (await http.post("/api/snapshots/tides/load", json=into, headers=ada)).status_code == 200
    assert (await say("Show it", created["session_id"]))["render_id"] == created["render_id"]
    taken = await http.post("/api/snapshots", json={"name": "Tides"}, headers=ada)
    assert (taken.status_code, taken.json()["code"]) == (409, "snapshot.exists")
    assert (await http.get("/api/snapshots/tides", headers=ada)).json()["state"]["render"]["title"] == "Tides"
    assert (await http.delete("/api/snapshots/tides", headers=ada)).json()["name"] == "tides"
    missing = await http.get("/api/snapshots/tides", headers=ada)
    assert (missing.status_code, missing.json()["code"]) == (404, "snapshot.not_found")


async def test_the_status_tells_what_is_going_on(http: httpx.AsyncClient, key: Any) -> None:
    ada = await key("editor")
    text = {"message": "Make a video called Tides where Nova says: hello"}
    created = (await http.post("/api/chat", json=text, headers=ada)).json()
    await http.post("/api/memory", json={"text": CHANNEL}, headers=ada)
    await http.post("/api/state/save", json={"name": "tides"}, headers=ada)
    status = (await http.get("/api/status", headers=ada)).json()
    assert status["status"] == "ok" and status["tools"] > 5
    assert (status["answers"], status["conversations"], status["memories"]) == ("sentences", 1, 1)
    assert status["snapshots"] == ["tides"]
    assert status["videos"] == [{"render_id": created["render_id"], "title": "Tides", "state": "queued"}]


def test_memories_are_listed_exported_and_forgotten_at_the_prompt(cli: Any) -> None:
    assert "Nothing is remembered" in cli("memory", "list").out
    assert CHANNEL in cli("ask", f"Remember that {CHANNEL}").out
    assert CHANNEL in cli("memory", "list", "the channel").out
    [stored] = json.loads(cli("memory", "export").out)["memories"]
    assert json.loads(cli("memory", "export", "--of", "key_nobody").out)["memories"] == []
    whose = ("memory", "export", "--of", "local:cli")
    assert json.loads(cli(*whose).out)["memories"] == [stored]
    assert json.loads(cli(*whose, "--tenant", "acme").out)["memories"] == []
    assert "memory.say_everything" in cli("memory", "forget").err
    assert "memory.not_found" in cli("memory", "forget", "mem_nonesuch").err
    assert "Forgotten: 1." in cli("memory", "forget", stored["id"]).out
    cli("ask", f"Remember that {CHANNEL}")
    assert json.loads(cli("memory", "forget", "--everything", "--json").out) == {"gone": 1}


def test_snapshots_are_saved_compared_loaded_and_deleted_at_the_prompt(cli: Any) -> None:
    assert "snapshot.no_conversation" in cli("snapshots", "save", "tides").err
    cli("ask", "List my videos")
    assert "as tides" in cli("snapshots", "save", "tides").out
    assert "snapshot.exists" in cli("snapshots", "save", "tides").err
    assert "Nothing has changed" in cli("snapshots", "diff", "tides").out
    assert "chat --session ses_" in cli("snapshots", "load", "tides").out
    assert [one["name"] for one in json.loads(cli("snapshots", "list", "--json").out)] == ["tides"]
    assert "is deleted" in cli("snapshots", "delete", "tides").out
    assert "snapshot.not_found" in cli("snapshots", "load", "tides").err
