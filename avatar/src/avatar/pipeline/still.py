"""One picture of a scene at a moment; `avatar still` calls it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path

from avatar.encode.poster import write_png
from avatar.encode.provenance import picture_metadata
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import quick_scene
from avatar.pipeline.files import describe, require_other_files
from avatar.pipeline.origin import software, source_type
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.scene_renderer import open_scene
from avatar.spec import Finished, Notice, RenderSpec, StageStarted

SETTLED_MS = 500
"""After so much time what comes in with a word has come in."""


def make_still(
    spec: RenderSpec, scene_id: str, ms: int, target: Path, context: Context, *, word: int | None = None
) -> Finished:
    """Writes the frame shown `ms` milliseconds into the scene (its last frame when it is shorter) as a PNG;
    with `word`, the place of a word from 0 on, the frame shortly after that word has begun.
    """
    from avatar.pipeline.acting import motion_of
    from avatar.pipeline.cast import host_of
    from avatar.speech import speak

    scene = spec.scene(scene_id)
    scene = quick_scene(scene)
    require_consent(scene)
    require_other_files(target, [target], paths_of([scene]))
    notices: list[Notice] = []
    with tempfile.TemporaryDirectory(prefix="avatar-still-") as work:
        context.tell(StageStarted(stage="speech", scene=scene_id))
        speech = speak(scene, Path(work), context.resolve, context.cache)
        track = motion_of(spec, *host_of(scene, speech, spec.canvas))
        context.tell(StageStarted(stage="prepare", scene=scene_id))
        if word is not None and speech.words:
            ms = speech.words[min(max(0, word), len(speech.words) - 1)].start_ms + SETTLED_MS
        index = min(int(ms * spec.canvas.rate / 1000), track.frames - 1)
        with closing(open_scene(spec, scene, speech, context, notices.append)) as renderer:
            states = renderer.frame_states(track)
            with closing(states):
                picture = renderer.paint(next(islice(states, index, None))).to_bgr()
            engines = renderer.engines()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(target, picture, picture_metadata(spec.title, source_type(spec, engines=engines), software()))
    return Finished(
        files=(describe("still", target),), duration_ms=speech.duration_ms, frames=1, warnings=tuple(notices)
    )
