"""The wire shape of the older video studio: a script, a style and a wished duration in; a job out."""

from __future__ import annotations

from avatar.spec import Background, ColourBackground, RenderSpec
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import BaseModel, Field

from soundstage.errors import Invalid
from studio.personas.schemas import Persona
from studio.renders.schemas import OutputView, RenderDetail, RenderRequest, RenderView
from studio.scenes.speaking_time import speaking_ms

FASTEST, SLOWEST = 1.7, 0.5
"""Of the time that a script is estimated to take. Farther than the worker goes (1.35, 0.75), because the
estimate is off by up to a quarter: beyond these it is certain that the length will be missed."""
TOLERANCE_MS, TOLERANCE = 300, 0.03
"""What the worker keeps to, and the frames of the joints."""


_LOOKS: tuple[tuple[Background | None, tuple[str, ...]], ...] = (
    # The persona's own background.
    (None, ("default", "natural", "realistic", "casual", "vlog", "ugc")),
    (
        ColourBackground(colour="#1b2733", to_colour="#0d1218"),
        ("studio", "professional", "corporate", "business", "news", "presentation", "interview"),
    ),
    (
        ColourBackground(colour="#20242c", to_colour="#050608"),
        ("cinematic", "dramatic", "film", "documentary", "luxury"),
    ),
    (ColourBackground(colour="#101418"), ("dark", "noir", "tech")),
    (
        ColourBackground(colour="#f4f1ea", to_colour="#d8d2c4"),
        ("light", "bright", "clean", "minimal", "minimalist", "educational", "tutorial", "explainer"),
    ),
    (ColourBackground(colour="#4a3527", to_colour="#1f1611"), ("warm", "storytelling", "friendly")),
)
BACKGROUNDS = {style: background for background, styles in _LOOKS for style in styles}
"""docs/guide/personas.md shows this table; a test holds the two together."""


def background_of(style: str) -> Background | None:
    """The background of a style, in any case of letters. Raises Invalid `persona.unknown_style`."""
    name = style.strip().lower()
    if name not in BACKGROUNDS:
        raise Invalid(
            "persona.unknown_style",
            f"There is no style {style[:80]!r}.",
            f"There are: {', '.join(BACKGROUNDS)}.",
        )
    return BACKGROUNDS[name]


class StudioOrder(BaseModel, extra="forbid"):
    script: str = Field(max_length=MAX_SCRIPT_CHARS)
    style: str = Field(default="default", max_length=80, description="a name of the table in the guide")
    duration: float | None = Field(default=None, gt=0, le=7200, description="wished length in seconds")


class StudioNotice(BaseModel):
    """`video.duration_out_of_reach` is told with the job, `video.duration_missed` when it is done."""

    code: str
    message: str


class StudioJob(BaseModel):
    """`status` is the state of the render; `progress` runs from 0 to 1. `duration`: of the finished video, in
    seconds.
    """

    jobId: str  # noqa: N815 - the wire format of the older system
    status: str
    progress: float
    duration: float | None = None
    error: str | None = None
    notices: list[StudioNotice] = []
    result: list[OutputView] | None = None


def request_of(persona: Persona, order: StudioOrder) -> RenderRequest:
    """Raises Invalid `persona.unknown_style`."""
    return RenderRequest(
        script=order.script,
        persona=persona.id,
        background=background_of(order.style),
        duration_s=order.duration,
    )


def job_of_order(view: RenderView, order: StudioOrder) -> StudioJob:
    """The answer to an order."""
    return _job(view).model_copy(update={"notices": _out_of_reach(order)})


def job_of(detail: RenderDetail, *, with_result: bool = False) -> StudioJob:
    """The answer to a question for a job."""
    updated = {"notices": _missed(detail), "result": detail.outputs if with_result else None}
    return _job(detail).model_copy(update=updated)


def _job(view: RenderView) -> StudioJob:
    return StudioJob(
        jobId=view.id,
        status=view.state,
        progress=round(view.progress.fraction, 3),
        duration=None if view.duration_ms is None else view.duration_ms / 1000,
        error=view.error.message if view.error else None,
    )


def _out_of_reach(order: StudioOrder) -> list[StudioNotice]:
    """By an estimate, before any voice has said it; what is not certain is left to the finished video."""
    if order.duration is None:
        return []
    wished_ms, natural_ms = order.duration * 1000, max(1, speaking_ms(order.script))
    if natural_ms / FASTEST <= wished_ms <= natural_ms / SLOWEST + 3000:
        return []
    is_, hint = ("long", "shorter") if natural_ms > wished_ms else ("short", "longer")
    message = (
        f"The script is too {is_} for {_seconds(wished_ms)}: it takes about {_seconds(natural_ms)}."
        f" The video comes as near as sounds natural; a {hint} script would fit."
    )
    return [StudioNotice(code="video.duration_out_of_reach", message=message)]


def _missed(detail: RenderDetail) -> list[StudioNotice]:
    """Returns what the finished video says; each scene says why in the render's `warnings`."""
    spec, duration_ms = detail.spec, detail.duration_ms
    if duration_ms is None or not isinstance(spec, RenderSpec):
        return []
    shares = [scene.duration_ms for scene in spec.scenes if scene.duration_ms is not None]
    wished_ms = sum(shares)
    if not shares or abs(duration_ms - wished_ms) <= max(TOLERANCE_MS, TOLERANCE * wished_ms):
        return []
    reasons = [one.message for one in detail.warnings if one.code == "speech.duration_missed"]
    # Of a video of one scene, the scene's own sentence says it all.
    whole = f"The video is {_seconds(duration_ms)} long, not the {_seconds(wished_ms)} that were asked for."
    parts = reasons[:1] if len(shares) == 1 and reasons else [whole, *reasons[:1]]
    return [StudioNotice(code="video.duration_missed", message=" ".join(parts))]


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s"
