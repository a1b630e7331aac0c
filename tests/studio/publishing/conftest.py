"""A YouTube on loopback, a connected channel, a finished render, and workers that do not wait politely."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from loopback_http import serving
from youtube_server import YouTubeServer

from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.events import EventStore
from soundstage.sealing import Sealer
from soundstage.settings import Settings
from studio.outgoing import Outgoing, build_outgoing
from studio.publishing.models import Account
from studio.publishing.publisher import PublisherOptions
from studio.publishing.schemas import PublicationView
from studio.renders.models import Render, RenderOutput

PIECE = 256 * 1024
VIDEO_BYTES = 4 * PIECE + 1234
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
async def youtube() -> AsyncIterator[YouTubeServer]:
    server = YouTubeServer()
    async with serving(server) as url:
        server.url = url
        yield server


@pytest.fixture
def settings(settings: Settings, youtube: YouTubeServer, tmp_path: Path) -> Settings:
    secret = tmp_path / "client-secret"
    secret.write_text("client-secret-1\n")
    return Settings.model_validate(
        {
            **settings.model_dump(),
            "youtube": {
                "client_id": "client-1",
                "client_secret_file": secret,
                "api_url": youtube.url,
                "consent_url": f"{youtube.url}/consent",
                "token_url": f"{youtube.url}/token",
                "revoke_url": f"{youtube.url}/revoke",
                "chunk_kib": PIECE // 1024,
                "timeout_s": 5,
            },
        }
    )


Start = Callable[[], Any]


@pytest.fixture
def start(settings: Settings, db: Database, events: EventStore, blobs: BlobStore) -> Start:
    """`async with start() as outgoing:` is the server process as far as publishing goes."""

    @asynccontextmanager
    async def started() -> AsyncIterator[Outgoing]:
        options = PublisherOptions(max_attempts=6, max_sessions=3, first_wait_s=0.01, status_poll_s=0.02)
        built = build_outgoing(settings, db, events, blobs, publisher_options=options, poll_s=0.02)
        async with built:
            yield built

    return started


@pytest.fixture
async def outgoing(start: Start, account: str) -> AsyncIterator[Outgoing]:
    async with start() as started:
        yield started


@pytest.fixture
async def account(settings: Settings, db: Database) -> str:
    """A channel whose tokens the server knows."""
    sealer = Sealer(settings.state_dir.absolute())
    async with db.transaction() as session:
        row = Account(
            channel_id="UC-1",
            title="Nova's channel",
            refresh_token_sealed=sealer.seal("refresh-1"),
            access_token_sealed=sealer.seal("access-1"),
            access_expires_at=utcnow() + timedelta(hours=1),
            connected_by="a test",
        )
        session.add(row)
        await session.flush()
        return row.id


@pytest.fixture(scope="session")
def footage() -> bytes:
    """As large as four pieces and a bit; what is in it does not matter to anybody here."""
    return secrets.token_bytes(VIDEO_BYTES)


@pytest.fixture
async def render(studio_rooms: Any, ask: Any, db: Database, blobs: BlobStore, footage: bytes) -> str:
    """A finished render with video, captions and poster."""
    view = await studio_rooms.renders.create(ask("Hello there, world!"))
    files = {
        "video": (footage, "video/mp4"),
        "vtt": (VTT, "text/vtt"),
        "poster": (PNG, "image/png"),
    }
    stored = {role: await blobs.put_bytes(data) for role, (data, _) in files.items()}
    async with db.transaction() as session:
        row = await session.get(Render, view.id)
        row.state = "done"
        for role, (data, media_type) in files.items():
            session.add(
                RenderOutput(
                    render_id=view.id,
                    role=role,
                    name=f"x.{role}",
                    sha256=stored[role].sha256,
                    bytes=len(data),
                    media_type=media_type,
                )
            )
    return str(view.id)


Until = Callable[..., Awaitable[PublicationView]]


@pytest.fixture
def until() -> Until:
    """Waits for a state, or for a sentence in `waits`."""

    async def wait(outgoing: Outgoing, publication_id: str, *states: str, waits: str = "") -> PublicationView:
        async with asyncio.timeout(60):
            while True:
                view = await outgoing.publishing.get(publication_id)
                if view.state in states and waits in view.waits:
                    return view
                assert not view.ended or view.state in states, view
                await asyncio.sleep(0.01)

    return wait
