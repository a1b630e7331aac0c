"""Answers for paths that no route knows: the page for a browser that opens one of its addresses, else 404."""

from __future__ import annotations

from functools import cached_property

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.page.routes import PAGE, BuiltPage
from policy.declarations import list_route_grants


class PageFallback:
    """Takes the place of `router.default`. Where the first part of a path belongs to a route, such as `/api`,
    nothing below is the page's.
    """

    def __init__(self, app: FastAPI, page: BuiltPage = PAGE) -> None:
        self._app = app
        self._page = page
        self._not_found = app.router.default

    @cached_property
    def _taken(self) -> frozenset[str]:
        return frozenset(_first_part(route.path) for route in list_route_grants(self._app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_of_page(scope):
            await self._page.index_answer(Request(scope))(scope, receive, send)
        else:
            await self._not_found(scope, receive, send)

    def _is_of_page(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return False
        navigates = "text/html" in Headers(scope=scope).get("accept", "")
        return navigates and _first_part(scope["path"]) not in self._taken


def _first_part(path: str) -> str:
    return path.lstrip("/").partition("/")[0]
