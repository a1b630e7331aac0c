"""Adds routers to an application; used by the web applications of both server processes."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI


def add_routers(app: FastAPI, *routers: APIRouter) -> None:
    """Adds the routes of routers as they are, without a prefix or dependencies of the application.

    `FastAPI.include_router` analyses each route's dependencies anew for each application (FastAPI 0.163),
    though its router has done so: half of the time that an application takes to be ready.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
