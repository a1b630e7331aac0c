"""The tool that says what a picture or a video shows: measured, and described by a model that can see."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Self

from avatar.spec import ColourShare, FaceBox
from pydantic import Field, field_validator, model_validator

from agent.colours import nearest_colour
from agent.presentation import Blocks, page
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import FINISHED, video_of
from agent.tools.services import ToolServices
from agent.vision import ImageDescription, not_found
from soundstage.errors import Forbidden

BLURRED, SOFT = 0.2, 0.4
DARK, BRIGHT = 0.18, 0.82
MUCH = 0.25
PLAIN = 0.04
NAMED_COLOURS = 3
LONGEST_S = 24 * 3600.0
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)")
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*(?:s|sec|seconds?)?")
_MINUTES = re.compile(r"(\d{1,4}(?:\.\d+)?)\s*(?:m|min|minutes?)")
_WORDS = {"the start": 0.0, "start": 0.0, "the beginning": 0.0, "beginning": 0.0}
_END = frozenset({"the end", "end", "the last frame", "its end"})


class LookAt(ToolRequest):
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="A stored picture or video: the id of an upload, its sha256:…, or a path.",
    )
    video: str | None = Field(
        default=None,
        max_length=80,
        description="A video made here: an id, the end of one, “latest”, “finished”.",
    )
    at_s: float | None = Field(
        default=None, ge=0, le=LONGEST_S, description="The moment of a video: 3, 3 s, 1:05, the end."
    )
    question: str | None = Field(
        default=None, max_length=500, description="What to look for; a model that sees answers it."
    )
    ask_model: bool = Field(
        default=False,
        description="Whether a model on another machine may be sent the picture to describe it.",
    )

    @field_validator("at_s", mode="before")
    @classmethod
    def _moment(cls, value: object) -> object:
        return _seconds(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.image is None) == (self.video is None):
            raise ValueError("name a picture or a video, one of both")
        return self


class Sighting(ToolResult):
    """Measures of a picture. `model_says` is the text of a model: data, no statement of ours."""

    name: str
    width: int
    height: int
    at_s: float | None = None
    faces: tuple[FaceBox, ...] | None = None
    sharpness: float
    brightness: float
    contrast: float
    underexposed: float
    overexposed: float
    colours: tuple[ColourShare, ...] = ()
    notes: tuple[str, ...] = ()
    model: str | None = None
    model_says: str | None = None

    @classmethod
    def of(cls, name: str, seen: ImageDescription) -> Sighting:
        measures = seen.measurements
        return cls(
            name=name,
            at_s=None if measures.at_ms is None else measures.at_ms / 1000,
            notes=tuple(notice.message for notice in seen.notices),
            model=seen.model,
            model_says=seen.text,
            **measures.model_dump(exclude={"at_ms"}),
        )

    def presentation(self) -> Blocks:
        moment = "" if self.at_s is None else f" at {self.at_s:g} s"
        return page(
            f"{self.name}{moment}: {self.width} × {self.height} pixels, {self._faces()}.",
            f"It is {self._sharp()} and {self._light()}.{self._colours()}",
            *self.notes,
            f"The model {self.model} says of it: “{self.model_says}”" if self.model_says else "",
        )

    def _faces(self) -> str:
        if self.faces is None:
            return "faces were not looked for"
        if not self.faces:
            return "no face"
        parts = [f"{self._place(face)} ({self._part(face):.0%} of the height)" for face in self.faces[:5]]
        count = "one face" if len(self.faces) == 1 else f"{len(self.faces)} faces"
        return f"{count}: {', '.join(parts)}" + (", …" if len(self.faces) > 5 else "")

    def _place(self, face: FaceBox) -> str:
        across = (face.left + face.width / 2) / max(1, self.width)
        down = (face.top + face.height / 2) / max(1, self.height)
        row = "top" if down < 1 / 3 else "bottom" if down > 2 / 3 else ""
        column = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
        return " ".join(part for part in (row, column) if part) or "in the middle"

    def _part(self, face: FaceBox) -> float:
        return face.height / max(1, self.height)

    def _sharp(self) -> str:
        if self.contrast < PLAIN:
            return "one plain area"
        return (
            "blurred" if self.sharpness < BLURRED else "a little soft" if self.sharpness < SOFT else "sharp"
        )

    def _light(self) -> str:
        if self.overexposed > MUCH or self.brightness > BRIGHT:
            return "very bright"
        if self.underexposed > MUCH or self.brightness < DARK:
            return "very dark"
        return "well lit"

    def _colours(self) -> str:
        shares: dict[str, float] = {}
        for one in self.colours:
            name = nearest_colour(one.colour)
            shares[name] = shares.get(name, 0.0) + one.share
        named = sorted(shares.items(), key=lambda entry: -entry[1])[:NAMED_COLOURS]
        parts = ", ".join(f"{name} {share:.0%}" for name, share in named)
        return f" Mostly {parts}." if parts else ""


def _sends(services: ToolServices, request: LookAt) -> bool:
    return services.image_descriptions.would_send(request.question, ask_model=request.ask_model)


@tool(
    Act("read", "asset:read", label="Look at picture", at_most={"question": 500}, files=("image",)),
    reveals=True,
    sends=_sends,
)
async def vision(context: ToolContext, request: LookAt) -> Sighting:
    """Say what a picture, or a frame of a video, shows: faces, size, sharpness, light, colours."""
    name, sha256 = await _stored(context, request)
    at_ms = round((request.at_s or 0) * 1000)
    seen = await context.services.image_descriptions.look(
        sha256, at_ms, request.question, ask_model=request.ask_model
    )
    return Sighting.of(name, seen)


async def _stored(context: ToolContext, request: LookAt) -> tuple[str, str]:
    """Returns the name of the file and its hash. Paths are for people at this machine's prompt only."""
    if request.image is None:
        view, sha256 = await video_of(context, request.video or FINISHED)
        return f"“{view.title}”", sha256
    if request.image.startswith("sha256:"):
        if not await context.studio.assets.may_see(context.principal, request.image):
            raise not_found()
        return "The picture", request.image
    if request.image.startswith("ast_"):
        asset = await context.studio.assets.get(request.image)
        return asset.name or asset.id, asset.sha256
    if not context.local_files:
        raise Forbidden(
            "vision.path_not_allowed",
            "A path on the server cannot be used from here.",
            "`soundstage ask` uploads it; elsewhere upload the picture first and name its id.",
        )
    path = await asyncio.to_thread(Path(request.image).expanduser)
    return path.name, await context.services.image_descriptions.take(path)


def _seconds(text: str) -> float:
    """`3`, `3 s`, `1:05`, `2 minutes`, `the end` as seconds; ValueError for anything else."""
    words = " ".join(text.lower().split())
    if words in _WORDS:
        return _WORDS[words]
    if words in _END:
        return LONGEST_S
    if match := _CLOCK.fullmatch(words):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    if match := _MINUTES.fullmatch(words):
        return float(match.group(1)) * 60
    if match := _SECONDS.fullmatch(words):
        return float(match.group(1))
    raise ValueError(f"{text[:40]!r} is no moment; say “3 s” or “1:05”")
