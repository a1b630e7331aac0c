"""MCP with the official SDK's client over real HTTP: lists, calls, errors, approvals, cancelling, keys."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_client import OPENING
from mcp_servers import McpAddress, mcp_address
from socket_servers import WAIT_S
from sqlalchemy import select

from agent.approvals.states import ApprovalState
from agent.mcp.descriptions import ABOUT_CALLS, DRY_RUN, TRACE, describe
from agent.mcp.running import CallLimits
from agent.tools import ALL_TOOLS
from app.composition import Services, open_services
from policy import Principal
from policy.audit.models import AuditLine
from policy.sessions import COOKIE
from soundstage.settings import Settings

ERAS = ("auto", "legacy")
"""The protocol of 2026-07-28 without sessions, and the one before with its handshake."""
FORGET_ALL = {"action": "forget", "everything": True}
PATIENT = CallLimits(wait_s=WAIT_S)
"""On a busy machine a call takes longer than the seconds after which there is a ticket."""


@pytest.fixture
async def address(services: Services) -> AsyncIterator[McpAddress]:
    async with mcp_address(services, PATIENT) as created:
        yield created


async def called(client: Client, tool: str, **arguments: Any) -> Any:
    """The data of a call that worked; the client has compared it with the tool's output schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


@pytest.mark.parametrize("era", ERAS)
async def test_a_video_is_asked_for_and_followed_by_its_ticket(address: McpAddress, era: str) -> None:
    async with address.client(await address.key("editor"), mode=era) as client:
        ticket = await called(client, "make_render", script="The tide comes in twice a day.", persona="nova")
        shown = await called(client, "show_render")

    assert ticket["render_id"].startswith("rnd_")
    assert shown["render_id"] == ticket["render_id"]
    found = await address.services.studio.renders.get(ticket["render_id"])
    assert found.id == ticket["render_id"]


async def test_what_latest_means_is_ones_own(address: McpAddress) -> None:
    ada, bob = await address.key("editor", "ada"), await address.key("editor", "bob")
    async with address.client(ada) as first, address.client(bob) as second:
        ours = await called(first, "make_render", script="From Ada.")
        await called(second, "make_render", script="From Bob.")
        again = await called(first, "show_render")

    assert again["render_id"] == ours["render_id"]


@pytest.mark.parametrize("role", ["viewer", "editor", "operator", "admin"])
async def test_the_list_shows_what_the_caller_may_use_and_no_more(address: McpAddress, role: str) -> None:
    async with address.client(await address.key(role)) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}

    principal = Principal("key_x", "x", role, "key")
    usable = {tool.name for tool in ALL_TOOLS if any(map(principal.may, tool.permissions))}
    assert listed.keys() == usable | ABOUT_CALLS.keys()
    for tool in ALL_TOOLS:
        if "" not in tool.acts and tool.name in listed:
            allowed = [name for name, act in tool.acts.items() if principal.may(act.permission)]
            assert listed[tool.name].input_schema["properties"]["action"]["enum"] == allowed


async def test_hints_come_from_the_effect(address: McpAddress) -> None:
    async with address.client(await address.key("admin")) as client:
        listed = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}

    for tool in ALL_TOOLS:
        hints = listed[tool.name]
        assert hints is not None
        assert hints.read_only_hint == (tool.effect == "read")
        assert hints.destructive_hint == (tool.effect == "destructive")


def test_every_tool_can_be_described() -> None:
    for tool in ALL_TOOLS:
        shown = describe(tool, Principal.local_admin())
        assert shown is not None
        assert shown.input_schema["type"] == "object"
        assert shown.output_schema is not None
        assert shown.output_schema["type"] == "object"
        assert shown.description


