"""Tables of renders, their outputs, and the segments they share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class Render(TenantOwned, Base):
    """One video that was asked for. `spec` never changes; the rest tells how far it has come."""

    __tablename__ = "renders"
    __table_args__ = (Index("ix_renders_queue", "state", "priority", "created_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("rnd"))
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    spec_hash: Mapped[str] = mapped_column(String(71), index=True)
    scene_id: Mapped[str | None] = mapped_column(String(64), default=None)
    personas: Mapped[list[str]] = mapped_column(JSON, default=list)
    project_id: Mapped[str | None] = mapped_column(
        ForeignKey("projects.id", ondelete="SET NULL"), index=True, default=None
    )
    project_version: Mapped[int | None] = mapped_column(default=None)
    priority: Mapped[int] = mapped_column(default=0)
    requested_by: Mapped[str] = mapped_column(String(200), default="")
    trace_id: Mapped[str | None] = mapped_column(String(32), default=None)
    parent_span_id: Mapped[str | None] = mapped_column(String(16), default=None)
    """The span of the request in that trace, where one was recorded."""
    attempt: Mapped[int] = mapped_column(default=1)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    ready_by: Mapped[datetime | None] = mapped_column(default=None)
    forecast: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    waits: Mapped[str] = mapped_column(String(400), default="")
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    lost_face_frames: Mapped[list[list[int]]] = mapped_column(JSON, default=list)
    duration_ms: Mapped[int | None] = mapped_column(default=None)
    worker_log: Mapped[str] = mapped_column(default="")
    out_files: Mapped[list[str]] = mapped_column(JSON, default=list)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    trashed_at: Mapped[datetime | None] = mapped_column(index=True, default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class RenderOutput(TenantOwned, Base):
    """A finished file, by role: video, vtt, srt, poster, provenance."""

    __tablename__ = "render_outputs"

    render_id: Mapped[str] = mapped_column(ForeignKey("renders.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(71))
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))

    @property
    def url(self) -> str:
        """Returns the path of the file in the API."""
        return f"/api/renders/{self.render_id}/files/{self.role}"


class Segment(TenantOwned, Base):
    """One scene, made once: `key` is the scene's content hash and the worker's version."""

    __tablename__ = "segments"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    used_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


class RenderSegment(TenantOwned, Base):
    """A segment of a render, in order. `reused`: it was in the cache."""

    __tablename__ = "render_segments"

    render_id: Mapped[str] = mapped_column(ForeignKey("renders.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    scene_id: Mapped[str] = mapped_column(String(64))
    segment_key: Mapped[str] = mapped_column(String(120), index=True)
    reused: Mapped[bool | None] = mapped_column(default=None)
