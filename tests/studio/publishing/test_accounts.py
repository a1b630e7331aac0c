"""A channel is connected by its owner in a browser; what is learnt of it stays sealed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import inspect, select
from youtube_server import Says, YouTubeServer

from soundstage.database import Database
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Unavailable
from soundstage.sealing import KEY_FILE, Sealer
from studio.publishing.models import Account


async def consent(client: httpx.AsyncClient, youtube: YouTubeServer) -> dict[str, str]:
    """What the consent page would send the browser back with."""
    answer = await client.post("/youtube/connect")
    assert answer.status_code == 200, answer.text
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer.json()["url"]).query).items()}
    assert query["client_id"] == "client-1" and query["access_type"] == "offline"
    assert query["redirect_uri"] == "http://127.0.0.1:8000/youtube/callback"
    assert query["code_challenge_method"] == "S256" and "youtube.upload" in query["scope"]
    youtube.codes["code-1"] = query["code_challenge"]
    return {"state": query["state"], "code": "code-1"}


async def test_a_channel_is_connected_by_its_owner_in_a_browser(
    client: httpx.AsyncClient, youtube: YouTubeServer
) -> None:
    back = await client.get("/youtube/callback", params=await consent(client, youtube))
    assert back.status_code == 200 and "Nova's channel is connected" in back.text
    accounts = (await client.get("/youtube/accounts")).json()
    assert [(one["channel_id"], one["usable"]) for one in accounts] == [("UC-1", True)]
    assert "refresh-1" not in str(accounts)


async def test_the_browser_comes_back_once_and_only_with_the_state_that_it_left_with(
    client: httpx.AsyncClient, youtube: YouTubeServer
) -> None:
    value = await consent(client, youtube)
    forged = await client.get("/youtube/callback", params={**value, "state": "x" * 43})
    assert forged.json()["code"] == "publishing.unknown_consent"
    assert (await client.get("/youtube/callback", params=value)).status_code == 200
    twice = await client.get("/youtube/callback", params=value)
    assert (twice.status_code, twice.json()["code"]) == (403, "publishing.unknown_consent")


async def test_an_owner_who_says_no_is_believed(client: httpx.AsyncClient, youtube: YouTubeServer) -> None:
    value = await consent(client, youtube)
    answer = await client.get("/youtube/callback", params={"state": value["state"], "error": "access_denied"})
    assert answer.status_code == 403 and (await client.get("/youtube/accounts")).json() == []


async def test_a_channel_that_is_connected_again_keeps_its_id(
    client: httpx.AsyncClient, youtube: YouTubeServer, account: str
) -> None:
    await client.get("/youtube/callback", params=await consent(client, youtube))
    assert [one["id"] for one in (await client.get("/youtube/accounts")).json()] == [account]


@pytest.mark.parametrize("step", ["token", "channel"])
async def test_a_google_that_fails_connects_nothing_and_says_so(
    client: httpx.AsyncClient, youtube: YouTubeServer, step: str
) -> None:
    value = await consent(client, youtube)
    youtube.faults[step] = [Says(503)]
    answer = await client.get("/youtube/callback", params=value)
    assert (answer.status_code, answer.json()["code"]) == (502, "publishing.no_answer")
    assert (await client.get("/youtube/accounts")).json() == []


async def test_a_disconnected_channel_gets_its_tokens_back(
    client: httpx.AsyncClient, youtube: YouTubeServer, account: str
) -> None:
    assert (await client.delete(f"/youtube/accounts/{account}")).status_code == 204
    assert youtube.revoked == ["refresh-1"] and (await client.get("/youtube/accounts")).json() == []
    missing = await client.delete(f"/youtube/accounts/{account}")
    assert missing.json()["code"] == "publishing.account_not_found"


async def test_a_channel_that_another_tenant_publishes_on_stays_theirs(
    client: httpx.AsyncClient, youtube: YouTubeServer, account: str, db: Database
) -> None:
    async with db.transaction() as session:
        ours = (await session.scalars(select(Account))).one()
        values = {column.key: getattr(ours, column.key) for column in inspect(Account).column_attrs}
        session.add(Account(**{**values, "id": "yta_acme", "tenant": "acme"}))
    assert (await client.delete(f"/youtube/accounts/{account}")).status_code == 204
    assert youtube.revoked == [] and (await client.get("/youtube/accounts")).json() == []
    with tenant_scope("acme"):
        async with db.session() as session:
            assert [row.id for row in await session.scalars(select(Account))] == ["yta_acme"]


async def test_a_wrong_client_secret_is_named(
    client: httpx.AsyncClient, youtube: YouTubeServer, settings: Any
) -> None:
    value = await consent(client, youtube)
    settings.youtube.client_secret_file.write_text("wrong")
    answer = await client.get("/youtube/callback", params=value)
    assert answer.json()["code"] == "publishing.client_refused"
    assert "client_secret_file" in answer.json()["hint"] and "wrong" not in answer.text


def test_what_is_sealed_opens_with_the_key_file_alone(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path / "a").seal("a secret")
    assert "a secret" not in sealed
    assert Sealer(tmp_path / "a").unseal(sealed) == "a secret"
    assert (tmp_path / "a" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(Unavailable, match="cannot be used"):
        Sealer(tmp_path / "b").unseal(sealed)
    Sealer(tmp_path / "b").seal("another")
    with pytest.raises(Unavailable) as error:
        Sealer(tmp_path / "b").unseal(sealed)
    assert error.value.code == "seal.broken"


async def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, soundstage.sealing as s; print(s.Sealer(pathlib.Path(sys.argv[1])).seal('x'))"
    )
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / "s"), stdout=asyncio.subprocess.PIPE, cwd=os.curdir
        )
        for _ in range(4)
    ]
    for process in running:
        sealed = (await process.communicate())[0].decode().strip()
        assert Sealer(tmp_path / "s").unseal(sealed) == "x"
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [KEY_FILE]
