"""Declarations of a route: the permission that it needs, or the reason why it needs none."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these callables at run time.
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.requests import HTTPConnection

from policy.acting_for import set_acting_for
from policy.decisions.question import Action
from policy.permissions import permission
from policy.principal import Principal
from soundstage.database.tenants import set_tenant
from soundstage.tracing import set_span_tenant


@dataclass(frozen=True)
class RequiredPermission:
    """A FastAPI dependency that lets a request pass only with this permission, and gives its principal."""

    permission: str

    async def __call__(self, connection: HTTPConnection) -> Principal:
        policy = connection.app.state.policy
        principal: Principal = await policy.authenticate(connection)
        await policy.decider.require(principal, Action("route", _route(connection), self.permission))
        set_acting_for(connection, principal)
        set_tenant(principal.tenant)
        set_span_tenant(principal.tenant)
        state = connection.scope.setdefault("state", {})
        state[_GUARDS] = (*guards_passed(state), PassedGuard(self, connection, principal))
        return principal

    async def reauthorize(self, connection: HTTPConnection) -> Principal:
        """For a connection that lives long: a key may have ended, or been narrowed, since it was passed."""
        policy = connection.app.state.policy
        principal: Principal = await policy.authenticator.authenticate(connection)
        await policy.decider.require(principal, Action("route", _route(connection), self.permission))
        connection.state.principal = principal
        return principal


@dataclass(frozen=True, slots=True)
class PassedGuard:
    """A guard that this connection has passed, and the principal."""

    guard: RequiredPermission
    connection: HTTPConnection
    principal: Principal


_GUARDS = "guards_passed"


def guards_passed(state: Mapping[str, Any]) -> tuple[PassedGuard, ...]:
    """Returns the guards that a connection with this state has passed; none for a public route."""
    passed: tuple[PassedGuard, ...] = state.get(_GUARDS, ())
    return passed


def _route(connection: HTTPConnection) -> str:
    """`GET /api/renders/{render_id}`: the template, so that the same question is asked for every id."""
    method = connection.scope.get("method", "WS")
    return f"{method} {getattr(connection.scope.get('route'), 'path', '')}".strip()


@dataclass(frozen=True)
class Public:
    """Returns a FastAPI dependency that admits all callers and documents the reason."""

    reason: str

    async def __call__(self) -> None:
        return None


def require_permission(name: str) -> RequiredPermission:
    """`principal: Annotated[Principal, Depends(require_permission("render:create"))]`.

    Raises Invalid while the routes are declared when there is no such permission.
    """
    return RequiredPermission(permission(name).name)


def public(reason: str) -> Public:
    """`dependencies=[Depends(public("browsers ask before anybody can log in"))]`."""
    if not reason.strip():
        raise ValueError("a public route needs a reason")
    return Public(reason)
