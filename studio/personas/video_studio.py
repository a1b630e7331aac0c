"""The wire shape of the older video studio: a script, a style and a wished duration in; a job out."""

from __future__ import annotations

from avatar.spec import Background, ColourBackground
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import BaseModel, ConfigDict, Field

from soundstage.errors import Invalid
from studio.personas.schemas import Persona
from studio.renders.schemas import OutputView, RenderRequest, RenderView

SLOWEST_WPM, FASTEST_WPM = 110, 230

STYLES: dict[str, Background | None] = {
    "default": None,
    "studio": ColourBackground(colour="#1b2733", to_colour="#0d1218"),
    "light": ColourBackground(colour="#f4f1ea", to_colour="#d8d2c4"),
    "dark": ColourBackground(colour="#101418"),
}


class StudioOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    script: str = Field(max_length=MAX_SCRIPT_CHARS)
    style: str = "default"
    duration: float | None = Field(default=None, gt=0, le=7200, description="wished length in seconds")


class StudioJob(BaseModel):
    """`status` is the state of the render; `progress` runs from 0 to 1."""

    jobId: str  # noqa: N815 - the wire format of the older system
    status: str
    progress: float
    error: str | None = None
    result: list[OutputView] | None = None


def request_of(persona: Persona, order: StudioOrder) -> RenderRequest:
    if order.style not in STYLES:
        raise Invalid(
            "persona.unknown_style", f"There is no style {order.style!r}.", f"There are: {', '.join(STYLES)}."
        )
    return RenderRequest(
        script=order.script,
        persona=persona.id,
        background=STYLES[order.style],
        rate_wpm=_rate(order.script, order.duration),
    )


def job_of(view: RenderView, *, with_result: bool = False) -> StudioJob:
    return StudioJob(
        jobId=view.id,
        status=view.state,
        progress=round(view.progress.fraction, 3),
        error=view.error.message if view.error else None,
        result=view.outputs if with_result else None,
    )


def _rate(script: str, duration_s: float | None) -> int | None:
    """Words per minute that fill the wished time, within what still sounds like a person."""
    if duration_s is None:
        return None
    # Bounded before it is rounded: for the shortest times there are it is infinite.
    wished = min(float(FASTEST_WPM), len(script.split()) * 60 / duration_s)
    return max(SLOWEST_WPM, round(wished))
