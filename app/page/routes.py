"""Serves the page at `/` and its files at `/page/`; mounted by the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from policy import public
from soundstage.compression import choose_encoding
from soundstage.errors import NotFound
from soundstage.settings.outgoing import is_loopback_host

BUILT = Path(__file__).with_name("built")
"""Made by `ui/build`, which needs Node; everything but the page works without it."""
UNBUILT = Path(__file__).with_name("unbuilt.html")

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self'; connect-src {}; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = MappingProxyType({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})
MEDIA_TYPES = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
    }
)
PACKED = MappingProxyType({"br": ".br", "gzip": ".gz"})
# Names of built files hold a hash of their content, but those that other pages load too.
FIXED_NAMES = frozenset({"embed.js", "icon.svg", "inter.woff2"})
FRESH = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class BuiltPage:
    """The page as a build has written it. With `https_port`, browsers that open it over plain HTTP under
    another name than localhost are redirected. `connects_to`: origins besides its own that it may reach.
    """

    built: Path = BUILT
    https_port: int | None = None
    connects_to: Sequence[str] = ()

    def index_answer(self, request: Request) -> Response:
        """Returns the page itself, or how to build it; over plain HTTP the way to `https_port`."""
        name = request.url.hostname or ""
        if self.https_port is not None and request.url.scheme == "http" and not is_loopback_host(name):
            return RedirectResponse(str(request.url.replace(scheme="https", port=self.https_port)))
        index = self.built / "index.html"
        if not index.is_file():
            return self.answer(UNBUILT, "text/html; charset=utf-8", FRESH, request, status=503)
        return self.answer(index, "text/html; charset=utf-8", FRESH, request)

    def answer(self, path: Path, media_type: str, keep: str, request: Request, status: int = 200) -> Response:
        """Returns a file as `ui/build` has compressed it, where the client takes that."""
        headers = {
            **HEADERS,
            "Content-Security-Policy": CONTENT_POLICY.format(" ".join(("'self'", *self.connects_to))),
            "Cache-Control": keep,
            "Content-Type": media_type,
            "Vary": "Accept-Encoding",
        }
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        if encoding is not None and (packed := path.with_name(path.name + PACKED[encoding])).is_file():
            path, headers["Content-Encoding"] = packed, encoding
        return Response(path.read_bytes(), status_code=status, headers=headers)

    def file(self, name: str) -> Path | None:
        """Returns the file of that name that a build has written; None for others, also for a path."""
        path = self.built / name
        known = path.name == name and path.suffix in MEDIA_TYPES and path.is_file()
        return path if known else None


PAGE = BuiltPage()


def page_router(served: BuiltPage = PAGE) -> APIRouter:
    """Returns the routes of `/`, and of what the build has written below `/page/`."""
    reason = "the page itself holds nothing; what it asks for is guarded"
    router = APIRouter(include_in_schema=False, dependencies=[Depends(public(reason))])

    @router.get("/")
    async def page(request: Request) -> Response:
        return served.index_answer(request)

    @router.get("/page/{name}")
    async def part(name: str, request: Request) -> Response:
        found = served.file(name)
        if found is None:
            raise NotFound("page.not_found", f"The page has no file {name!r}.", hint="Open / instead.")
        keep = FRESH if name in FIXED_NAMES else FOR_EVER
        return served.answer(found, MEDIA_TYPES[found.suffix], keep, request)

    return router
