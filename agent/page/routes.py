"""Serves the page at `/` and its files at `/page/`; mounted by the composition root."""

from __future__ import annotations

from importlib.resources import files
from types import MappingProxyType

from fastapi import APIRouter, Depends, Response

from policy import public
from soundstage.errors import NotFound

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
)
MEDIA_TYPES = MappingProxyType(
    {
        "page.css": "text/css",
        "icon.svg": "image/svg+xml",
        "main.js": "text/javascript",
        "api.js": "text/javascript",
        "dom.js": "text/javascript",
        "progress.js": "text/javascript",
        "videos.js": "text/javascript",
    }
)


def page_router() -> APIRouter:
    reason = "the page itself holds nothing; what it asks for is guarded"
    router = APIRouter(include_in_schema=False, dependencies=[Depends(public(reason))])

    @router.get("/")
    async def page() -> Response:
        return _file("index.html", "text/html")

    @router.get("/page/{name}")
    async def part(name: str) -> Response:
        media_type = MEDIA_TYPES.get(name)
        if media_type is None:
            raise NotFound("page.not_found", f"The page has no file {name!r}.", hint="Open / instead.")
        return _file(name, media_type)

    return router


def _file(name: str, media_type: str) -> Response:
    content = (files("agent.page") / name).read_bytes()
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=dict(HEADERS))
