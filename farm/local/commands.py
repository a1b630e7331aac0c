"""The worker's command line for each kind of task, and the environment it gets; values only, never a
shell.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from avatar.spec.unfinished import VARIABLE

from farm.tasks import SegmentTask
from soundstage.errors import Invalid
from soundstage.tracing import TRACEPARENT

SPEC_FILE = "spec.json"
SEGMENTS_FOLDER = "segments"
PICTURE_FILE = "picture"
MEDIA_FILE = "media"

_OUTPUT = {
    "segment": "segment",
    "assemble": "video.mp4",
    "render": "video.mp4",
    "preview": "video.mp4",
    "lipsync": "video.mp4",
    "still": "still.png",
    "prepare": "portrait.json",
    "speak": "speech",
    "poster": "poster.jpg",
    "storyboard": "storyboard.webp",
    "peaks": "peaks.json",
    "proxy": "proxy.mp4",
    "sound": "sound.wav",
    "captions": "captions.vtt",
}

MODELS_VARIABLE = "AVATAR_MODELS"
PASSED_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_DATA_HOME",
    MODELS_VARIABLE, "AVATAR_PIPER", "AVATAR_INSIGHTFACE",
)  # fmt: skip


def worker_arguments(task: SegmentTask, *, blobs: Path, cache: Path) -> list[str]:
    """Sub-command and options, with paths relative to the task's folder (the worker's working directory)."""
    options = [*task.arguments, "--blobs", str(blobs), "--cache", str(cache), "--confined", "--json"]
    if task.kind in ("probe", "look"):
        return [task.kind, MEDIA_FILE, *options]
    output = str(Path("out") / _OUTPUT[task.kind])
    if task.kind in ("segment", "preview", "still", "speak"):
        if task.scene_id is None:
            raise Invalid("task.no_scene", f"A {task.kind} task needs the id of a scene.", "Name the scene.")
        return [task.kind, SPEC_FILE, task.scene_id, output, *options]
    if task.kind == "assemble":
        return [task.kind, SPEC_FILE, output, "--segments", SEGMENTS_FOLDER, *options]
    if task.kind in ("poster", "storyboard", "peaks", "proxy", "sound", "captions"):
        return [task.kind, MEDIA_FILE, output, *options]
    if task.kind == "prepare":
        return [task.kind, PICTURE_FILE, output, *options]
    return [task.kind, SPEC_FILE, output, *options]


def worker_environment(
    folder: Path,
    passed: Sequence[str] = (),
    ours: Mapping[str, str] = os.environ,
    *,
    models: Path | None = None,
    unfinished: str = "",
    traceparent: str | None = None,
) -> dict[str, str]:
    """Returns the environment of the worker: a few plain variables and those named in the settings, so that
    no key of ours leaks. `models` is where its weights lie, if not where it looks on its own; `unfinished`
    the name of its work; `traceparent` the parent of its spans.
    """
    names = (*PASSED_VARIABLES, *passed)
    chosen = {name: ours[name] for name in names if name in ours}
    if models is not None:
        chosen[MODELS_VARIABLE] = str(models.absolute())
    if unfinished:
        chosen[VARIABLE] = unfinished
    if traceparent is not None:
        chosen[TRACEPARENT] = traceparent
    return {**chosen, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
