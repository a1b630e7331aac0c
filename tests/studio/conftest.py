"""A whole studio over a real database and real processes; the worker is the stand-in that obeys orders."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from audit_logs import audit_of
from avatar.spec import Canvas
from fastapi import FastAPI
from local_login import log_in_locally

import studio.models  # noqa: F401 - the tables
from farm.local import LocalOptions, LocalScheduler
from policy import Policy, install_policy
from policy.audit import AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import install_error_handlers
from soundstage.events import EventStore
from soundstage.routers import add_routers
from soundstage.settings import Settings
from studio.renders.schemas import RenderRequest, RenderView
from studio.routes import routers
from studio.wiring import Studio, build_studio, worker_cache

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from table_templates import CreateTables

STAND_IN = Path(__file__).parents[1] / "farm" / "stand_in.py"
SMALL = Canvas(width=320, height=180)

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 8
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)

NOVA = """\
id: nova
name: Nova
face: {kind: rig, character: nova}
voice: {kind: espeak, rate_wpm: 170}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "nova.yaml").write_text(NOVA)
    return Settings.model_validate(
        {
            "state_dir": tmp_path / "state",
            "out_dir": tmp_path / "out",
            "personas_dir": personas,
            # Receivers are on this machine.
            "webhooks": {"loopback": True},
            "limits": {"upload_mib": 1, "script_chars": 20_000, "scenes": 20, "queued_renders": 30},
        }
    )


@pytest.fixture
async def db(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    created = Database(database_url)
    await create_tables(created)
    yield created
    await created.close()


@pytest.fixture
def events(db: Database) -> EventStore:
    return EventStore(db, poll_s=0.05)


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    return BlobStore.open(settings.blobs_url)


@pytest.fixture
async def scheduler(settings: Settings, blobs: BlobStore) -> AsyncIterator[LocalScheduler]:
    created = LocalScheduler(
        blobs,
        LocalOptions(
            command=(sys.executable, "-I", "-S", str(STAND_IN)),
            work_dir=settings.state_dir / "work",
            cache_dir=worker_cache(settings),
            concurrency=2,
            grace_s=1.0,
        ),
    )
    yield created
    await created.close()


@pytest.fixture
def audit(db: Database, settings: Settings) -> AuditLog:
    return audit_of(db, settings)


@pytest.fixture
def new_studio(
    settings: Settings,
    db: Database,
    events: EventStore,
    blobs: BlobStore,
    scheduler: LocalScheduler,
    audit: AuditLog,
) -> Callable[..., Studio]:
    """Builds the services, as each process does; what is passed stands in place of what fixtures give."""
    parts = {
        "settings": settings,
        "db": db,
        "events": events,
        "blobs": blobs,
        "scheduler": scheduler,
        "audit": audit,
        "worker_version": "1.0",
    }
    return lambda **other: build_studio(**parts | other)


@pytest.fixture
async def studio_rooms(new_studio: Callable[..., Studio]) -> AsyncIterator[Studio]:
    """The services; nobody drives renders."""
    created = new_studio()
    yield created
    await created.dispatcher.close()


@pytest.fixture
async def rooms(studio_rooms: Studio) -> Studio:
    """The services with a dispatcher that drives."""
    await studio_rooms.dispatcher.start()
    return studio_rooms


@pytest.fixture
async def client(
    settings: Settings, db: Database, events: EventStore, studio_rooms: Studio
) -> AsyncIterator[httpx.AsyncClient]:
    """The REST API, as the user of this machine."""
    app = FastAPI()
    app.state.studio = studio_rooms
    add_routers(app, *routers())
    policy = Policy.open(settings, db, events)
    install_policy(app, policy, public={"/openapi.json": "no secret", **DOCS})
    install_error_handlers(app)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    headers = await log_in_locally(policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as created:
        yield created


DOCS = {"/docs": "no secret", "/docs/oauth2-redirect": "no secret", "/redoc": "no secret"}


def asking(script: str = "hello", **more: Any) -> RenderRequest:
    return RenderRequest(script=script, canvas=SMALL, **more)


@pytest.fixture
def ask() -> Callable[..., RenderRequest]:
    """A request for a small video; see tests/farm/stand_in.py for what scripts can order."""
    return asking


@pytest.fixture
def render_to_end() -> Callable[..., Awaitable[RenderView]]:
    """Asks for a video and waits for its end."""

    async def make(rooms: Studio, script: str = "hello", **more: Any) -> RenderView:
        view = await rooms.renders.create(asking(script, **more))
        return await rooms.renders.wait(view.id)

    return make


@pytest.fixture
async def drawing(
    settings: Settings, blobs: BlobStore, new_studio: Callable[..., Studio]
) -> AsyncIterator[Callable[..., Studio]]:
    """Studios whose worker is the given command."""
    schedulers: list[LocalScheduler] = []

    def build(*command: str, **other: Any) -> Studio:
        options = LocalOptions(command, settings.state_dir / "work", worker_cache(settings))
        schedulers.append(LocalScheduler(blobs, options))
        return new_studio(scheduler=schedulers[-1], **other)

    yield build
    for one in schedulers:
        await one.close()
