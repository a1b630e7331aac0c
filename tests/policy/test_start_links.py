"""Start links: one-time tokens that the page changes for its cookie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from policy import Policy, Principal, start_links
from policy.keys.schemas import CreatedKey
from policy.sessions import COOKIE
from soundstage.database import utcnow

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]


async def link_of(client: Client, key: str) -> str:
    async with client(key=key) as http:
        created = await http.post("/api/login/links")
        assert created.status_code == 201
        return str(created.json()["token"])


async def redeem(client: Client, token: str, **headers: str) -> httpx.Response:
    async with client(**headers) as http:
        return await http.post("/api/login/start", json={"token": token})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert "set-cookie" not in answer.headers
    return answer.status_code, answer.json()["code"]


async def test_a_start_link_logs_in_once_as_the_key_that_made_it(client: Client, make_key: MakeKey) -> None:
    created = await make_key("editor", scopes=["render:*"])
    token = await link_of(client, created.key)
    async with client() as http:
        answer = await http.post("/api/login/start", json={"token": token})
        assert (answer.status_code, answer.json()["id"]) == (200, created.id)
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict"))
        me = (await http.get("/api/me")).json()
        assert (me["id"], me["kind"]) == (created.id, "session")
        assert "render:create" in me["permissions"]
        assert "key:create" not in me["permissions"]
    again = await redeem(client, token)
    assert refusal(again) == (401, "login.link_used")
    assert "soundstage open" in again.json()["hint"]


async def test_of_many_that_use_a_link_at_once_one_gets_in(client: Client, make_key: MakeKey) -> None:
    token = await link_of(client, (await make_key("viewer")).key)
    answers = await asyncio.gather(*(redeem(client, token) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [401] * 7


async def test_an_expired_link_is_refused(
    client: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await link_of(client, (await make_key("viewer")).key)
    later = utcnow() + start_links.LIFETIME
    monkeypatch.setattr(start_links, "utcnow", lambda: later)
    assert refusal(await redeem(client, token)) == (401, "login.link_expired")


async def test_a_link_that_was_never_made_is_refused(client: Client) -> None:
    assert refusal(await redeem(client, "x" * 43)) == (401, "login.link_unknown")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://studio.example:3000"},
    ],
)
async def test_a_page_of_another_origin_uses_no_link_and_spends_none(
    client: Client, make_key: MakeKey, headers: dict[str, str]
) -> None:
    token = await link_of(client, (await make_key("viewer")).key)
    assert refusal(await redeem(client, token, **headers)) == (403, "auth.foreign_page")
    assert (await redeem(client, token)).status_code == 200


async def test_a_link_ends_with_its_key(client: Client, make_key: MakeKey, policy: Policy) -> None:
    created = await make_key("viewer")
    token = await link_of(client, created.key)
    async with policy.db.transaction() as session:
        await policy.keys.revoke(session, created.id, Principal.local_admin())
    assert refusal(await redeem(client, token)) == (401, "auth.bad_key")


async def test_a_login_makes_no_links_and_so_cannot_outlive_itself(client: Client, make_key: MakeKey) -> None:
    created = await make_key("admin")
    async with client() as http:
        await http.post("/api/login", json={"key": created.key})
        assert refusal(await http.post("/api/login/links")) == (403, "login.link_needs_key")
    async with client(peer="127.0.0.1", host="127.0.0.1:8000") as http:
        assert refusal(await http.post("/api/login/links")) == (401, "auth.required")


async def test_tokens_are_not_kept_and_old_ones_make_room(
    client: Client, make_key: MakeKey, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_links, "MAX_LINKS", 2)
    created = await make_key("viewer")
    tokens = [await link_of(client, created.key) for _ in range(3)]
    held = repr(vars(policy.links))
    assert not any(token in held for token in tokens)
    assert refusal(await redeem(client, tokens[0])) == (401, "login.link_unknown")
    assert (await redeem(client, tokens[1])).cookies[COOKIE]
