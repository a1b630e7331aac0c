"""Wire types of the collection of what is not needed any more."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Doomed(BaseModel):
    """One thing that goes, and why."""

    kind: str = Field(description="render, segment or blob")
    id: str
    bytes: int
    why: str


class Usage(BaseModel):
    """Bytes by kind of holder; a blob that two kinds hold counts for both."""

    stored_bytes: int
    held_bytes: dict[str, int]


class CollectionPlan(BaseModel):
    """`freed_bytes` is what the disk gets back; `over_quota_bytes` is what stays too much even then."""

    made_at: datetime
    items: list[Doomed] = Field(default_factory=list)
    out_files: list[str] = Field(default_factory=list)
    events: int = Field(default=0, description="how many old events go")
    events_before: datetime | None = Field(default=None, description="the moment before which they go")
    stored_bytes: int = 0
    freed_bytes: int = 0
    quota_bytes: int | None = None
    over_quota_bytes: int = 0
    applied: bool = False

    def of(self, kind: str) -> list[str]:
        return [item.id for item in self.items if item.kind == kind]
