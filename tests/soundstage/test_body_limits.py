from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, UploadFile

from soundstage.body_limits import install_body_limits, is_text
from soundstage.errors import install_error_handlers

KIB = 1 << 10
FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/json")
    async def take_json(body: dict[str, str]) -> int:
        return len(body["text"])

    @app.post("/form")
    async def take_form(file: UploadFile) -> int:
        return len(await file.read())

    @app.post("/raw")
    async def take_raw(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    install_body_limits(app, body_kib=16, upload_mib=1)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


async def in_pieces(total: int, head: bytes = b"") -> AsyncIterator[bytes]:
    yield head
    for _ in range(total // KIB):
        yield b"x" * KIB


async def test_a_body_within_its_limit_passes_unchanged(http: httpx.AsyncClient) -> None:
    assert (await http.post("/json", json={"text": "ö" * 100})).json() == 100
    assert (await http.post("/form", files={"file": b"x" * 900 * KIB})).json() == 900 * KIB
    assert (
        await http.post("/raw", content=b"x" * 900 * KIB, headers={"Content-Type": "video/mp4"})
    ).json() > 0


async def test_a_stated_length_over_the_limit_is_refused_before_anything_is_read(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/json", json={"text": "x" * 17 * KIB})
    assert (answer.status_code, answer.json()["code"]) == (413, "http.body_too_large")
    assert "16 KiB" in answer.json()["detail"]
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("path", "content_type", "size"),
    [
        ("/json", "application/json", 17 * KIB),
        ("/json", "application/vnd.api+json", 17 * KIB),
        ("/raw", "", 17 * KIB),
        ("/raw", "text/plain", 17 * KIB),
        ("/raw", "video/mp4", 1100 * KIB),
        ("/form", "multipart/form-data; boundary=b", 1100 * KIB),
    ],
)
async def test_a_body_without_a_length_is_cut_off_at_its_limit(
    http: httpx.AsyncClient, path: str, content_type: str, size: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    head = FORM_HEAD if path == "/form" else b""
    answer = await http.post(path, content=in_pieces(size, head), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "http.body_too_large")


async def test_a_malformed_form_is_the_callers_error(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await http.post("/form", content=b"no boundary here", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "http.bad_request")


async def test_a_lying_length_helps_nobody(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "10"}
    answer = await http.post("/json", content=in_pieces(17 * KIB), headers=headers)
    assert answer.status_code == 413
    answer = await http.post("/json", content=b"{}", headers={**headers, "Content-Length": "-1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "http.bad_length")


async def test_json_that_is_no_text_is_refused(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b'{"text": "\\ud800"}', b'{"text": "\xff"}', b'{"text": "\xed\xa0\x80"}'):
        answer = await http.post("/json", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.bad_text")
    assert (await http.post("/json", content=b'{"text": "\\ud83d\\ude00"}', headers=headers)).json() == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb"plain", True),
        ("ümläut 😀 עברית".encode(), True),
        (rb"\ud83d\ude00", True),
        (rb"\ud83d\ude00\uD83D\uDE00\n", True),
        (rb"\\ud800", True),
        (rb"\\\\ud800", True),
        (rb"\ud83d", False),
        (rb"\ude00", False),
        (rb"\\\ud83d", False),
        (rb"\ude00\ud83d", False),
        (rb"\ud83d \ude00", False),
        (rb"\ud83d\n", False),
        (rb"\ud83d\ud83d\ude00", False),
        (rb"\ud83d\ude00\ude00", False),
        (b"\xed\xa0\xbd", False),
        (b"\xff", False),
    ],
)
def test_text_is_told_from_half_characters(body: bytes, expected: bool) -> None:
    assert is_text(body) is expected
