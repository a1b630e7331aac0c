"""Describes what a request for a render would make: scenes that are there already, how long the others take,
and everything that is missing for it. Called by the render service.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from avatar.spec import RenderSpec, Scene, WordAnchor
from sqlalchemy.ext.asyncio import AsyncSession

from farm.history import RunTimes
from soundstage.database.tenants import require_tenant
from soundstage.errors import SoundstageError
from studio.renders.planning import RenderDraft, estimate_of, estimate_s, estimate_scenes
from studio.renders.repository import Segments
from studio.renders.schemas import MissingThing, PlannedSegment, RenderPlan
from studio.renders.segments import segment_key


async def plan_of(
    session: AsyncSession, draft: RenderDraft, times: RunTimes | None, worker_version: str
) -> RenderPlan:
    """Returns the plan of an admitted draft."""
    estimate, spec = estimate_of(draft, None), draft.spec
    plan = RenderPlan(
        kind=draft.kind, title=estimate.title, size=estimate.size, personas=list(estimate.personas)
    )
    if not isinstance(spec, RenderSpec):
        return plan
    finished = await find_finished(session, spec, worker_version)
    steps = {} if times is None else estimate_scenes(spec, times, finished)
    for scene in spec.scenes:
        reused, step = scene.id in finished, steps.get(scene.id)
        plan.scenes.append(
            PlannedSegment(
                scene=scene.id,
                reused=reused,
                seconds=0.0 if reused else None if step is None else round(step.likely_s, 1),
                unanchored=list(dict.fromkeys(words_without_place(scene))),
            )
        )
    plan.scenes_reused = len(finished)
    plan.scenes_new = len(spec.scenes) - len(finished)
    # A preview is drawn anew each time, one scene of it.
    seconds = estimate_s(spec, times, finished) if draft.kind == "video" else None
    plan.seconds = None if seconds is None else round(seconds, 1)
    return plan


async def find_finished(session: AsyncSession, spec: RenderSpec, worker_version: str) -> set[str]:
    """Returns the ids of scenes whose segments exist already."""
    keys = {
        scene.id: segment_key(spec.scene_hash(scene.id), worker_version, require_tenant())
        for scene in spec.scenes
    }
    finished = await Segments(session).find_finished(keys.values())
    return {scene for scene, key in keys.items() if key in finished}


def missing_thing(error: SoundstageError, scene: str | None = None) -> MissingThing:
    return MissingThing(scene=scene, code=error.code, message=error.message, hint=error.hint)


def words_without_place(scene: Scene) -> Iterator[str]:
    """Yields the words that overlays, sounds and cuts wait for, and that the script does not have (any more).
    The worker compares what is spoken, so this is right but for words that are spoken otherwise.
    """
    spoken = [key for key in map(_key, (scene.script or "").split()) if key]
    anchors = [anchor for overlay in scene.overlays for anchor in (overlay.start, overlay.end)]
    anchors += [item.at for overlay in scene.overlays for item in getattr(overlay, "items", ())]
    anchors += [sound.start for sound in scene.sounds] + [cut.at for cut in scene.camera.cuts]
    for anchor in anchors:
        if isinstance(anchor, WordAnchor):
            keys = [key for key in map(_key, anchor.word.split()) if key]
            places = range(len(spoken) - len(keys) + 1)
            if sum(bool(keys) and spoken[at : at + len(keys)] == keys for at in places) < anchor.occurrence:
                yield anchor.word


def _key(word: str) -> str:
    """As the worker compares words: without case and marks around them."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LNMS")
