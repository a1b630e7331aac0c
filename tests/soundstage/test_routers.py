"""Adding routers keeps what including them gives, without analysing the routes again."""

from __future__ import annotations

from typing import Annotated

import fastapi.routing
import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel

from soundstage.routers import AppService, add_routers


class Thing(BaseModel):
    name: str


async def only_even(number: Annotated[int, Query()]) -> int:
    return number // 2 * 2


def things() -> APIRouter:
    router = APIRouter(prefix="/things", tags=["things"], dependencies=[Depends(only_even)])

    @router.get("/{name}")
    async def read_thing(name: str, number: Annotated[int, Depends(only_even)]) -> Thing:
        return Thing(name=f"{name} {number}")

    inner = APIRouter()

    @inner.post("/parts", status_code=201)
    async def add_part(part: Thing) -> Thing:
        return part

    router.include_router(inner)
    return router


@pytest.fixture
def application() -> FastAPI:
    app = FastAPI()
    add_routers(app, things())
    return app


def test_the_description_is_that_of_included_routers(application: FastAPI) -> None:
    included = FastAPI()
    included.include_router(things())
    assert application.openapi() == included.openapi()
    assert set(application.openapi()["paths"]) == {"/things/{name}", "/things/parts"}


async def test_routes_validate_and_run_their_dependencies(application: FastAPI) -> None:
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/things/a", params={"number": 5})).json() == {"name": "a 4"}
        assert (await client.get("/things/a")).status_code == 422
        answer = await client.post("/things/parts", params={"number": 1}, json={"name": "p"})
        assert (answer.status_code, answer.json()) == (201, {"name": "p"})


def test_a_second_application_analyses_no_route_again(monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/one")
    async def read_one() -> int:
        return 1

    analysed: list[object] = []
    analyse = fastapi.routing.get_dependant

    def count(**arguments: object) -> object:
        analysed.append(arguments["call"])
        return analyse(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fastapi.routing, "get_dependant", count)
    for _ in range(3):
        app = FastAPI()
        add_routers(app, router)
        assert "/one" in app.openapi()["paths"]
    assert analysed == []


async def test_one_router_serves_each_application_with_its_own_services() -> None:
    router = APIRouter()

    @router.get("/greeting")
    async def read_greeting(greeting: Annotated[str, Depends(AppService("greeting"))]) -> str:
        return greeting

    for greeting in ("hello", "hallo"):
        app = FastAPI()
        app.state.greeting = greeting
        add_routers(app, router)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            assert (await client.get("/greeting")).json() == greeting
    assert "parameters" not in app.openapi()["paths"]["/greeting"]["get"]
