"""Calls over MCP that take long: a ticket at once, the result later, and only for whoever asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from mcp import Client, types
from mcp_servers import McpAddress, mcp_address
from socket_servers import WAIT_S
from sqlalchemy import select

from agent.mcp.calls import McpCalls
from agent.mcp.descriptions import TRACE
from agent.mcp.running import CallLimits
from agent.sandbox import Sandbox, SandboxRun
from app.composition import Services
from policy import Principal
from policy.audit.models import AuditLine

ERAS = ("auto", "legacy")
SHORT = CallLimits(wait_s=0.2)
ADA = Principal("key_ada", "ada", "operator", "key")
BOB = replace(ADA, id="key_bob", name="bob")
CODE = {"code": "print('the tide')"}


class SlowSandbox:
    """In the place of the sandbox: runs end when the test lets them, or when they are cancelled."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0
        self.cleaned_up = 0

    async def run(self, _code: str, *, wall_s: float) -> SandboxRun:
        self.begun += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            self.cleaned_up += 1
            raise
        return SandboxRun(stdout="the tide\n", stderr="", exit=0, seconds=wall_s)

    async def under_way(self, count: int = 1) -> None:
        """On a busy machine a ticket is there before what it is for has begun."""
        async with asyncio.timeout(WAIT_S):
            while self.begun < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowSandbox:
    created = SlowSandbox()
    monkeypatch.setattr(Sandbox, "run", staticmethod(created.run))
    return created


@pytest.fixture
async def address(services: Services) -> AsyncIterator[McpAddress]:
    async with mcp_address(services, SHORT) as created:
        yield created


@pytest.fixture
async def calls(services: Services) -> AsyncIterator[McpCalls]:
    created = _calls(services, SHORT)
    yield created
    await created.close()


def _calls(services: Services, limits: CallLimits) -> McpCalls:
    return McpCalls(services.brain.toolset, services.tool_services, services.database, limits)


async def shown(client: Client, call_id: str) -> Any:
    """The result, as soon as it is no ticket any more."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await client.call_tool("show_call", {"call_id": call_id})
            if answer.structured_content.get("status") != "working":
                return answer


async def ended(calls: McpCalls, call_id: str) -> types.CallToolResult:
    """The same without a client, for Ada."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await calls.call(ADA, "show_call", {"call_id": call_id})
            if data(answer).get("status") != "working":
                return answer


async def lines(services: Services, trace_id: str) -> list[tuple[str, Any]]:
    async with services.database.session() as session:
        query = select(AuditLine).where(AuditLine.trace_id == trace_id).order_by(AuditLine.number)
        found = (await session.scalars(query)).all()
    return [(line.kind, line.data.get("outcome")) for line in found if line.kind.startswith("tool.")]


def data(answer: types.CallToolResult) -> dict[str, Any]:
    return dict(answer.structured_content)


@pytest.mark.parametrize("era", ERAS)
async def test_a_long_call_answers_with_a_ticket_and_its_result_is_there_later(
    address: McpAddress, slow: SlowSandbox, era: str
) -> None:
    async with address.client(await address.key("operator"), mode=era) as client:
        ticket = await client.call_tool("code_runner", CODE)
        still = await client.call_tool("show_call", {"call_id": data(ticket)["call_id"]})
        slow.go_on.set()
        ended = await shown(client, data(ticket)["call_id"])
        again = await shown(client, data(ticket)["call_id"])

    assert (data(ticket)["status"], data(still)["status"]) == ("working", "working")
    assert not ended.is_error
    assert data(ended)["stdout"] == data(again)["stdout"] == "the tide\n"
    assert slow.begun == 1
    assert ticket.meta is not None and ended.meta is not None
    assert ended.meta[TRACE] == ticket.meta[TRACE]
    # Audited once: neither the ticket nor asking for it is a call of the tool.
    assert await lines(address.services, ticket.meta[TRACE]) == [("tool.called", None), ("tool.ended", "ok")]


async def test_a_client_that_has_gone_does_not_end_a_call_with_a_ticket(
    address: McpAddress, slow: SlowSandbox
) -> None:
    key = await address.key("operator")
    async with address.client(key) as client:
        ticket = data(await client.call_tool("code_runner", CODE))
    slow.go_on.set()
    async with address.client(key) as client:
        ended = await shown(client, ticket["call_id"])

    assert data(ended)["stdout"] == "the tide\n"


async def test_nobody_else_gets_the_result_or_may_end_the_call(calls: McpCalls, slow: SlowSandbox) -> None:
    ticket = data(await calls.call(ADA, "code_runner", CODE))
    for other in (BOB, replace(ADA, tenant="acme"), Principal.local_admin()):
        for name in ("show_call", "cancel_call"):
            refused = await calls.call(other, name, {"call_id": ticket["call_id"]})
            assert refused.is_error and data(refused)["code"] == "mcp.no_such_call", other
    assert slow.cleaned_up == 0
    slow.go_on.set()
    refused = await calls.call(BOB, "show_call", {"call_id": ticket["call_id"]})
    assert data(refused)["code"] == "mcp.no_such_call"
    assert data(await ended(calls, ticket["call_id"]))["stdout"] == "the tide\n"


