"""What a new render would be, and how long it takes, before anything is made; for dry runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from avatar.spec import RenderSpec

from farm.history import RunTimes, work_of
from farm.needs import Needs
from farm.placement.history import Estimate
from soundstage.errors import Conflict
from studio.renders.models import Render
from studio.renders.states import RenderState

ASSEMBLY = Needs(engine="assemble")


@dataclass(frozen=True, slots=True)
class RenderOutlook:
    """A spec that was admitted; `seconds` is None where nothing of the kind has been made here yet."""

    title: str
    personas: tuple[str, ...]
    scenes: int
    size: str
    seconds: float | None


def outlook_of(spec: RenderSpec, personas: tuple[str, ...], times: RunTimes | None) -> RenderOutlook:
    size = f"{spec.canvas.width} × {spec.canvas.height}"
    return RenderOutlook(spec.title, personas, len(spec.scenes), size, expected_s(spec, times))


def expected_s(spec: RenderSpec, times: RunTimes | None, finished: Collection[str] = ()) -> float | None:
    """Returns what its scenes take one after the other, and joining them; without the wait for a place.
    `finished` are ids of scenes that need not be made.
    """
    if times is None:
        return None
    stored = spec.model_dump(mode="json")
    steps = [
        times.estimate("segment", Needs.of(scene.face, scene.requirements), work_of(stored, scene.id))
        for scene in spec.scenes
        if scene.id not in finished
    ]
    known: list[Estimate] = [step for step in steps if step is not None]
    joined = times.estimate("assemble", ASSEMBLY, work_of(stored))
    if len(known) < len(steps) or joined is None:
        return None
    return sum((step.likely_s for step in known), joined.likely_s)


def refuse_retry(row: Render) -> None:
    """Raises `render.not_failed` for one that need not be tried again."""
    if row.state not in (RenderState.FAILED, RenderState.CANCELLED):
        raise Conflict(
            "render.not_failed",
            f"This render is {row.state}; only a failed or cancelled one can be tried again.",
            "Make a new one instead.",
        )


def refuse_cancel(state: RenderState) -> None:
    """Raises `render.ended` for one that is done or has failed; one may be cancelled twice."""
    if state in (RenderState.DONE, RenderState.FAILED):
        raise Conflict("render.ended", f"This render is {state} already.", "Delete it if it is not wanted.")