@pytest.mark.parametrize("key", ["sk_wrong", "Basic x", None])
async def test_without_a_good_key_nothing_is_told(address: McpAddress, key: str | None) -> None:
    """From another machine: `Host` is no name of this one."""
    headers = {"Host": "studio.example"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(address.url, json={}, headers=headers)

    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


async def test_a_client_with_a_wrong_key_does_not_connect(address: McpAddress) -> None:
    with pytest.raises(BaseExceptionGroup) as failed:
        async with address.client("sk_wrong"):
            pytest.fail("it has connected")

    assert all(isinstance(one, MCPError) for one in _leaves(failed.value))


def _leaves(error: BaseException) -> list[BaseException]:
    inner = getattr(error, "exceptions", None)
    return [error] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


async def test_a_revoked_key_ends_at_the_next_call(address: McpAddress) -> None:
    services = address.services
    key = await address.key("editor")
    async with address.client(key) as client:
        await called(client, "list_personas")
        async with services.database.transaction() as session:
            principal = await services.policy.keys.identify(session, key)
            assert principal is not None
            await services.policy.keys.revoke(session, principal.key_id, Principal.local_admin())
        with pytest.raises(MCPError):
            await called(client, "list_personas")


async def test_a_page_of_somebody_else_cannot_call(address: McpAddress) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        created = await address.services.policy.first_admin_key()
        assert created is not None
        cookie = f"{COOKIE}={address.services.policy.sessions.sign(created.id)}"
        headers = {"Origin": "https://evil.example", "Cookie": cookie}
        answer = await http.post(address.url, json={}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_is_not_allowed_is_refused_with_its_reason(address: McpAddress, era: str) -> None:
    async with address.client(await address.key("viewer"), mode=era) as client:
        refused = await client.call_tool("make_render", {"script": "Hello"})

    assert refused.is_error
    assert refused.structured_content["status"] == "error"
    assert "render:create" in refused.structured_content["message"]
    assert await address.services.studio.renders.list() == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "script"),
        ({"script": ""}, "script"),
        ({"script": "Hello", "quality": "9000p"}, "quality"),
        ({"script": "Hello", "colour": "red"}, "colour"),
        ({"script": ["Hello"]}, "script"),
        ({"script": "Hello", "background": "blurple"}, "background"),
    ],
)
async def test_bad_arguments_are_told_and_can_be_corrected(
    address: McpAddress, arguments: dict[str, Any], named: str
) -> None:
    async with address.client(await address.key("editor")) as client:
        refused = await client.call_tool("make_render", arguments)

    assert refused.is_error
    assert refused.structured_content["code"] == "tool.bad_arguments"
    assert named in refused.structured_content["message"]


async def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(address: McpAddress) -> None:
    async with address.client(await address.key("admin")) as client:
        with pytest.raises(MCPError, match="no tool named"):
            await client.call_tool("rm_rf", {})


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_waits_for_people_answers_with_its_approval(address: McpAddress, era: str) -> None:
    services = address.services
    async with address.client(await address.key("operator"), mode=era) as client:
        await called(client, "memory", action="remember", text="The tide tables are in the harbour.")
        waiting = await called(client, "memory", **FORGET_ALL)
        again = await called(client, "memory", **FORGET_ALL)
        approval_id = waiting["approval_id"]
        assert waiting["status"] == "waiting_for_approval"
        assert again["approval_id"] == approval_id
        # Whoever asks does not decide: the same key cannot, the person at the prompt can.
        await services.decisions.vote(approval_id, Principal.local_admin(), agrees=True)
        await services.decisions.run_approved()

    done = await services.decisions.approvals.get(approval_id, Principal.local_admin())
    assert done.state == ApprovalState.DONE


async def test_a_dry_run_tells_the_plan_and_changes_nothing(address: McpAddress) -> None:
    async with address.client(await address.key("editor")) as client:
        planned = await client.call_tool("make_render", {"script": "Hello"}, meta={DRY_RUN: True})

    assert not planned.is_error
    assert planned.structured_content["plan"]["changes"]
    assert await address.services.studio.renders.list() == []


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("cancel_render", {"render": "rnd_nope"}, "render.not_found"),
        ("make_render", {"script": "Hello", "persona": "nobody"}, "persona.not_found"),
        ("snapshots", {"action": "delete", "name": "none"}, "snapshot.not_found"),
    ],
)
async def test_a_dry_run_of_what_could_not_be_done_is_refused(
    address: McpAddress, tool: str, arguments: dict[str, Any], code: str
) -> None:
    async with address.client(await address.key("editor")) as client:
        refused = await client.call_tool(tool, arguments, meta={DRY_RUN: True})

    assert refused.is_error
    assert refused.structured_content["code"] == code


