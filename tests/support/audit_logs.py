"""The audit log of an installation, as the composition makes it."""

from __future__ import annotations

from policy.audit import AuditLog
from policy.audit.head import HeadFile
from soundstage.database import Database
from soundstage.settings import Settings


def audit_of(db: Database, settings: Settings) -> AuditLog:
    return AuditLog(db, HeadFile(settings.state_dir))
