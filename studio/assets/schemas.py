"""Wire types of assets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from soundstage.database.storable import why_unstorable
from soundstage.errors import Invalid
from soundstage.one_line import OneLine
from studio.renders.states import RenderState
from studio.tags import Tags


def _storable(value: Any) -> Any:
    if (why := why_unstorable(value)) is not None:
        # It names the field's own code wherever labels come from: form, query, tus, JSON, tool.
        raise Invalid("asset.bad_labels", f"The labels cannot be used: {why}.", "Correct them.")
    return value


class AssetKind(StrEnum):
    """The first five are made on the way to a video; the others are what people upload."""

    AVATAR_IMAGE = "avatar_image"
    AVATAR_VIDEO = "avatar_video"
    TTS_AUDIO = "tts_audio"
    SCREEN_CAPTURE = "screen_capture"
    COMPOSITED_SCENE = "composited_scene"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    MOTION = "motion"
    MODEL = "model"


class AssetLabels(BaseModel, extra="forbid"):
    """Labels of a file. `kind` None takes image, video, audio, motion or model by its bytes."""

    kind: AssetKind | None = None
    name: OneLine | None = Field(default=None, max_length=255)
    project: Annotated[str | None, AfterValidator(_storable)] = Field(
        default=None, max_length=80, description="id or slug"
    )
    duration_ms: int | None = Field(default=None, ge=0)
    tags: Tags = Field(default_factory=list, description="to find it by; a form has commas between")
    metadata: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(default_factory=dict)


class AssetDraft(AssetLabels):
    """An asset from a blob that is stored already."""

    sha256: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class AssetChange(AssetLabels):
    """Only what is given changes; the bytes never do."""


class AssetView(BaseModel):
    """`path` is where the bytes lie below the blob folder; `url` is where to get them. `picture`: the address
    of a small picture, to which `&width=` may be added; None for what has none.
    """

    id: str
    project_id: str | None
    kind: AssetKind
    name: str
    path: str
    url: str
    picture: str | None
    sha256: str
    bytes: int
    media_type: str
    duration_ms: int | None
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class TagCount(BaseModel):
    """A tag and how many assets have it."""

    tag: str
    assets: int


class ProjectUse(BaseModel):
    """`scenes`: ids of the scenes that use the file; `versions`: how many kept versions do."""

    id: str
    slug: str
    title: str
    scenes: list[str]
    versions: int


class RenderUse(BaseModel):
    id: str
    title: str
    state: RenderState


class AssetUses(BaseModel):
    """Lists users of the bytes of an asset; None for what the client may not read.
    `renders` are the newest ones of `renders_total`.
    """

    projects: list[ProjectUse] | None
    renders: list[RenderUse] | None
    renders_total: int | None
    personas: list[str] | None
    brands: list[str] | None = Field(default=None, description="names")
