"""Voice sessions on pages of other sites: which may show one, and who may open its socket.

The site's own server opens the session with an API key, and gives its page the URL and the token of one
socket. The page gets no key, and its socket no other session.
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi.requests import HTTPConnection

from agent.voice.schemas import TransportName
from agent.voice.session import Session
from soundstage.errors import Forbidden, Invalid


def check_origin(origin: str, allowed: Collection[str], transport: TransportName | None) -> str:
    """Returns the origin as browsers send it. Raises `voice.foreign_origin` for one that is not allowed, and
    `voice.no_transport`: an embedded session needs the transport `websocket`.
    """
    if transport not in (None, "websocket"):
        raise Invalid(
            "voice.no_transport",
            f"A session on a page of another site cannot use the transport {transport}.",
            "Ask for `websocket`, or for none.",
        )
    plain = origin.rstrip("/").lower()
    if plain not in {one.rstrip("/").lower() for one in allowed}:
        raise foreign_origin(plain)
    return plain


def check_embedded(session: Session, connection: HTTPConnection) -> None:
    """Raises `voice.foreign_origin` where the page is not the one that the session was opened for."""
    origin = connection.headers.get("origin", "").lower()
    if not session.origin or origin != session.origin:
        raise foreign_origin(origin)


def foreign_origin(origin: str) -> Forbidden:
    return Forbidden(
        "voice.foreign_origin",
        f"Pages of {origin[:200] or 'no origin'} may not show this session.",
        "Add the origin to `http.cors_origins`, and open the session with it.",
    )
