"""Tables of approvals and of the votes on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, UtcDateTime


class Approval(Base):
    """One paused tool call, bound to its arguments, plan, requester and expiry."""

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(20), index=True)
    tool: Mapped[str] = mapped_column(String(64))
    permission: Mapped[str] = mapped_column(String(80))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    plan_sha256: Mapped[str] = mapped_column(String(64))
    why: Mapped[str] = mapped_column(Text)
    approvers: Mapped[int]
    requester_id: Mapped[str] = mapped_column(String(80))
    requester_name: Mapped[str] = mapped_column(String(100))
    requester_kind: Mapped[str] = mapped_column(String(20))
    requester_role: Mapped[str] = mapped_column(String(40), server_default="viewer")
    """The role of a requester without a key; one with a key has its permissions at run time."""
    tenant: Mapped[str] = mapped_column(String(80))
    session_id: Mapped[str] = mapped_column(String(40), index=True)
    trace_id: Mapped[str | None] = mapped_column(String(64))
    last_render_id: Mapped[str | None] = mapped_column(String(40))
    last_project_id: Mapped[str | None] = mapped_column(String(40))
    local_files: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    alive_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(Text, default="")


class ApprovalVote(Base):
    """One vote; each person has one."""

    __tablename__ = "approval_votes"

    approval_id: Mapped[str] = mapped_column(ForeignKey("approvals.id", ondelete="CASCADE"), primary_key=True)
    person: Mapped[str] = mapped_column(String(80), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    agrees: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UtcDateTime)
