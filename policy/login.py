"""REST for the page: log in with a key, log out, and who am I."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from policy.authentication import Authenticator
from policy.guard import public, require_permission
from policy.principal import Kind, Principal
from policy.sessions import COOKIE, SessionSigner
from policy.start_links import StartLinks
from soundstage.errors import Forbidden
from soundstage.views import read_view


class LoginRequest(BaseModel, extra="forbid", str_strip_whitespace=True):
    """An API key, typed into the page."""

    key: str = Field(min_length=1, max_length=200)


class StartRequest(BaseModel, extra="forbid"):
    """The token of a start link, read from the address by the page."""

    token: str = Field(min_length=1, max_length=200)


class StartLink(BaseModel):
    """A token that logs a page in once, as the key that asked for it: `https://…/#/start/TOKEN`."""

    token: str
    expires_at: datetime


class Me(BaseModel):
    """As whom the caller is known, and what that allows."""

    id: str
    name: str
    role: str
    tenant: str
    kind: Kind
    permissions: list[str]


def login_router(
    authenticator: Authenticator, sessions: SessionSigner, links: StartLinks, *, https: bool
) -> APIRouter:
    """`/api/login`, `/api/logout`, `/api/me`; `https` when browsers reach us by it, maybe through a proxy."""
    router = APIRouter(prefix="/api", tags=["login"])

    def set_cookie(request: Request, response: Response, key_id: str) -> None:
        response.set_cookie(
            COOKIE,
            sessions.sign(key_id),
            max_age=int(sessions.lifetime.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=https or request.url.scheme == "https",
        )

    @router.post("/login", dependencies=[Depends(public("nobody is known before they log in"))])
    async def log_in(login: LoginRequest, request: Request, response: Response) -> Me:
        """Changes a key for a cookie that scripts cannot read and other sites cannot send."""
        # Or a foreign page could log the visitor in under another account and read along.
        authenticator.reject_cross_origin(request)
        authenticator.require_tls(request)
        principal = await authenticator.with_key(login.key, request)
        set_cookie(request, response, principal.key_id)
        return _me(principal)

    @router.post("/login/links", status_code=201)
    async def make_start_link(
        principal: Annotated[Principal, Depends(require_permission("self:read"))],
    ) -> StartLink:
        """A one-time link for a browser, good for the key that asks and for minutes only."""
        if principal.kind == "session":
            # Or a login could make itself last for ever.
            raise Forbidden(
                "login.link_needs_key",
                "A start link is made with an API key, not with a login of the page.",
                "Run `soundstage open` on the machine of the server, or log in with a key.",
            )
        token, expires_at = links.issue(principal.key_id)
        return StartLink(token=token, expires_at=expires_at)

    @router.post("/login/start", dependencies=[Depends(public("nobody is known before they log in"))])
    async def start(start: StartRequest, request: Request, response: Response) -> Me:
        """Changes the token of a start link for the same cookie as a login."""
        authenticator.reject_cross_origin(request)
        authenticator.require_tls(request)
        principal = await authenticator.with_link(links, start.token, request)
        set_cookie(request, response, principal.key_id)
        return _me(principal)

    @router.post(
        "/logout", status_code=204, dependencies=[Depends(public("forgets only the caller's own cookie"))]
    )
    async def log_out(request: Request, response: Response) -> None:
        """Takes the cookie back, and ends the login: no copy of the cookie opens anything any more."""
        await authenticator.log_out(request)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    @router.get("/me")
    async def who_am_i(principal: Annotated[Principal, Depends(require_permission("self:read"))]) -> Me:
        """As whom the caller is known."""
        return _me(principal)

    return router


def _me(principal: Principal) -> Me:
    return read_view(Me, principal, permissions=sorted(principal.permissions))
