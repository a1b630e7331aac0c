"""Approvals and the audit log as people meet them: at the prompt and over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import plan_of
from app.composition import Services, open_services
from app.server.web import create_app
from policy import Principal
from policy.decisions import Decision, Verdict
from policy.keys.schemas import KeyRequest
from soundstage.settings import Settings

ASK = Decision(verdict=Verdict.APPROVE, approvers=1, reasons=("it is long",))


async def ask(services: Services, who: Principal | None = None) -> str:
    """A call that waits."""
    requester = who or Principal.local_admin("chat")
    context = ToolContext(requester, "ses_1", services.tool_services)
    call = prepare_call(services.brain.toolset, "make_render", {"script": "Hello there."})
    plan = await plan_of(context, call)
    return (await services.decisions.approvals.request(context, call, ASK, plan)).id


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        yield client


@pytest.fixture
def key(services: Services) -> Callable[[str], Awaitable[dict[str, str]]]:
    async def make(role: str) -> dict[str, str]:
        async with services.database.transaction() as session:
            created = await services.policy.keys.create(
                session, KeyRequest(name=role, role=role), Principal.local_admin()
            )
        return {"Authorization": f"Bearer {created.key}"}

    return make


async def test_an_agreed_call_of_a_client_without_a_key_runs_with_the_role_it_had(
    services: Services,
) -> None:
    viewer = Principal(id="local:mcp", name="mcp", role="viewer", kind="local")
    waiting = await ask(services, viewer)
    await services.decisions.vote(waiting, Principal.local_admin("other"), agrees=True)
    await services.decisions.run_approved()
    ended = await services.decisions.approvals.get(waiting, Principal.local_admin("other"))
    assert ended.state != "done"
    assert "render:create" in ended.outcome
    assert await services.studio.renders.list() == []


def test_approvals_are_listed_shown_and_decided_at_the_prompt(cli: Any, settings: Settings) -> None:
    async def prepare() -> list[str]:
        async with open_services(settings) as services:
            first = await ask(services)
            return [first, await ask(services, Principal.local_admin("other"))]

    assert "Nothing waits" in cli("approvals", "list").out
    first, second = asyncio.run(prepare())
    assert first in cli("approvals", "list").out
    shown = cli("approvals", "show", first).out
    assert "“Hello there”" in shown and "it is long" in shown
    agreed = cli("approvals", "approve", first, "--reason", "it is for us", "--json").json
    assert (agreed["state"], agreed["votes"][0]["reason"]) == ("done", "it is for us")
    assert cli("approvals", "deny", second, "--json").json["state"] == "denied"
    again = cli("approvals", "approve", second)
    assert again.code == 1 and "denied already" in again.err
    assert first not in cli("approvals", "list").out
    assert first in cli("approvals", "list", "--all").out
    assert cli("approvals", "show", "apr_none").code == 1
    record = cli("trace", first).out
    assert [kind for kind in ("approval.requested", "approval.approved", "approval.done") if kind in record]
    assert "are as they were written" in cli("audit", "verify").out
    assert len(cli("audit", "list", "--json").json) == len(
        cli("audit", "list", "--limit", "999", "--json").json
    )
    assert cli("trace", "nobody").code == 1


def test_a_yes_to_a_plan_that_has_changed_is_exit_code_1(cli: Any, settings: Settings) -> None:
    async def prepare() -> str:
        from sqlalchemy import text

        async with open_services(settings) as services:
            waiting = await ask(services)
            async with services.database.transaction() as session:
                await session.execute(text("UPDATE approvals SET plan_sha256 = 'of something else'"))
            return waiting

    cli("approvals", "list")
    done = cli("approvals", "approve", asyncio.run(prepare()))
    assert (done.code, "is void" in done.out) == (1, True), done.out


def test_a_broken_chain_is_told_with_exit_code_1(cli: Any, settings: Settings) -> None:
    async def spoil() -> None:
        from sqlalchemy import text

        async with open_services(settings) as services:
            await ask(services)
            async with services.database.transaction() as session:
                await session.execute(text("UPDATE audit_lines SET actor = 'Eve'"))

    cli("approvals", "list")
    asyncio.run(spoil())
    found = cli("audit", "verify", "--json")
    assert found.code == 1
    assert (found.json["broken_at"], found.json["reason"]) == (1, "the line was changed")


def test_after_a_backup_was_put_back_the_chain_goes_on(cli: Any, settings: Settings) -> None:
    async def more() -> None:
        async with open_services(settings) as services:
            await ask(services, Principal.local_admin(str(len(await services.audit.read(0, 100)))))

    asyncio.run(more())
    assert cli("backup", "b.tar").code == 0
    asyncio.run(more())
    kinds = [line["kind"] for line in cli("audit", "list", "--after", "0", "--json").json]
    assert kinds == ["approval.requested", "backup.made", "approval.requested"]
    restored = cli("restore", "b.tar", "--force")
    assert restored.code == 0, restored.err
    kinds = [line["kind"] for line in cli("audit", "list", "--after", "0", "--json").json]
    assert kinds == ["approval.requested", "backup.restored"]
    assert cli("audit", "verify").code == 0


def test_a_database_that_was_put_back_as_a_file_goes_on_too(cli: Any, settings: Settings) -> None:
    """As `soundstage-backup restore` of the role backup does it."""

    async def more() -> None:
        async with open_services(settings) as services:
            await ask(services, Principal.local_admin(str(len(await services.audit.read(0, 100)))))

    asyncio.run(more())
    file = settings.state_dir / "soundstage.db"
    with closing(sqlite3.connect(file)) as living, closing(sqlite3.connect("copy.db")) as copy:
        living.backup(copy)
    asyncio.run(more())
    for name in ("soundstage.db-wal", "soundstage.db-shm"):
        (settings.state_dir / name).unlink(missing_ok=True)
    shutil.copyfile("copy.db", file)
    assert cli("audit", "verify").code == 1

    assert cli("restore", "--finish", "--json").json == {"closed": 0, "audit": True}

    assert cli("audit", "verify").code == 0
    kinds = [line["kind"] for line in cli("audit", "list", "--after", "0", "--json").json]
    assert kinds == ["approval.requested", "backup.restored"]


async def test_approvals_over_http(http: httpx.AsyncClient, services: Services, key: Any) -> None:
    approval_id = await ask(services)
    operator, editor = await key("operator"), await key("editor")
    (listed,) = (await http.get("/api/approvals?state=pending", headers=editor)).json()
    assert (listed["id"], listed["plan"]["changes"][0]["where"]) == (approval_id, "“Hello there”")
    vote = f"/api/approvals/{approval_id}/approve"
    assert (await http.post(vote, json={}, headers=editor)).status_code == 403
    assert (await http.post(vote, json={})).status_code == 401
    assert (await http.post(vote, json={"more": 1}, headers=operator)).status_code == 422
    agreed = await http.post(vote, json={"reason": "yes"}, headers=operator)
    assert (agreed.status_code, agreed.json()["state"]) == (200, "approved")
    again = await http.post(f"/api/approvals/{approval_id}/deny", json={}, headers=operator)
    assert (again.status_code, again.json()["code"]) == (409, "approval.decided")
    await services.decisions.run_approved()
    done = (await http.get(f"/api/approvals/{approval_id}", headers=editor)).json()
    assert done["state"] == "done"
    assert len(await services.studio.renders.list()) == 1
    assert (await http.get("/api/approvals/apr_none", headers=editor)).json()["code"] == "approval.not_found"


async def test_of_two_people_who_decide_at_once_one_is_told_that_it_is_decided(
    http: httpx.AsyncClient, services: Services, key: Any
) -> None:
    people = {"approve": await key("operator"), "deny": await key("operator")}
    for _ in range(5):
        approval_id = await ask(services)
        vote = f"/api/approvals/{approval_id}"
        answers = await asyncio.gather(
            *(http.post(f"{vote}/{way}", json={}, headers=who) for way, who in people.items())
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        [late] = [answer.json() for answer in answers if answer.status_code == 409]
        assert late["code"] == "approval.decided" and late["hint"]
        decided = (await http.get(vote, headers=people["approve"])).json()
        won = "approved" if answers[0].status_code == 200 else "denied"
        assert (decided["state"], len(decided["votes"])) == (won, 1)
        await services.decisions.approvals.void(approval_id, "the next one has the same arguments")


async def test_the_audit_log_over_http(http: httpx.AsyncClient, services: Services, key: Any) -> None:
    approval_id = await ask(services)
    admin, operator = await key("admin"), await key("operator")
    assert (await http.get("/api/audit", headers=operator)).status_code == 403
    (line,) = (await http.get("/api/audit", headers=admin)).json()
    assert (line["kind"], line["subject"]) == ("approval.requested", approval_id)
    assert (await http.get("/api/audit?after=1", headers=admin)).json() == []
    assert (await http.get("/api/audit/verdict", headers=admin)).json()["broken_at"] is None
    assert (await http.get(f"/api/traces/{approval_id}", headers=admin)).json()["lines"] == [line]
    assert (await http.get("/api/traces/none", headers=admin)).json()["code"] == "audit.record_not_found"


async def test_the_last_line_that_can_be_asked_for_is_one_a_database_counts_to(
    http: httpx.AsyncClient, key: Any
) -> None:
    admin = await key("admin")
    last = await http.get("/api/audit?after=2147483647", headers=admin)
    assert (last.status_code, last.json()) == (200, [])
    beyond = await http.get("/api/audit?after=2147483648", headers=admin)
    assert (beyond.status_code, beyond.json()["code"]) == (422, "request.invalid")


def test_the_audit_log_is_listed_newest_first_and_says_what_it_leaves_out(cli: Any) -> None:
    for _ in range(3):
        cli("ask", "list my videos")
    whole = cli("audit", "list", "--after", "0", "--json").json
    numbers = [line["number"] for line in whole]
    assert numbers == sorted(numbers) and len(numbers) > 5
    assert [line["number"] for line in cli("audit", "list", "--json").json][:1] >= numbers[-1:]
    ran = cli("audit", "list", "--limit", "2")
    first, second = (int(line.split()[0]) for line in ran.out.splitlines()[1:])
    assert first == second + 1 and f"{second - 1} older lines" in ran.err and "--limit" in ran.err
    ran = cli("audit", "list", "--after", "1", "--limit", "2")
    assert "audit list --after 3" in ran.err and "older" not in ran.err
