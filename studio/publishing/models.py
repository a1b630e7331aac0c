"""Tables of publications, of the accounts they go to, and of the quota they use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class Account(TenantOwned, Base):
    """A YouTube channel that let us in. Its tokens lie sealed; with `revoked_at` they are worth nothing."""

    __tablename__ = "publishing_accounts"
    __table_args__ = (UniqueConstraint("tenant", "channel_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("acc"))
    channel_id: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(String(200), default="")
    refresh_token_sealed: Mapped[str] = mapped_column(Text)
    access_token_sealed: Mapped[str] = mapped_column(Text)
    access_expires_at: Mapped[datetime]
    connected_by: Mapped[str] = mapped_column(String(200))
    connected_at: Mapped[datetime] = mapped_column(default=utcnow)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class PendingConsent(TenantOwned, Base):
    """A consent page that a user was sent to (RFC 8252, RFC 7636). `state_sha256` finds it again."""

    __tablename__ = "publishing_pending_consents"

    state_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    verifier_sealed: Mapped[str] = mapped_column(Text)
    redirect_uri: Mapped[str] = mapped_column(String(500))
    requested_by: Mapped[str] = mapped_column("asked_by", String(200))
    expires_at: Mapped[datetime]


class QuotaDay(Base):
    """Units used on one day of YouTube's calendar."""

    __tablename__ = "publishing_quota_days"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    units: Mapped[int] = mapped_column(default=0)


class Publication(TenantOwned, Base):
    """One video on its way to one channel. `wishes` are a PublishRequest and never change.

    `session_url_sealed` is the upload URL, encrypted, since it grants the upload. `bytes_sent`
    is the most that has arrived. `maybe_whole`: the final chunk was sent, and no answer denied that it came.
    """

    __tablename__ = "publications"
    __table_args__ = (Index("ix_publications_due", "state", "next_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("pub"))
    render_id: Mapped[str | None] = mapped_column(ForeignKey("renders.id", ondelete="SET NULL"), index=True)
    account_id: Mapped[str | None] = mapped_column(
        ForeignKey("publishing_accounts.id", ondelete="SET NULL"), index=True
    )
    state: Mapped[str] = mapped_column(String(20))
    wishes: Mapped[dict[str, Any]] = mapped_column(JSON)
    session_url_sealed: Mapped[str | None] = mapped_column(Text, default=None)
    sessions: Mapped[int] = mapped_column(default=0)
    bytes_sent: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_total: Mapped[int] = mapped_column(BigInteger)
    maybe_whole: Mapped[bool] = mapped_column(default=False)
    uploaded_at: Mapped[datetime | None] = mapped_column(default=None)
    video_id: Mapped[str | None] = mapped_column(String(40), default=None)
    url: Mapped[str | None] = mapped_column(String(200), default=None)
    extras_done: Mapped[list[str]] = mapped_column(JSON, default=list)
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    waits: Mapped[str] = mapped_column(String(400), default="")
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(default=utcnow)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    requested_by: Mapped[str] = mapped_column(String(200), default="")
    trace_id: Mapped[str | None] = mapped_column(String(32), default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