async def test_a_key_that_has_lost_the_right_does_not_get_the_result(
    calls: McpCalls, slow: SlowSandbox
) -> None:
    ticket = data(await calls.call(ADA, "code_runner", CODE))
    slow.go_on.set()
    refused = await calls.call(replace(ADA, role="viewer"), "show_call", {"call_id": ticket["call_id"]})

    assert refused.is_error and data(refused)["code"] == "policy.forbidden"
    assert "code:run" in data(refused)["message"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_with_a_ticket_can_be_ended(address: McpAddress, slow: SlowSandbox, era: str) -> None:
    async with address.client(await address.key("operator"), mode=era) as client:
        ticket = await client.call_tool("code_runner", CODE)
        about = {"call_id": data(ticket)["call_id"]}
        await slow.under_way()
        cancelled = await client.call_tool("cancel_call", about)
        again = await client.call_tool("cancel_call", about)
        request = await client.call_tool("show_call", about)

    assert data(cancelled)["status"] == data(request)["status"] == "cancelled"
    assert again.is_error and data(again)["code"] == "mcp.call_ended"
    assert slow.cleaned_up == 1
    assert ticket.meta is not None
    assert (await lines(address.services, ticket.meta[TRACE]))[-1] == ("tool.ended", "cancelled")


async def test_calls_at_once_are_bounded_for_each_asker_and_in_all(
    services: Services, slow: SlowSandbox
) -> None:
    few = _calls(services, CallLimits(wait_s=0.2, running_each=2, running=3))
    answers = await asyncio.gather(*(few.call(ADA, "code_runner", CODE) for _ in range(3)))
    assert sorted(data(one).get("code", data(one)["status"]) for one in answers) == [
        "mcp.too_many_calls", "working", "working",
    ]  # fmt: skip
    assert data(await few.call(BOB, "code_runner", CODE))["status"] == "working"
    full = await few.call(BOB, "code_runner", CODE)
    assert data(full)["code"] == "mcp.too_many_calls"
    await slow.under_way(3)
    assert slow.begun == 3
    slow.go_on.set()
    for one in _ids(answers):
        await ended(few, one)
    assert not (await few.call(BOB, "code_runner", CODE)).is_error
    await few.close()


async def test_results_are_kept_for_a_while_and_of_one_asker_the_latest(
    services: Services, slow: SlowSandbox
) -> None:
    brief = _calls(services, CallLimits(wait_s=0.2, result_ttl_s=6, results_each=2))
    ids = [data(await brief.call(ADA, "code_runner", CODE))["call_id"] for _ in range(3)]
    slow.go_on.set()
    for one in ids:
        await ended(brief, one)
    output = [await brief.call(ADA, "show_call", {"call_id": one}) for one in ids]
    assert [one.is_error for one in output] == [True, False, False]
    async with asyncio.timeout(WAIT_S):
        while [data(one).get("code") for one in output] != ["mcp.no_such_call"] * 3:
            await asyncio.sleep(0.5)
            output = [await brief.call(ADA, "show_call", {"call_id": one}) for one in ids]
    assert "soundstage trace" in data(output[0])["hint"]
    await brief.close()


async def test_who_cancelled_a_call_stands_in_the_audit_log_once(
    services: Services, calls: McpCalls, slow: SlowSandbox
) -> None:
    ticket = await calls.call(ADA, "code_runner", CODE)
    about = {"call_id": data(ticket)["call_id"]}
    await calls.call(BOB, "cancel_call", about)
    await calls.call(ADA, "cancel_call", about)
    late = await calls.call(ADA, "cancel_call", about)
    assert data(late)["code"] == "mcp.call_ended"
    async with services.database.session() as session:
        query = select(AuditLine).where(AuditLine.kind == "call.cancelled")
        [line] = (await session.scalars(query)).all()
    assert ticket.meta is not None
    assert (line.actor, line.subject) == ("ada", "code_runner")
    assert line.data == {"principal": ADA.id, "call": about["call_id"], "trace": ticket.meta[TRACE]}


async def test_at_the_end_what_still_runs_is_ended_and_cleans_up(
    services: Services, slow: SlowSandbox
) -> None:
    async with mcp_address(services, SHORT) as address:
        async with address.client(await address.key("operator")) as client:
            ticket = await client.call_tool("code_runner", CODE)
        await slow.under_way()
        assert slow.cleaned_up == 0

    assert slow.cleaned_up == 1
    assert ticket.meta is not None
    assert (await lines(services, ticket.meta[TRACE]))[-1] == ("tool.ended", "cancelled")


async def test_what_fails_later_is_told_later(
    calls: McpCalls, slow: SlowSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_code: str, *, wall_s: float) -> SandboxRun:
        await slow.go_on.wait()
        raise ZeroDivisionError("the secret of the inside")

    monkeypatch.setattr(Sandbox, "run", staticmethod(breaks))
    ticket = data(await calls.call(ADA, "code_runner", CODE))
    slow.go_on.set()
    failed = await ended(calls, ticket["call_id"])

    assert failed.is_error and data(failed)["code"] == "internal.unexpected"
    assert "secret" not in str(failed)


@pytest.mark.parametrize(
    "arguments", [{}, {"call_id": 7}, {"call_id": "x", "more": 1}, {"call_id": "x" * 999}]
)
async def test_a_ticket_that_is_none_is_told(calls: McpCalls, arguments: dict[str, Any]) -> None:
    for name in ("show_call", "cancel_call"):
        refused = await calls.call(ADA, name, arguments)
        assert refused.is_error and data(refused)["code"] == "mcp.which_call"


def _ids(answers: list[types.CallToolResult]) -> list[str]:
    return [data(one)["call_id"] for one in answers if not one.is_error]
