"""Wire types of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from avatar.spec import Canvas, Music, Output, RenderSpec
from pydantic import BaseModel, Field

from soundstage.one_line import OneLine
from studio.tags import Tags

TITLE_CHARS = 200
SLUG = r"^[a-z0-9][a-z0-9-]{0,78}$"


class Look(BaseModel, extra="forbid"):
    """Settings that all scenes of a project share. Stored as JSON in one column."""

    persona: str = Field(default="nova", max_length=80)
    canvas: Canvas = Canvas()
    output: Output = Output()
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    pronunciation: dict[str, str] = Field(default_factory=dict, max_length=2000)
    brand: str | None = Field(default=None, max_length=80, description="id or name of a brand kit")
    music: Music | None = Field(default=None, description="under the film, instead of the brand kit's")


class ProjectDraft(Look):
    """Request for a new project. Without a slug one is derived from the title."""

    title: OneLine = Field(min_length=1, max_length=TITLE_CHARS)
    slug: str | None = Field(default=None, pattern=SLUG)
    subtitle: OneLine = Field(default="", max_length=400)
    description: str = Field(default="", max_length=20_000)
    tags: Tags = Field(default_factory=list, description="to find it by")


class ProjectCopy(BaseModel, extra="forbid"):
    """Without a title the copy of “Tides” is “Tides (copy)”, or the first of “Tides (copy 2)”, … that is
    free.
    """

    title: OneLine | None = Field(default=None, min_length=1, max_length=TITLE_CHARS)


class ProjectChange(BaseModel, extra="forbid"):
    """Only what is given changes."""

    title: OneLine | None = Field(default=None, min_length=1, max_length=TITLE_CHARS)
    slug: str | None = Field(default=None, pattern=SLUG)
    subtitle: OneLine | None = Field(default=None, max_length=400)
    description: str | None = Field(default=None, max_length=20_000)
    tags: Tags | None = Field(default=None, description="all tags that it has from now on")
    persona: str | None = Field(default=None, max_length=80)
    canvas: Canvas | None = None
    output: Output | None = None
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    pronunciation: dict[str, str] | None = Field(default=None, max_length=2000)
    brand: str | None = Field(
        default=None, max_length=80, description="id or name of a brand kit; null takes it away"
    )
    music: Music | None = Field(default=None, description="under the film; null takes it away")


class ProjectView(Look):
    """`trashed_at`: since when it is in the trash; None for one that is not. `revision` grows with every
    change of the project and its scenes.
    """

    id: str
    slug: str
    title: str
    subtitle: str
    description: str
    tags: list[str] = []
    revision: int = 1
    trashed_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class ProjectSummary(ProjectView):
    """A project in a list. `picture` is of its latest finished video, of which `duration_ms` is the length
    and `video_at` when it was ordered; None without one.
    """

    scenes_total: int = 0
    personas: list[str] = Field(
        default=[], description="who speaks, in the order of the scenes; without scenes the project's"
    )
    picture: str | None = None
    duration_ms: int | None = None
    video_at: datetime | None = None


class VersionView(BaseModel):
    number: int
    note: str
    content_hash: str
    created_at: datetime


class VersionDetail(VersionView):
    content: dict[str, Any]
    spec: RenderSpec | None