async def test_each_call_is_audited_under_the_trace_that_it_tells(address: McpAddress) -> None:
    async with address.client(await address.key("editor", "ada")) as client:
        result = await client.call_tool("list_personas", {})

    assert result.meta is not None
    async with address.services.database.session() as session:
        query = select(AuditLine).where(AuditLine.trace_id == result.meta[TRACE])
        lines = (await session.scalars(query)).all()
    assert {line.kind for line in lines} >= {"tool.called", "tool.ended"}
    assert {line.actor for line in lines} == {"ada"}


async def test_calls_are_limited_per_key(settings: Settings) -> None:
    few = Settings.model_validate({**settings.model_dump(), "policy": {"tool_calls_per_minute": 2}})
    async with open_services(few) as services, mcp_address(services, PATIENT) as address:
        first, second = await address.key("viewer", "ada"), await address.key("viewer", "bob")
        async with address.client(first) as ada, address.client(second) as bob:
            answers = await asyncio.gather(*(ada.call_tool("list_personas", {}) for _ in range(6)))
            other = await bob.call_tool("list_personas", {})

    codes = {answer.structured_content["code"] for answer in answers if answer.is_error}
    assert codes == {"tool.too_many_calls"}
    assert not other.is_error


async def test_two_clients_at_once_get_their_own_answers(address: McpAddress) -> None:
    keys = [await address.key("editor", name) for name in ("ada", "bob")]

    async def talk(key: str, word: str) -> list[str]:
        async with address.client(key) as client:
            created = await asyncio.gather(
                *(called(client, "make_render", script=f"{word} {number}", title=word) for number in range(5))
            )
            return [ticket["title"] for ticket in created]

    output = await asyncio.gather(talk(keys[0], "Ada"), talk(keys[1], "Bob"))

    assert output == [["Ada"] * 5, ["Bob"] * 5]


async def test_a_session_of_somebody_else_cannot_be_used(address: McpAddress) -> None:
    ada, bob = await address.key("editor", "ada"), await address.key("editor", "bob")
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(headers=accept, timeout=60) as http:
        opened = await http.post(address.url, json=OPENING, headers={"Authorization": f"Bearer {ada}"})
        session_id = opened.headers["mcp-session-id"]
        answer = await http.post(
            address.url,
            json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
            headers={"Authorization": f"Bearer {bob}", "mcp-session-id": session_id},
        )

    assert answer.status_code == 404


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap: apt-get install bubblewrap")
@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_call_ends_what_it_began(services: Services, era: str) -> None:
    async with (
        mcp_address(services, PATIENT) as address,
        address.client(await address.key("operator"), mode=era) as client,
    ):
        code = "import time\ntime.sleep(1000)"
        call = asyncio.create_task(client.call_tool("code_runner", {"code": code, "time_limit_s": 60}))
        await _audited(services, "tool.called")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        ended = await _audited(services, "tool.ended")
        assert ended.data["outcome"] == "cancelled"
        # The connection goes on.
        await called(client, "list_personas")


async def _audited(services: Services, kind: str) -> AuditLine:
    """The first line of that kind, as soon as it is written."""
    async with asyncio.timeout(WAIT_S):
        while True:
            async with services.database.session() as session:
                line = await session.scalar(select(AuditLine).where(AuditLine.kind == kind))
            if line is not None:
                return line
            await asyncio.sleep(0.05)


async def test_a_fault_of_our_own_is_told_as_one(
    address: McpAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the secret of the inside")

    monkeypatch.setattr(type(address.services.studio.library), "list", lambda _: broken())
    async with address.client(await address.key("viewer")) as client:
        answer = await client.call_tool("list_personas", {})

    assert answer.is_error
    assert "secret" not in str(answer)
    assert answer.structured_content["code"] == "internal.unexpected"
