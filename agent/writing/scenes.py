"""Scripts in scenes; used by their author and by the tools of scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from avatar.spec import is_spoken
from pydantic import AfterValidator, BaseModel, Field

from agent.colours import parse_colour
from soundstage.one_line import OneLine
from studio.scenes.dividing import MAX_SCENES, SCENE_TITLE_CHARS, PlannedScene

HEADING_CHARS = 80
WRITTEN_SCENE_CHARS = 4000
"""Of a scene that a model writes: about four minutes of speech."""
SCENES_OF_A_TOPIC = 3
"""The number of scenes when none is requested."""


def _spoken(text: str) -> str:
    if not is_spoken(text):
        raise ValueError("there is nothing to say in it; write at least one word")
    return text.strip()


def _colour(text: str | None) -> str | None:
    return None if text is None else parse_colour(text)


class WrittenScene(BaseModel, extra="forbid"):
    """One scene as a model writes it."""

    title: OneLine = Field(min_length=1, max_length=SCENE_TITLE_CHARS, description="A few words, not spoken.")
    script: Annotated[str, AfterValidator(_spoken)] = Field(
        min_length=1, max_length=WRITTEN_SCENE_CHARS, description="What is spoken, word for word."
    )
    heading: OneLine = Field(
        default="", max_length=HEADING_CHARS, description="Shown in the picture; leave it out for none."
    )
    background: Annotated[str | None, AfterValidator(_colour)] = Field(
        default=None, description="A plain colour such as navy or #1b2733; leave it out for the usual one."
    )


class WrittenScript(BaseModel, extra="forbid"):
    """A whole script as a model writes it."""

    title: OneLine = Field(min_length=1, max_length=120, description="How the video is called.")
    scenes: tuple[WrittenScene, ...] = Field(min_length=1, max_length=MAX_SCENES)

    def scene_plan(self) -> tuple[PlannedScene, ...]:
        return tuple(
            PlannedScene(title=one.title, script=one.script, heading=one.heading, background=one.background)
            for one in self.scenes
        )


@dataclass(frozen=True, slots=True)
class ScriptBrief:
    """The request for a script. `seconds` is the length of one spoken scene."""

    topic: str
    scenes: int = SCENES_OF_A_TOPIC
    seconds: int = 15
    speaker: str = ""
    language: str = "en-us"
