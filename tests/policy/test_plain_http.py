"""Keys and logins of people over plain HTTP: on this machine, behind TLS, or where an operator allows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from policy.keys.schemas import CreatedKey

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]


@pytest.mark.parametrize("peer", ["10.0.0.9", "2001:db8::9", "169.254.1.1"])
async def test_keys_logins_and_cookies_from_another_machine_need_tls(
    client: Client, make_key: MakeKey, peer: str
) -> None:
    created = await make_key("viewer")
    async with client(peer=peer, scheme="http", key=created.key) as http:
        answer = await http.get("/api/renders")
    async with client(peer=peer, scheme="http") as http:
        login = await http.post("/api/login", json={"key": created.key})
    async with client(peer=peer, scheme="http", cookie="soundstage_session=anything") as http:
        cookie = await http.get("/api/renders")
    for refusal in (answer, login, cookie):
        assert refusal.status_code in (401, 403)
    assert answer.json()["code"] == login.json()["code"] == "auth.needs_tls"
    assert "`soundstage machines ca`" in answer.json()["hint"]
    assert "set-cookie" not in login.headers


async def test_a_key_is_not_even_looked_at_before_it_is_encrypted(client: Client) -> None:
    async with client(scheme="http", key="0" * 64) as http:
        assert (await http.get("/api/renders")).json()["code"] == "auth.needs_tls"


@pytest.mark.parametrize(
    ("peer", "scheme", "host"),
    [
        ("127.0.0.1", "http", "localhost"),
        ("::1", "http", "localhost"),
        ("10.0.0.9", "https", "studio.example"),
        # An own address of this machine: the packets do not leave it.
        ("10.0.0.5", "http", "10.0.0.5"),
    ],
)
async def test_keys_pass_where_nobody_reads_along(
    client: Client, make_key: MakeKey, peer: str, scheme: str, host: str
) -> None:
    created = await make_key("viewer")
    async with client(peer=peer, scheme=scheme, host=host, key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == 200


async def test_an_operator_may_allow_it_in_a_closed_network(
    client_with: Callable[..., Client], make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    async with client_with(SOUNDSTAGE_AUTH__PLAIN_HTTP="true")(scheme="http", key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == 200
