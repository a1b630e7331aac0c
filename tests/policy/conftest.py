"""An application with a few guarded routes on a real database, and ways to ask it as different people."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, UploadFile, WebSocket

from policy import Policy, Principal, install_policy, public, require_permission
from policy.authentication import is_loopback_address
from policy.keys.schemas import CreatedKey, KeyRequest
from soundstage.database import Database
from soundstage.errors import install_error_handlers
from soundstage.events import EventStore
from soundstage.settings import Settings, load_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from table_templates import CreateTables

REFERENCE = dict.fromkeys(
    ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"), "the API is no secret"
)

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(None, {"SOUNDSTAGE_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture
async def db(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    database = Database(database_url)
    await create_tables(database)
    yield database
    await database.close()


@pytest.fixture
def events(db: Database) -> EventStore:
    return EventStore(db)


@pytest.fixture
def policy(settings: Settings, db: Database, events: EventStore) -> Policy:
    return Policy.open(settings, db, events)


def make_app(policy: Policy) -> FastAPI:
    """Routes of each kind: public, guarded, with a body, a form and a WebSocket."""
    app = FastAPI()
    install_error_handlers(app)
    router = APIRouter(prefix="/api")

    @router.get("/open", dependencies=[Depends(public("a test"))])
    async def read_open() -> str:
        return "open"

    @router.get("/renders")
    async def list_renders(
        principal: Annotated[Principal, Depends(require_permission("render:read"))],
    ) -> dict[str, str]:
        return {"id": principal.id, "role": principal.role, "kind": principal.kind}

    @router.post("/renders", dependencies=[Depends(require_permission("render:create"))])
    async def make_render() -> str:
        return "made"

    @router.delete("/renders/{render_id}", dependencies=[Depends(require_permission("render:delete"))])
    async def delete_render(render_id: str) -> str:
        return "deleted"

    @router.post("/assets", dependencies=[Depends(require_permission("asset:create"))])
    async def upload(file: UploadFile) -> int:
        return file.size or 0

    @router.websocket("/live")
    async def live(
        socket: WebSocket, principal: Annotated[Principal, Depends(require_permission("event:read"))]
    ) -> None:
        await socket.accept()
        await socket.send_text(principal.id)
        await socket.close()

    app.include_router(router)
    install_policy(app, policy, public=REFERENCE)
    return app


@pytest.fixture
def app(policy: Policy) -> FastAPI:
    return make_app(policy)


def client_of(app: FastAPI) -> Client:
    """A caller from somewhere: `async with client(peer="10.0.0.9", host="studio.example") as http`."""

    @asynccontextmanager
    async def calling(
        peer: str = "10.0.0.9",
        host: str = "studio.example",
        key: str | None = None,
        scheme: str | None = None,
        **headers: str,
    ) -> AsyncIterator[httpx.AsyncClient]:
        # From other machines by https, unless a test is about plain HTTP.
        scheme = scheme or ("http" if is_loopback_address(peer) else "https")
        transport = httpx.ASGITransport(app, client=(peer, 50_000))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["Authorization"] = f"Bearer {key}"
        async with httpx.AsyncClient(
            transport=transport, base_url=f"{scheme}://{host}", headers=named
        ) as http:
            yield http

    return calling


@pytest.fixture
def client(app: FastAPI) -> Client:
    return client_of(app)


@pytest.fixture
def client_with(settings: Settings, db: Database, events: EventStore) -> Callable[..., Client]:
    """The same for an application with other settings: `client_with(SOUNDSTAGE_HTTP__HOST="::")`."""

    def make(**environment: str) -> Client:
        environment["SOUNDSTAGE_STATE_DIR"] = str(settings.state_dir)
        return client_of(make_app(Policy.open(load_settings(None, environment), db, events)))

    return make


@pytest.fixture
def make_key(policy: Policy) -> MakeKey:
    """`await make_key("editor", scopes=["render:*"])`."""

    async def make(role: str = "viewer", **fields: object) -> CreatedKey:
        request = KeyRequest.model_validate({"name": "a test", "role": role, **fields})
        async with policy.db.transaction() as session:
            return await policy.keys.create(session, request, Principal.local_admin())

    return make
