"""Fixtures of the agent's tests: real services over a real database, without a worker that takes renders."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.understanding import Grammar
from agent.understanding.reader import Reader
from agent.understanding.trained import load_reader
from app.composition import Services, open_services
from soundstage.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from approval_stage import Stage, staged
from database_templates import database_templates  # noqa: F401
from model_talk import Talking, talking_with
from table_templates import CreateTables

NOVA = """
id: nova
name: Nova
face: {kind: rig, character: nova}
"""


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The reader as the installation trains it."""
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    return reader


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    return Grammar.load()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "nova.yaml").write_text(NOVA)
    return Settings(state_dir=tmp_path / "state", out_dir=tmp_path / "out", personas_dir=personas)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as created:
        yield created


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, create_tables: CreateTables) -> AsyncIterator[Stage]:
    async with staged(database_url, tmp_path, create_tables=create_tables) as created:
        yield created


@pytest.fixture
def talking(settings: Settings) -> Talking:
    return talking_with(settings)
