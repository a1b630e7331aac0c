"""Approvals, snapshots, conversations and the audit log page as every list: by a cursor, with a total."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from agent.approvals.models import Approval
from agent.sessions.models import AgentSession
from agent.snapshots.models import Snapshot
from app.composition import Services, open_services
from app.server.web import create_app
from policy import Principal
from policy.audit import AuditEntry
from policy.keys.schemas import KeyRequest
from soundstage.settings import Settings

pytestmark = pytest.mark.each_database

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 12


@pytest.fixture
async def services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    chosen = settings.model_dump() | {"database": {"url": database_url}}
    async with open_services(Settings.model_validate(chosen)) as created:
        yield created


@pytest.fixture
async def keys(services: Services) -> dict[str, str]:
    """Of people of two tenants: id and key."""
    created = {}
    async with services.database.transaction() as session:
        for tenant in ("default", "acme"):
            expected = KeyRequest(name=tenant, role="admin", tenant=tenant)
            key = await services.policy.keys.create(session, expected, Principal.local_admin())
            created[tenant] = key.id
            created[f"{tenant} key"] = key.key
    return created


@pytest.fixture
async def http(services: Services, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        client.headers["Authorization"] = f"Bearer {keys['default key']}"
        yield client


def moment(number: int) -> datetime:
    """Three rows share each moment: the id decides among them."""
    return BEGIN + timedelta(seconds=number // 3)


def approval(number: int, tenant: str) -> dict[str, Any]:
    return {
        "id": f"apr_{tenant}_{number:03}", "state": "done" if number % 2 else "denied", "tool": "wipe",
        "permission": "machine:retire", "arguments": {}, "arguments_sha256": "0", "plan": {"changes": []},
        "plan_sha256": "0", "why": "", "approvers": 1, "requester_id": "key_x", "requester_name": "x",
        "requester_kind": "key", "tenant": tenant, "session_id": "ses_1", "local_files": False,
        "created_at": moment(number), "expires_at": BEGIN, "outcome": "",
    }  # fmt: skip


async def fill(services: Services, keys: dict[str, str]) -> None:
    async with services.database.transaction() as session:
        for tenant in ("default", "acme"):
            numbers = range(COUNT)
            await session.execute(insert(Approval), [approval(number, tenant) for number in numbers])
            snapshots = [
                {"id": f"snp_{tenant}_{number:03}", "tenant": tenant, "owner_id": keys[tenant],
                 "name": f"s{number}", "name_key": f"s{number}", "session_id": "ses_1", "turns": 0,
                 "state": {}, "saved_at": moment(number)}
                for number in numbers
            ]  # fmt: skip
            await session.execute(insert(Snapshot), snapshots)
            sessions = [
                {"id": f"ses_{tenant}_{number:03}", "tenant": tenant, "principal_id": keys[tenant],
                 "title": f"t{number}", "turns": 1, "created_at": BEGIN, "updated_at": moment(number)}
                for number in numbers
            ]  # fmt: skip
            await session.execute(insert(AgentSession), sessions)


async def pages(http: httpx.AsyncClient, url: str, total: int) -> list[Any]:
    """Every row, by the links alone."""
    seen: list[Any] = []
    while True:
        answer = await http.get(url)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Total-Count"] == str(total)
        seen += answer.json()
        if "next" not in answer.links:
            return seen
        url = answer.links["next"]["url"]


@pytest.mark.parametrize(
    ("path", "kind"), [("approvals", "apr"), ("snapshots", "snp"), ("chat/sessions", "ses")]
)
async def test_each_row_of_ones_own_comes_once_newest_first(
    http: httpx.AsyncClient, services: Services, keys: dict[str, str], path: str, kind: str
) -> None:
    await fill(services, keys)
    seen = [one["id"] for one in await pages(http, f"/api/{path}?limit=5", COUNT)]
    assert seen == [f"{kind}_default_{number:03}" for number in reversed(range(COUNT))]
    whole = await http.get(f"/api/{path}")
    assert [one["id"] for one in whole.json()] == seen and "next" not in whole.links
    link = (await http.get(f"/api/{path}?limit=5")).links["next"]["url"]
    theirs = await http.get(link, headers={"Authorization": f"Bearer {keys['acme key']}"})
    assert theirs.json()["code"] == "page.bad_cursor", "a cursor is good for the own list"


async def test_approvals_page_within_their_states(
    http: httpx.AsyncClient, services: Services, keys: dict[str, str]
) -> None:
    await fill(services, keys)
    seen = await pages(http, "/api/approvals?state=done&limit=4", COUNT // 2)
    assert [int(one["id"][-3:]) for one in seen] == [11, 9, 7, 5, 3, 1]
    link = (await http.get("/api/approvals?state=done&limit=4")).links["next"]["url"]
    other = await http.get(link.replace("state=done", "state=denied"))
    assert (other.status_code, other.json()["code"]) == (422, "page.bad_cursor")


async def test_the_audit_log_pages_both_ways_and_its_followers_cost_no_count(
    http: httpx.AsyncClient, services: Services
) -> None:
    async with services.database.transaction() as session:
        for number in range(COUNT):
            tenant = "acme" if number % 2 else "default"
            entry = AuditEntry(kind="test.line", actor="x", subject=f"s{number}", tenant=tenant)
            await services.audit.record(session, entry)
    own = (await http.get("/api/audit?limit=1000")).json()
    numbers = [line["number"] for line in own]
    assert [line["subject"] for line in own if line["kind"] == "test.line"] == [
        f"s{number}" for number in range(0, COUNT, 2)
    ]
    upwards = await pages(http, "/api/audit?limit=4", len(numbers))
    assert [line["number"] for line in upwards] == numbers == sorted(numbers)
    downwards = await pages(http, "/api/audit?limit=4&sort=-number", len(numbers))
    assert [line["number"] for line in downwards] == numbers[::-1]
    followed = await http.get(f"/api/audit?after={numbers[2]}&limit=2")
    assert [line["number"] for line in followed.json()] == numbers[3:5]
    assert "X-Total-Count" not in followed.headers and "next" not in followed.links
    link = (await http.get("/api/audit?limit=4")).links["next"]["url"]
    for other in ("&sort=-number", "&kind=test."):
        turned = await http.get(f"{link}{other}")
        assert turned.json()["code"] == "page.bad_cursor"


async def test_the_audit_log_is_filtered_by_kind_person_and_what_it_is_about(
    http: httpx.AsyncClient, services: Services
) -> None:
    lines = [
        ("tool.called", "ada", "rnd_1"),
        ("tool.ended", "bob", "rnd_2"),
        ("toolbox.opened", "ada", "rnd_1"),
    ]
    async with services.database.transaction() as session:
        for kind, actor, subject in lines:
            await services.audit.record(session, AuditEntry(kind=kind, actor=actor, subject=subject))
        foreign = AuditEntry(kind="tool.called", actor="ada", subject="rnd_1", tenant="acme")
        await services.audit.record(session, foreign)

    async def find(query: str) -> list[tuple[str, str, str]]:
        answer = (await http.get(f"/api/audit?{query}")).raise_for_status()
        return [(line["kind"], line["actor"], line["subject"]) for line in answer.json()]

    assert await find("kind=tool.") == lines[:2]
    assert await find("kind=tool.&actor=bob") == lines[1:2]
    assert await find("about=rnd_1&sort=-number") == [lines[2], lines[0]]
    assert await find("about=rnd_1&after=1&kind=toolbox") == lines[2:]
    assert await find("kind=%25ended") == []
