"""The tool that writes down what is said in a recording, and makes captions of it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agent.presentation import Blocks, page
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import FINISHED, video_of
from agent.vision import not_found
from soundstage.errors import NotFound
from soundstage.one_line import shorten
from soundstage.paging import PageRequest
from soundstage.views import read_view
from studio.assets.repository import AssetFilter
from studio.assets.schemas import AssetKind

LATEST = "latest"
RECORDINGS = (AssetKind.AUDIO, AssetKind.VIDEO, AssetKind.AVATAR_VIDEO, AssetKind.SCREEN_CAPTURE)
UNSURE = 0.5
SHOWN_CHARS = 2000


class Transcribe(ToolRequest):
    recording: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="An uploaded sound or video: its id, its sha256:…, “latest”.",
    )
    video: str | None = Field(
        default=None,
        max_length=80,
        description="A video made here: an id, the end of one, “latest”, “finished”.",
    )
    captions: Literal["vtt", "srt"] | None = Field(
        default=None, description="Captions instead of the text: WebVTT or SubRip."
    )
    language: str = Field(default="", max_length=12, description="The language spoken, such as en.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.recording is None) == (self.video is None):
            raise ValueError("name a recording or a video, one of both")
        return self


class TranscribedRecording(ToolResult):
    """The speech of a recording: data, no statement of ours."""

    name: str
    text: str
    seconds: float
    language: str
    confidence: float
    recogniser: str
    unsure: tuple[str, ...] = ()
    captions: str | None = None

    def presentation(self) -> Blocks:
        if not self.text:
            return page(f"{self.name}: no words in {self.seconds:g} s of sound.")
        unsure = f"Words that are not sure: {', '.join(self.unsure)}." if self.unsure else ""
        content = self.text if self.captions is None else self.captions
        shown = shorten(content, SHOWN_CHARS)
        return page(
            f"{self.name}, {self.seconds:g} s, recognised by {self.recogniser}:",
            shown if self.captions is not None else f"“{shown}”",
            unsure,
        )


@tool(Act("read", "asset:transcribe", label="Transcribe recording"))
async def transcribe(context: ToolContext, request: Transcribe) -> TranscribedRecording:
    """Write down what is said in a recording or video, with times, or make captions of it."""
    name, sha256, subject = await _stored(context, request)
    found = await context.services.transcription.transcribe(
        context.principal, sha256, subject, request.language
    )
    unsure = dict.fromkeys(word.text for word in found.words if word.confidence < UNSURE)
    return read_view(
        TranscribedRecording,
        found,
        name=name,
        seconds=round(found.duration_ms / 1000, 1),
        unsure=tuple(unsure)[:20],
        captions={"vtt": found.vtt, "srt": found.srt}[request.captions] if request.captions else None,
    )


async def _stored(context: ToolContext, request: Transcribe) -> tuple[str, str, str]:
    """Returns name, hash and id of the file."""
    services = context.services
    if request.recording is None:
        view, sha256 = await video_of(context, request.video or FINISHED)
        return f"“{view.title}”", sha256, view.id
    if request.recording.startswith("sha256:"):
        if not await services.studio.assets.may_see(context.principal, request.recording):
            raise not_found()
        return "The recording", request.recording, request.recording
    if request.recording == LATEST:
        newest = await services.studio.assets.find_page(AssetFilter(kinds=RECORDINGS), PageRequest(1))
        if not newest.items:
            raise NotFound(
                "transcription.no_recording", "No sound or video was uploaded yet.", "Upload one first."
            )
        asset = newest.items[0]
    else:
        asset = await services.studio.assets.get(request.recording)
    return asset.name or asset.id, asset.sha256, asset.id
