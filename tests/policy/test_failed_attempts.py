"""Wrong keys, logins and links are slowed down; right ones are not, also in the middle of a flood."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import httpx
import pytest

from policy import Policy, Principal, attempts
from policy.attempts import PER_SOURCE, SHARED
from policy.keys.repository import KeyRepository
from policy.keys.schemas import CreatedKey
from policy.revocation import CACHE_TTL_S
from soundstage.rate_limits import RateLimiter

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]

MANY = int(PER_SOURCE.burst) + 10


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets fill up with time, and a busy machine takes long for a flood: here no time passes."""
    monkeypatch.setattr(attempts, "RateLimiter", partial(RateLimiter, clock=lambda: 1000.0))


async def flood(client: Client, peer: str, tries: int = MANY) -> list[httpx.Response]:
    async with client(peer=peer) as http:
        return [
            await http.get("/api/renders", headers={"Authorization": f"Bearer {number:064x}"})
            for number in range(tries)
        ]


def codes(answers: list[httpx.Response]) -> list[str]:
    return [one.json()["code"] for one in answers]


async def test_wrong_keys_of_one_source_are_answered_later_and_later(client: Client) -> None:
    answers = await flood(client, "10.0.0.66")
    assert codes(answers)[: int(PER_SOURCE.burst)] == ["auth.bad_key"] * int(PER_SOURCE.burst)
    last = answers[-1]
    assert (last.status_code, last.json()["code"]) == (429, "auth.too_many_failures")
    assert int(last.headers["retry-after"]) >= 1
    # Another source is not concerned.
    assert codes(await flood(client, "10.0.0.67", 1)) == ["auth.bad_key"]


@pytest.mark.parametrize(("path", "field"), [("/api/login", "key"), ("/api/login/start", "token")])
async def test_wrong_logins_and_links_are_slowed_down_too(client: Client, path: str, field: str) -> None:
    async with client() as http:
        answers = [await http.post(path, json={field: f"{number:064x}"}) for number in range(MANY)]
    assert answers[-1].status_code == 429


async def test_wrong_keys_of_many_sources_are_slowed_down_in_all(client: Client) -> None:
    answers = []
    for number in range(int(SHARED.burst) // int(PER_SOURCE.burst) + 2):
        answers += await flood(client, f"10.1.{number // 250}.{number % 250}", int(PER_SOURCE.burst))
    assert codes(answers).count("auth.bad_key") <= SHARED.burst * 1.1
    assert answers[-1].status_code == 429


async def test_a_right_key_passes_in_the_middle_of_a_flood_from_its_own_address(
    client: Client, make_key: MakeKey
) -> None:
    early = await make_key("viewer")
    await flood(client, "127.0.0.1")
    late = await make_key("viewer")
    # In a flood, keys are looked up in what was read of the database up to CACHE_TTL_S ago.
    await asyncio.sleep(CACHE_TTL_S)
    for created in (early, late):
        async with client(peer="127.0.0.1", key=created.key) as http:
            for _ in range(MANY):
                assert (await http.get("/api/renders")).status_code == 200
        async with client(peer="127.0.0.1") as http:
            assert (await http.post("/api/login", json={"key": created.key})).status_code == 200
    assert codes(await flood(client, "127.0.0.1", 1)) == ["auth.too_many_failures"]


async def test_right_keys_cost_no_tokens(client: Client, make_key: MakeKey) -> None:
    created = await make_key("viewer")
    async with client(peer="10.0.0.5", key=created.key) as http:
        for _ in range(MANY):
            assert (await http.get("/api/renders")).status_code == 200
    assert codes(await flood(client, "10.0.0.5", 1)) == ["auth.bad_key"]


async def test_a_flood_asks_the_database_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    await flood(client, "10.0.0.66")
    request: list[str] = []
    real = KeyRepository.by_hash

    async def by_hash(self: KeyRepository, sha256: str) -> object:
        request.append(sha256)
        return await real(self, sha256)

    monkeypatch.setattr(KeyRepository, "by_hash", by_hash)
    assert set(codes(await flood(client, "10.0.0.66", 20))) <= {"auth.too_many_failures", "auth.bad_key"}
    assert len(request) <= 1, "at most what the bucket has refilled meanwhile"


async def test_an_ended_key_is_refused_also_in_a_flood(
    client: Client, make_key: MakeKey, policy: Policy
) -> None:

    created = await make_key("viewer")
    await flood(client, "127.0.0.1")
    async with client(peer="127.0.0.1", key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == 200
        async with policy.db.transaction() as session:
            await policy.keys.revoke(session, created.id, Principal.local_admin())
        assert (await http.get("/api/renders")).status_code in (401, 429)
