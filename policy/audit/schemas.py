"""Wire types of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class AuditLineOut(BaseModel, from_attributes=True):
    """One line as people and programs read it."""

    number: int
    at: datetime
    kind: str
    actor: str
    subject: str
    trace_id: str | None
    session_id: str | None
    data: dict[str, Any]
    sha256: str


class AuditVerdict(BaseModel):
    """`broken_at`: the first line that does not fit, with code and reason; None when all fit."""

    lines: int
    broken_at: int | None = None
    code: str = ""
    reason: str = ""


class AuditHead(BaseModel):
    """The end of the chain, to be kept somewhere else: `verify` compares the log with it later."""

    number: int
    sha256: str
    at: datetime


class AuditTrail(BaseModel):
    """All that has to do with one id, oldest first."""

    id: str
    lines: list[AuditLineOut]
