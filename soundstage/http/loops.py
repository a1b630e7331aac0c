"""Refuses requests that this product itself sent: they came back through a proxy, an alias or a translated
address that could not be seen when the connection was checked. Wrapped around both applications.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from soundstage.errors import SoundstageError, problem_response
from soundstage.http.outgoing import LOOP_HEADER


def install_loop_refusal(app: FastAPI) -> None:
    """Answers 508 `outgoing.loop_refused` before keys or the source address are checked."""
    app.add_middleware(LoopRefusal)


class LoopRefusal:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = LOOP_HEADER.encode()
        if scope["type"] == "lifespan" or all(name != named for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "outgoing.loop_refused"})
            return
        error = SoundstageError(
            "outgoing.loop_refused",
            "This request is an outgoing call of this product that came back to it.",
            "Point the webhook, or whatever sent it, at another server.",
            status=508,
            headers={"Connection": "close"},
        )
        await problem_response(error)(scope, receive, send)
