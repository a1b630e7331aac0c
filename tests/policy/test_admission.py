from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from policy.keys.schemas import CreatedKey

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
KIB = 1 << 10


class Source:
    """A body in pieces that counts how many were taken."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.pieces):
            self.taken += 1
            yield b"x" * KIB


async def test_nobody_unknown_can_upload_and_not_a_byte_is_taken(client: Client) -> None:
    async with client() as http:
        for headers in ({"Content-Length": str(1 << 20)}, {"Transfer-Encoding": "chunked"}):
            source = Source(1024)
            form = {"Content-Type": "multipart/form-data; boundary=b", **headers}
            answer = await http.post("/api/assets", content=source, headers=form)
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
            assert answer.headers["connection"] == "close"
            assert source.taken <= 1


async def test_a_small_body_of_somebody_unknown_reaches_public_routes(
    client: Client, make_key: Callable[..., Awaitable[CreatedKey]]
) -> None:
    created = await make_key("viewer")
    async with client() as http:
        assert (await http.post("/api/login", json={"key": created.key})).status_code == 200


async def test_whoever_is_known_can_upload(
    client: Client, make_key: Callable[..., Awaitable[CreatedKey]]
) -> None:
    editor, viewer = await make_key("editor"), await make_key("viewer")
    big = {"file": b"x" * 300 * KIB}
    async with client(key=editor.key) as http:
        assert (await http.post("/api/assets", files=big)).json() == 300 * KIB
    async with client(key=viewer.key) as http:
        assert (await http.post("/api/assets", files=big)).status_code == 403


@pytest.mark.parametrize(("kib", "status"), [("16", 413), ("4096", 405)])
async def test_the_limits_of_the_settings_hold(
    client_with: Callable[..., Client], make_key: Callable[..., Awaitable[CreatedKey]], kib: str, status: int
) -> None:
    created = await make_key("admin")
    async with client_with(SOUNDSTAGE_LIMITS__BODY_KIB=kib)(key=created.key) as http:
        answer = await http.post("/api/open", json={"text": "x" * 100 * KIB})
    assert answer.status_code == status
