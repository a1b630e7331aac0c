from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from policy import Policy, Principal
from policy.keys import repository, uses
from policy.keys.schemas import CreatedKey
from policy.keys.uses import KeyUses
from policy.sessions import COOKIE
from soundstage.database import Database

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]

LOCAL = {"peer": "127.0.0.1", "host": "127.0.0.1:8000"}


async def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_nobody_gets_in_without_a_key_and_is_told_how(client: Client) -> None:
    async with client() as http:
        assert (await http.get("/api/open")).status_code == 200
        answer = await http.get("/api/renders")
    assert await code(answer) == (401, "auth.required")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in answer.json()["hint"]


async def test_a_key_opens_what_its_role_and_scopes_allow(client: Client, make_key: MakeKey) -> None:
    viewer, editor = await make_key("viewer"), await make_key("editor", scopes=["render:create"])
    async with client(key=viewer.key) as http:
        assert (await http.get("/api/renders")).json() == {"id": viewer.id, "role": "viewer", "kind": "key"}
        assert await code(await http.post("/api/renders")) == (403, "policy.forbidden")
    async with client(key=editor.key) as http:
        assert (await http.post("/api/renders")).json() == "made"
        refused = await http.get("/api/renders")
        assert "render:read" in refused.json()["detail"]
        assert (await http.get("/api/me")).json()["permissions"] == ["render:create", "self:read"]


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer " + "0" * 64])
async def test_a_wrong_key_is_refused_also_beside_a_good_cookie(
    client: Client, make_key: MakeKey, header: str
) -> None:
    created = await make_key("viewer")
    async with client(**LOCAL) as http:
        await http.post("/api/login", json={"key": created.key})
        assert (await http.get("/api/renders")).status_code == 200
        answer = await http.get("/api/renders", headers={"Authorization": header})
    assert await code(answer) == (401, "auth.bad_key")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "bearer-token x"])
async def test_an_authorization_header_that_is_no_bearer_key_is_refused(client: Client, header: str) -> None:
    async with client(**LOCAL) as http:
        answer = await http.get("/api/renders", headers={"Authorization": header})
    assert await code(answer) == (401, "auth.bad_scheme")


async def test_using_a_key_is_noted(client: Client, make_key: MakeKey, policy: Policy) -> None:
    created = await make_key("viewer")
    assert created.last_used_at is None
    async with client(key=created.key) as http:
        await http.get("/api/renders")
        async with policy.db.session() as session:
            first = (await policy.keys.get(session, created.id, Principal.local_admin())).last_used_at
        await http.get("/api/renders")
        async with policy.db.session() as session:
            second = (await policy.keys.get(session, created.id, Principal.local_admin())).last_used_at
    assert first is not None
    # To the minute only: reading shall not cost a write each time.
    assert second == first


async def test_keys_that_are_used_in_one_rush_are_noted_together(
    client: Client, make_key: MakeKey, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "BATCH_S", 60)
    keys = [await make_key("viewer") for _ in range(12)]
    written: list[int] = []
    real = repository.mark_used

    async def mark_used(session: AsyncSession, key_ids: Collection[str], *moments: datetime) -> None:
        written.append(len(key_ids))
        await real(session, key_ids, *moments)

    monkeypatch.setattr(uses, "mark_used", mark_used)
    for created in keys:
        async with client(key=created.key) as http:
            assert (await http.get("/api/renders")).status_code == 200
    await policy.authenticator.uses.flush()
    assert sum(written) == 12
    assert len(written) == 2, "the first one at once, those after it together"
    async with policy.db.session() as session:
        views = await policy.keys.list(session, Principal.local_admin())
    assert all(view.last_used_at is not None for view in views)


async def test_what_is_noted_is_written_soon(client: Client, make_key: MakeKey, policy: Policy) -> None:
    first, second = await make_key("viewer"), await make_key("viewer")
    for created in (first, second):
        async with client(key=created.key) as http:
            await http.get("/api/renders")

    # No request waits for it, and no later one is needed.
    async with asyncio.timeout(60):
        while await last_used(policy, second.id) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)


