from __future__ import annotations

import stat
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest

from policy import Policy, Principal
from policy.keys.schemas import CreatedKey
from policy.sessions import COOKIE, SessionSigner, session_secret
from soundstage.database import utcnow
from soundstage.errors import Unavailable

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]


@pytest.fixture
def signer() -> SessionSigner:
    return SessionSigner(b"s" * 32, hours=12)


async def test_a_key_is_changed_for_a_cookie_that_scripts_and_other_sites_cannot_use(
    client: Client, make_key: MakeKey
) -> None:
    created = await make_key("editor", scopes=["render:*"])
    async with client(peer="127.0.0.1") as http:
        answer = await http.post("/api/login", json={"key": f" {created.key}\n"})
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
        assert "Secure" not in cookie
        assert created.key not in cookie
        assert answer.json() == {
            "id": created.id,
            "name": "a test",
            "role": "editor",
            "tenant": "default",
            "kind": "key",
            "permissions": ["render:cancel", "render:create", "render:read", "render:update", "self:read"],
        }
        me = (await http.get("/api/me")).json()
        assert (me["id"], me["kind"]) == (created.id, "session")
        assert (await http.post("/api/renders")).status_code == 200
        # The scopes of the key bind its session.
        assert (await http.delete("/api/renders/1")).status_code == 403


async def test_a_wrong_key_gets_no_cookie(client: Client) -> None:
    async with client() as http:
        answer = await http.post("/api/login", json={"key": "0" * 64})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.bad_key")
        assert "set-cookie" not in answer.headers
        for body in ({"key": ""}, {"key": "x" * 201}, {}, {"key": "x", "more": 1}):
            assert (await http.post("/api/login", json=body)).status_code == 422


async def test_a_foreign_page_can_log_nobody_in(client: Client, make_key: MakeKey) -> None:
    created = await make_key("viewer")
    async with client() as http:
        answer = await http.post(
            "/api/login", json={"key": created.key}, headers={"Origin": "https://evil.example"}
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.foreign_page")


async def test_logging_out_takes_the_cookie_back(client: Client, make_key: MakeKey) -> None:
    created = await make_key("viewer")
    async with client() as http:
        await http.post("/api/login", json={"key": created.key})
        assert (await http.get("/api/me")).status_code == 200
        assert (await http.post("/api/logout")).status_code == 204
        assert (await http.get("/api/me")).status_code == 401


async def test_a_session_ends_with_its_key(client: Client, make_key: MakeKey, policy: Policy) -> None:
    created = await make_key("viewer")
    async with client() as http:
        await http.post("/api/login", json={"key": created.key})
        async with policy.db.transaction() as session:
            await policy.keys.revoke(session, created.id, Principal.local_admin())
        assert (await http.get("/api/me")).status_code == 401


async def test_a_session_lives_through_a_restart(
    client: Client, client_with: Callable[..., Client], make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    async with client() as http:
        cookie = (await http.post("/api/login", json={"key": created.key})).cookies[COOKIE]
    async with client_with()(Cookie=f"{COOKIE}={cookie}") as http:
        assert (await http.get("/api/me")).json()["id"] == created.id


def test_a_session_token_names_its_key_until_it_expires(signer: SessionSigner) -> None:
    now = utcnow()
    token = signer.sign("key_1", now)
    for moment in (now, now + timedelta(hours=11.99)):
        login = signer.read(token, moment)
        assert login is not None and login.key_id == "key_1"
    assert signer.read(token, now + timedelta(hours=12)) is None


def test_a_session_token_cannot_be_forged(signer: SessionSigner) -> None:
    token = signer.sign("key_1")
    head, body, mac = token.split(".")
    other = SessionSigner(b"t" * 32, hours=12)
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = b"s" * 32
    for forged in (
        other.sign("key_1"),
        f"{head}.{signer.sign('key_2').split('.')[1]}.{mac}",
        f"{head}.{body}.",
        f"{head}.{body}.{'0' * 43}",
        f".{body}.{mac}",
        f"{head}.{body}",
        body,
        "",
        "ü.ü.ü",
        token + "0",
        token.upper(),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode({**claims, "aud": "somewhere else"}, secret),
        jwt.encode({**claims, "iss": "somebody else"}, secret),
        jwt.encode({**claims, "sub": 1}, secret),
        jwt.encode({**claims, "exp": "never"}, secret),
        jwt.encode({name: claims[name] for name in claims if name != "exp"}, secret),
        jwt.encode({name: claims[name] for name in claims if name != "sub"}, secret),
    ):
        assert signer.read(forged) is None
    assert signer.read(jwt.encode(claims, secret)) is not None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SessionSigner(b"short", hours=1)


def test_the_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    secret = session_secret(folder)
    assert len(secret) == 32
    assert session_secret(folder) == secret
    assert stat.S_IMODE((folder / "session.key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["session.key"]


def test_a_folder_that_cannot_hold_the_secret_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(Unavailable) as error:
        session_secret(tmp_path / "state")
    assert error.value.code == "policy.no_session_secret"
