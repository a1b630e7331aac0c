"""The base of this room's tables, and the metadata of its own database; read by migrations and tests.

The studio's database must not get these tables, nor this one the studio's: so the base is another one.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any, ClassVar

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from soundstage.database import Base, UtcDateTime

MODEL_MODULES = (
    "soundstage.events.models",
    "policy.keys.models",
    "provisioning_api.announcements.models",
    "provisioning_api.audit.models",
    "provisioning_api.enrolment.models",
    "provisioning_api.healing.models",
    "provisioning_api.machines.models",
    "provisioning_api.rules.models",
    "provisioning_api.runs.models",
    "provisioning_api.timeline.models",
)
# What both databases have, because each process keeps its own events and keys.
SHARED_TABLES = ("events", "event_streams", "api_keys", "ended_logins")


class ProvisioningBase(DeclarativeBase):
    """The base of every table of this room."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}


def provisioning_tables() -> MetaData:
    """All tables of the provisioning database."""
    for module in MODEL_MODULES:
        import_module(module)
    joined = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in (
        *(Base.metadata.tables[name] for name in SHARED_TABLES),
        *ProvisioningBase.metadata.sorted_tables,
    ):
        table.to_metadata(joined)
    return joined