async def test_the_end_waits_for_a_note_that_is_being_written(
    make_key: MakeKey, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is closed next."""
    first, second = await make_key("viewer"), await make_key("viewer")
    writing, go_on = asyncio.Event(), asyncio.Event()
    real = repository.mark_used

    async def mark_used(session: AsyncSession, key_ids: Collection[str], *moments: datetime) -> None:
        if second.id in key_ids:
            writing.set()
            await go_on.wait()
        await real(session, key_ids, *moments)

    monkeypatch.setattr(uses, "mark_used", mark_used)
    await policy.authenticator.uses.note(first.id)
    await policy.authenticator.uses.note(second.id)
    await asyncio.wait_for(writing.wait(), 60)
    closing = asyncio.create_task(policy.close())
    assert not (await asyncio.wait([closing], timeout=0.1))[0]
    go_on.set()
    await closing
    assert await last_used(policy, second.id) is not None


async def last_used(policy: Policy, key_id: str) -> datetime | None:
    async with policy.db.session() as session:
        return (await policy.keys.get(session, key_id, Principal.local_admin())).last_used_at


async def test_only_the_first_request_of_a_minute_waits_for_writers(
    client: Client, make_key: MakeKey, policy: Policy
) -> None:
    created = await make_key("viewer")
    other = Database(str(policy.db.url))
    async with client(key=created.key) as http:
        await http.get("/api/renders")
        async with other.transaction():
            # The lock is held for as long as this takes.
            assert (await asyncio.wait_for(http.get("/api/renders"), 5)).status_code == 200
    await other.close()


async def test_a_good_key_works_while_the_database_is_busy(
    client: Client, make_key: MakeKey, policy: Policy
) -> None:
    created = await make_key("viewer")
    other = Database(str(policy.db.url))
    hurried = Database(str(policy.db.url), busy_timeout_ms=10)
    policy.authenticator.uses = KeyUses(hurried)
    async with other.transaction(), client(key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == 200
    await hurried.close()
    await other.close()


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.9", "unix", ""])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "evil.example"])
async def test_nobody_is_anybody_because_of_an_address(client: Client, peer: str, host: str) -> None:
    async with client(peer=peer, host=host) as http:
        for ask in (http.get, http.post):
            assert await code(await ask("/api/renders")) == (401, "auth.required")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8000"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://127.0.0.1:8000"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "anything new"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "http://localhost:8000"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[bad"}, False),
        ({"Origin": ""}, False),
    ],
)
async def test_a_foreign_page_cannot_use_the_cookie_of_a_login(
    client: Client, make_key: MakeKey, headers: dict[str, str], allowed: bool
) -> None:
    created = await make_key("editor")
    async with client(**LOCAL) as http:
        await http.post("/api/login", json={"key": created.key})
        for ask in (http.get, http.post):
            answer = await ask("/api/renders", headers=headers)
            assert answer.status_code == 200 if allowed else await code(answer) == (403, "auth.foreign_page")


async def test_a_key_needs_no_page_of_our_own(client: Client, make_key: MakeKey) -> None:
    created = await make_key("editor")
    async with client(key=created.key, Origin="https://mine.example", Sec_Fetch_Site="cross-site") as http:
        assert (await http.post("/api/renders")).status_code == 200


async def test_behind_a_proxy_a_page_is_known_by_its_public_name(
    client_with: Callable[..., Client], make_key: MakeKey
) -> None:
    created = await make_key("editor")
    proxied = client_with(SOUNDSTAGE_HTTP__PUBLIC_URL="https://Studio.example:8443/")
    async with proxied(peer="127.0.0.1", host="127.0.0.1:8000", X_Forwarded_For="203.0.113.7") as http:
        origin = {"Origin": "https://studio.example:8443"}
        login = await http.post("/api/login", json={"key": created.key}, headers=origin)
        assert "Secure" in login.headers["set-cookie"]
        cookie = {"Cookie": f"{COOKIE}={login.cookies[COOKIE]}"}
        assert (await http.post("/api/renders", headers={**origin, **cookie})).status_code == 200
        for foreign in ("https://evil.example", "https://studio.example"):
            refused = await http.post("/api/renders", headers={"Origin": foreign, **cookie})
            assert await code(refused) == (403, "auth.foreign_page")
