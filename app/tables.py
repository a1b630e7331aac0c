"""Imports every room's models, so that `Base.metadata` knows all tables; used by migrations and backups."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

from soundstage.database import Base

MODEL_MODULES = (
    "soundstage.events.models",
    "policy.keys.models",
    "policy.audit.models",
    "farm.history.models",
    "farm.transfer.models",
    "studio.models",
    "agent.sessions.models",
    "agent.approvals.models",
    "agent.memory.models",
    "agent.snapshots.models",
    "agent.triggers.models",
    "agent.voice.models",
)


def all_tables() -> MetaData:
    for module in MODEL_MODULES:
        import_module(module)
    return Base.metadata
