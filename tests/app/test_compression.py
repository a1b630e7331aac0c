"""Answers are compressed for who accepts it, but no streams, no media and nothing that could tell secrets."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from app.page.fallback import PageFallback
from app.page.routes import BuiltPage, page_router
from soundstage.compression import Compression, choose_encoding
from soundstage.errors import install_error_handlers

ROWS = [{"id": f"rnd_{number:026d}", "state": "done", "title": "Tides"} for number in range(400)]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_middleware(Compression)
    picture = tmp_path / "picture.json"
    picture.write_text(json.dumps(ROWS))

    @app.api_route("/api/rows", methods=["GET", "POST", "HEAD"])
    def rows() -> Any:
        return JSONResponse(ROWS, headers={"ETag": '"1"'})

    @app.get("/api/small")
    def small() -> Any:
        return {"status": "ok"}

    @app.get("/api/part")
    def part() -> Any:
        return Response(b"x" * 5000, 206, media_type="application/json")

    @app.get("/api/picture")
    def image() -> Any:
        return Response(b"x" * 5000, media_type="image/webp")

    @app.get("/api/events")
    def events() -> Any:
        async def event_chunks() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"data: %d\n\n" % number * 500

        return StreamingResponse(event_chunks(), media_type="text/event-stream")

    @app.get("/api/lines")
    def lines() -> Any:
        return StreamingResponse(iter([b"a" * 3000, b"b"]), media_type="text/plain")

    @app.get("/api/file")
    def file() -> Any:
        return FileResponse(picture, media_type="application/json")

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as created:
        yield created


async def raw(
    client: httpx.AsyncClient, path: str, encoding: str, **headers: str
) -> tuple[httpx.Response, bytes]:
    """The answer and its bytes as they are on the wire."""
    request_headers = {"Accept-Encoding": encoding, **headers}
    async with client.stream("GET", path, headers=request_headers) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def test_json_is_sent_by_brotli_or_gzip_to_who_takes_it(client: httpx.AsyncClient) -> None:
    plain, whole = await raw(client, "/api/rows", "identity")
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"
    for accepts, encoding, unpack in (
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip;q=1.0, br;q=0", "gzip", gzip.decompress),
        ("GZIP", "gzip", gzip.decompress),
    ):
        answer, body = await raw(client, "/api/rows", accepts)
        assert answer.headers["content-encoding"] == encoding and unpack(body) == whole
        assert int(answer.headers["content-length"]) == len(body) < len(whole) / 10
        assert answer.headers["vary"] == "Accept-Encoding" and answer.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("path", ["small", "part", "picture", "events", "lines", "file"])
async def test_what_is_short_partial_media_or_streamed_passes_unchanged(
    client: httpx.AsyncClient, path: str
) -> None:
    answer, body = await raw(client, f"/api/{path}", "br, gzip")
    assert "content-encoding" not in answer.headers
    assert int(answer.headers.get("content-length", len(body))) == len(body)


async def test_no_secret_can_be_guessed_by_length_from_another_site_or_in_what_a_post_answers(
    client: httpx.AsyncClient,
) -> None:
    for site in ("cross-site", "same-site"):
        answer, _ = await raw(client, "/api/rows", "br", **{"Sec-Fetch-Site": site})
        assert "content-encoding" not in answer.headers
    answer, _ = await raw(client, "/api/rows", "br", **{"Sec-Fetch-Site": "same-origin"})
    assert answer.headers["content-encoding"] == "br"
    assert (
        "content-encoding" not in (await client.post("/api/rows", headers={"Accept-Encoding": "br"})).headers
    )


def test_what_is_refused_or_unknown_is_not_chosen() -> None:
    assert choose_encoding("") is choose_encoding("br;q=0.000") is choose_encoding("zstd, *") is None
    assert choose_encoding("gzip;q=0.5, br;q=0.1") == "br"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    built = tmp_path / "built"
    built.mkdir()
    for name, content in (("index.html", b"<p>page</p>"), ("a.js", b"let a = 1"), ("f.woff2", b"font")):
        (built / name).write_bytes(content)
        if not name.endswith("woff2"):
            (built / f"{name}.br").write_bytes(brotli.compress(content))
            (built / f"{name}.gz").write_bytes(gzip.compress(content))
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(page_router(BuiltPage(built)))

    @app.get("/api/things/{name}")
    def thing(name: str) -> str:
        return name

    app.router.default = PageFallback(app, BuiltPage(built))
    install_error_handlers(app)
    app.add_middleware(Compression)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", headers={"Accept": "text/html"}
    ) as created:
        yield created


async def test_files_of_the_page_are_sent_as_the_build_has_compressed_them(page: httpx.AsyncClient) -> None:
    for path, content in (("/", b"<p>page</p>"), ("/page/a.js", b"let a = 1")):
        answer, body = await raw(page, path, "gzip, br")
        assert answer.headers["content-encoding"] == "br" and brotli.decompress(body) == content
        assert answer.headers["vary"] == "Accept-Encoding"
        answer, body = await raw(page, path, "gzip")
        assert gzip.decompress(body) == content
        assert await raw(page, path, "identity") and (await raw(page, path, ""))[1] == content
    answer, body = await raw(page, "/page/f.woff2", "br")
    assert body == b"font" and "content-encoding" not in answer.headers
    for name in ("a.js.br", "..%2Froutes.py", "nothing.js"):
        assert (await page.get(f"/page/{name}")).status_code == 404


async def test_addresses_of_the_page_show_it_and_unknown_addresses_of_the_api_do_not(
    page: httpx.AsyncClient,
) -> None:
    for path in ("/videos/rnd_1", "/studio/p/tides/s/3?t=12.4", "/apix"):
        answer = await page.get(path)
        assert (answer.status_code, answer.text) == (200, "<p>page</p>"), path
        policy = answer.headers["content-security-policy"]
        assert "worker-src 'self'" in policy and "blob:" in policy and "unsafe" not in policy
    for path in ("/api", "/api/nothing", "/api/things/a/b", "/page/x/y"):
        assert (await page.get(path)).status_code == 404, path
    assert (await page.get("/videos/1", headers={"Accept": "application/json"})).status_code == 404
    assert (await page.post("/videos/1")).status_code == 404
