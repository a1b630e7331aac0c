"""A real database, event store and blob store per test."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.telemetry import configure_logging

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from table_templates import CreateTables

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[io.StringIO]:
    """The log of a test, as JSON lines; what is logged is rendered for real, and fast."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    lines = io.StringIO()
    configure_logging("info", "json", lines)
    yield lines
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.fixture
async def db(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    database = Database(database_url)
    await create_tables(database)
    yield database
    await database.close()


@pytest.fixture
def events(db: Database) -> EventStore:
    return EventStore(db, poll_s=0.05)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore.open(tmp_path / "blobs")


@pytest.fixture
def programs() -> Path:
    """Small programs that tests start as processes of their own."""
    return PROGRAMS
