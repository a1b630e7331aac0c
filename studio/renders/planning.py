"""Drafts of renders, with their rows, and estimates of how long one takes; for the service and dry runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from avatar.spec import LipsyncSpec, RenderSpec, content_hash

from farm.history import RunTimes, work_of
from farm.needs import Needs
from farm.placement.history import Estimate
from soundstage.errors import Conflict
from soundstage.tracing import new_trace_id, span_id, trace_id
from studio.renders.models import Render
from studio.renders.schemas import RenderKind, RenderRequest
from studio.renders.specs import preview_scene
from studio.renders.states import TERMINAL, RenderState

ASSEMBLY = Needs(engine="assemble")


@dataclass(frozen=True, slots=True)
class RenderDraft:
    """A request with the spec that comes of it; nothing is stored yet.

    `personas`: who speaks, as far as the request names personas. `sizes`: the bytes of each file that the
    spec needs, by hash.
    """

    request: RenderRequest
    spec: RenderSpec | LipsyncSpec
    personas: tuple[str, ...] = ()
    project_id: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> RenderKind:
        if isinstance(self.spec, LipsyncSpec):
            return "lipsync"
        return "preview" if self.request.preview else "video"

    @property
    def title(self) -> str:
        return self.spec.title if isinstance(self.spec, RenderSpec) else self.request.title or "Lip sync"

    def row(self, render_id: str, requested_by: str) -> Render:
        """Returns the row that queues it. Raises Invalid `render.scene_unknown`."""
        spec, shown = self.spec.model_dump(mode="json"), None
        if isinstance(self.spec, RenderSpec) and self.kind == "preview":
            shown = preview_scene(self.spec, self.request)
        return Render(
            id=render_id,
            kind=self.kind,
            state=RenderState.QUEUED,
            title=self.title,
            spec=spec,
            spec_hash=content_hash(spec),
            scene_id=shown,
            personas=list(self.personas),
            project_id=self.project_id,
            requested_by=requested_by,
            trace_id=trace_id() or new_trace_id(),
            parent_span_id=span_id(),
            **self.request.row_values(),
        )


@dataclass(frozen=True, slots=True)
class RenderEstimate:
    """Describes an admitted draft; `seconds` is None where no render of the kind has ended here yet."""

    title: str
    personas: tuple[str, ...]
    scenes: int
    size: str
    seconds: float | None


def estimate_of(draft: RenderDraft, times: RunTimes | None) -> RenderEstimate:
    if isinstance(draft.spec, LipsyncSpec):
        return RenderEstimate(draft.title, (), 1, "as filmed", None)
    size = f"{draft.spec.canvas.width} × {draft.spec.canvas.height}"
    seconds = estimate_s(draft.spec, times)
    return RenderEstimate(draft.title, draft.personas, len(draft.spec.scenes), size, seconds)


def estimate_s(spec: RenderSpec, times: RunTimes | None, finished: Collection[str] = ()) -> float | None:
    """Returns what its scenes take one after the other, and joining them; without the wait for a place.
    `finished` are ids of scenes that need not be made.
    """
    if times is None:
        return None
    steps = estimate_scenes(spec, times, finished)
    known = [step for step in steps.values() if step is not None]
    joined = times.estimate("assemble", ASSEMBLY, work_of(spec.model_dump(mode="json")))
    if len(known) < len(steps) or joined is None:
        return None
    return sum((step.likely_s for step in known), joined.likely_s)


def estimate_scenes(
    spec: RenderSpec, times: RunTimes, finished: Collection[str] = ()
) -> Mapping[str, Estimate | None]:
    """Returns what each scene takes that has to be made, by its id."""
    stored = spec.model_dump(mode="json")
    return {
        scene.id: times.estimate("segment", Needs.of_scene(scene), work_of(stored, scene.id))
        for scene in spec.scenes
        if scene.id not in finished
    }


def refuse_active(row: Render) -> None:
    """Raises `render.active` for one that is not finished: it cannot go yet."""
    if row.state not in TERMINAL:
        raise Conflict("render.active", "This video is not finished yet.", "Cancel it first.")


def refuse_ended(row: Render) -> None:
    """Raises `render.ended` for one that neither waits nor runs: there is no queue that it stands in."""
    if row.state in TERMINAL:
        raise Conflict("render.ended", f"This render is {row.state} already.", "Retry it, or make a new one.")


def refuse_trashed(row: Render) -> None:
    """Raises `render.in_trash`: nothing is made of a video that somebody has thrown away."""
    if row.trashed_at is not None:
        raise Conflict("render.in_trash", "This video is in the trash.", "Restore it first.")


def refuse_retry(row: Render) -> None:
    """Raises `render.not_failed` for one that need not be tried again, and `render.in_trash`."""
    refuse_trashed(row)
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
