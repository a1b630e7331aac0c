"""Wire types of consents."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from soundstage.moments import within_utc


class ConsentDraft(BaseModel, extra="forbid"):
    """`granted_at` is when the person agreed, not when it is written down here."""

    person: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=1, max_length=2000)
    granted_at: Annotated[datetime | date, AfterValidator(within_utc)]
    evidence: str | None = Field(
        default=None, description="id of an uploaded asset, such as the signed sheet"
    )


class ConsentView(BaseModel):
    id: str
    person: str
    purpose: str
    granted_at: datetime
    evidence_sha256: str | None
    revoked_at: datetime | None
    created_at: datetime


def start_of_day_utc(value: datetime | date) -> datetime:
    """Returns a date as its first moment in UTC, and a time without a zone as UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time.min, UTC)
