"""The liveliness of a speaker: set in a persona's file, carried by each of its scenes to the worker."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from avatar.spec.base import SpecModel

Factor = Annotated[float, Field(ge=0.0, le=2.0)]


class Movement(SpecModel):
    """A manner, and what differs from it. Factors are against people who talk to a camera (1.0).

    Head, brows, eyes and blinks of a motion video are the person's own: there only `mouth` counts.
    """

    manner: Literal["calm", "natural", "lively"] = "natural"
    mouth: Factor | None = Field(default=None, description="how far the lips open")
    head: Factor | None = Field(default=None, description="how far the head turns and sways")
    brow: Factor | None = Field(default=None, description="how far the brows rise on stressed words")
    gaze: Factor | None = Field(default=None, description="how far the eyes wander")
    nods: Factor | None = Field(default=None, description="how far the head nods on stressed words")
    gestures: Factor | None = Field(
        default=None,
        description="how often a drawn character's hands move; 0 leaves those that marks ask for",
    )
    blink_interval_s: float | None = Field(
        default=None, ge=1.0, le=20.0, description="median time between blinks"
    )
