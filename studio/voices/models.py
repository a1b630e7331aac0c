"""The table of cloned voices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class ClonedVoice(TenantOwned, Base):
    """A voice at a speech service, made from a person's sample. A removed one stays without sample and words,
    so that what still names it is told why it does not speak.
    """

    __tablename__ = "cloned_voices"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("voc"))
    name: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(10))
    base_url: Mapped[str] = mapped_column(String(500))
    service: Mapped[str] = mapped_column(String(500), index=True)
    api_key_env: Mapped[str | None] = mapped_column(String(128), default=None)
    model: Mapped[str] = mapped_column(String(200), default="")
    voice_id: Mapped[str] = mapped_column(String(200))
    said: Mapped[str] = mapped_column(Text)
    consent_id: Mapped[str] = mapped_column(String(40), index=True)
    own_consent: Mapped[bool]
    sample_sha256: Mapped[str | None] = mapped_column(String(71), default=None)
    sample_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    duration_ms: Mapped[int | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    removed_at: Mapped[datetime | None] = mapped_column(default=None)
