"""Adds routers to an application; used by the web applications of both server processes."""

# No `from __future__ import annotations`: FastAPI reads the annotations of `AppService` at run time.
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.requests import HTTPConnection


@dataclass(frozen=True)
class AppService:
    """A FastAPI dependency that returns `app.state.NAME` of the application that serves a request.

    So the routes of a process are built once, and serve every application: `Annotated[MemoryService,
    Depends(AppService("memory"))]`.
    """

    name: str

    async def __call__(self, connection: HTTPConnection) -> Any:
        return getattr(connection.app.state, self.name)


def add_routers(app: FastAPI, *routers: APIRouter) -> None:
    """Adds the routes of routers as they are, without a prefix or dependencies of the application.

    `FastAPI.include_router` analyses each route's dependencies anew for each application (FastAPI 0.163),
    though its router has done so: half of the time that an application takes to be ready.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
