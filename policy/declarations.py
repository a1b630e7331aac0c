"""Default deny: lists what every route of an application declares, and refuses a silent one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from policy.guard import Public, RequiredPermission


@dataclass(frozen=True, slots=True)
class RouteGrant:
    """The declaration of one route: permissions, or a reason why it is public, or (never in service)
    neither.
    """

    path: str
    methods: tuple[str, ...]
    permissions: tuple[str, ...]
    public_reason: str | None

    @property
    def described_path(self) -> str:
        """Returns the path as the description of the API has it: names in braces, and no converters."""
        return self.path.replace(":path}", "}")

    @property
    def declared(self) -> bool:
        """True where it declares anything."""
        return bool(self.permissions) or self.public_reason is not None

    def __str__(self) -> str:
        return f"{','.join(self.methods)} {self.path}"


def list_route_grants(app: FastAPI) -> list[RouteGrant]:
    """Returns every route of `app`, also of routers and mounts inside it."""
    return list(_grants(app, app.routes, "", getattr(app.state, "public_paths", {})))


def check_routes(app: FastAPI) -> None:
    """Raises RuntimeError with the list of routes that declare nothing; run at every start."""
    silent = [str(grant) for grant in list_route_grants(app) if not grant.declared]
    if silent:
        raise RuntimeError(
            f"routes without a permission or a reason to be public: {'; '.join(sorted(silent))}"
        )


def _grants(app: Any, routes: Iterable[Any], prefix: str, reasons: Mapping[str, str]) -> Iterator[RouteGrant]:
    # Frontends mounted by `app.frontend()` are kept apart from the other routes.
    late = getattr(getattr(app, "router", None), "_low_priority_routes", ())
    for route in (*iter_route_contexts(list(routes)), *late):
        path = f"{prefix}{getattr(route, 'path', None) or ''}"
        inner = getattr(route, "original_route", route)
        if isinstance(inner, Mount) and path not in reasons and inner.routes:
            yield from _grants(inner.app, inner.routes, path, reasons)
            continue
        calls = list(_calls(getattr(route, "dependant", None)))
        yield RouteGrant(
            path=path,
            methods=tuple(sorted(getattr(route, "methods", None) or ("ANY",))),
            permissions=tuple(
                sorted({call.permission for call in calls if isinstance(call, RequiredPermission)})
            ),
            public_reason=next(
                (call.reason for call in calls if isinstance(call, Public)), reasons.get(path)
            ),
        )


def _calls(dependant: Any) -> Iterator[Any]:
    """The callables behind a route, however deep; `dependant` is FastAPI's tree of dependencies."""
    for child in getattr(dependant, "dependencies", ()):
        yield child.call
        yield from _calls(child)
