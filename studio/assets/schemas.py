"""Wire types of assets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from soundstage.one_line import OneLine


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


class AssetLabels(BaseModel):
    """What is said about a file. `kind` None takes image, video, audio or motion by its bytes."""

    model_config = ConfigDict(extra="forbid")

    kind: AssetKind | None = None
    name: OneLine | None = Field(default=None, max_length=255)
    project: str | None = Field(default=None, max_length=80, description="id or slug")
    duration_ms: int | None = Field(default=None, ge=0)
    metadata: dict[str, Any] = Field(default_factory=dict)


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
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
