"""Wire types of publishing, with YouTube's own limits, so that a mistake is seen before a byte travels."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from avatar.spec import Failed
from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from soundstage.moments import Moment
from studio.publishing.states import TERMINAL, PublicationState

# developers.google.com/youtube/v3/docs/videos
TITLE_CHARS = 100
DESCRIPTION_BYTES = 5000
TAGS_CHARS = 500
MIN_REASON_CHARS = 10

Privacy = Literal["private", "unlisted", "public"]


def _no_angles(text: str) -> str:
    if "<" in text or ">" in text:
        raise ValueError("YouTube takes no < and > here")
    return text


def _short_enough(text: str) -> str:
    if (size := len(text.encode())) > DESCRIPTION_BYTES:
        raise ValueError(f"YouTube takes at most {DESCRIPTION_BYTES} bytes; this has {size}")
    return text


def _few_enough(tags: list[str]) -> list[str]:
    # A tag with a space is counted with the quotes that YouTube puts around it, and commas stand in between.
    size = sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(0, len(tags) - 1)
    if size > TAGS_CHARS:
        raise ValueError(f"YouTube takes at most {TAGS_CHARS} characters of tags; these have {size}")
    return tags


PlainText = Annotated[str, AfterValidator(_no_angles)]
Tag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_no_angles)]


class PublishRequest(BaseModel, extra="forbid"):
    """Metadata of a publication. Defaults are the careful choice: the video stays private."""

    account: str | None = Field(default=None, max_length=40, description="empty: the only one there is")
    title: PlainText | None = Field(
        default=None, min_length=1, max_length=TITLE_CHARS, description="empty: that of the render"
    )
    description: Annotated[PlainText, AfterValidator(_short_enough)] = ""
    tags: Annotated[list[Tag], AfterValidator(_few_enough)] = []
    category: str = Field(default="22", pattern=r"^\d{1,3}$", description="YouTube's number of the category")
    language: str | None = Field(default=None, max_length=35, description="BCP 47; empty: not stated")
    privacy: Privacy = "private"
    publish_at: Moment | None = Field(
        default=None, description="YouTube makes it public then; needs privacy `private`"
    )
    made_for_kids: bool = False
    synthetic: bool = Field(default=True, description="tell viewers that it is altered or synthetic")
    synthetic_reason: str = Field(
        default="",
        max_length=500,
        validate_default=True,
        description="why viewers need not be told; wanted with `synthetic: false`",
    )
    notify_subscribers: bool = False
    captions: bool = Field(default=True, description="upload the captions, where the render has some")
    thumbnail: bool = Field(default=True, description="use the poster as thumbnail")
    again: bool = Field(default=False, description="publish it although this channel has it already")

    # Of a field, not of the whole: the refusal names the field.
    @field_validator("publish_at")
    @classmethod
    def _private_until_then(cls, value: Moment | None, info: ValidationInfo) -> Moment | None:
        if value is not None and info.data.get("privacy", "private") != "private":
            raise ValueError("`publish_at` needs privacy `private`; YouTube makes it public at that time")
        return value

    @field_validator("synthetic_reason")
    @classmethod
    def _reason_unless_labelled(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("synthetic", True) and len(value.strip()) < MIN_REASON_CHARS:
            needs = f"needs a `synthetic_reason` of at least {MIN_REASON_CHARS} characters"
            raise ValueError(f"`synthetic: false` {needs}")
        return value


class UploadRequest(PublishRequest):
    render: str = Field(min_length=1, max_length=80, description="id of a finished render")


class PublicationPlan(BaseModel):
    """A publication as it would be sent, to the letter, and its channel."""

    render_id: str
    account_id: str
    channel_id: str
    channel: str
    video: dict[str, Any]
    notify_subscribers: bool
    bytes: int
    captions: bool
    thumbnail: bool
    quota_units: int
    quota_left: int


class PublicationView(BaseModel):
    """`waits` says in one sentence why it does not move now; `url` is there as soon as YouTube has it."""

    id: str
    render_id: str | None
    account_id: str | None
    state: PublicationState
    wishes: PublishRequest
    bytes_sent: int
    bytes_total: int
    video_id: str | None
    url: str | None
    waits: str
    warnings: list[str]
    error: Failed | None
    cancel_requested: bool
    requested_by: str
    trace_id: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL


class AccountView(BaseModel):
    """A channel that let us in. `usable` False: connect it again."""

    id: str
    channel_id: str
    title: str
    usable: bool
    connected_by: str
    connected_at: datetime


class ConsentPage(BaseModel):
    """Address of the page where the owner of the channel consents; valid for ten minutes."""

    url: str


class QuotaView(BaseModel):
    day: str
    used: int
    limit: int
    resets_at: datetime
