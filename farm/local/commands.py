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

_INPUT = {
    "prepare": PICTURE_FILE,
    **dict.fromkeys(
        ("probe", "look", "poster", "storyboard", "peaks", "proxy", "sound", "captions"), MEDIA_FILE
    ),
}
"""By kind of task; all others read their spec."""
_OF_A_SCENE = frozenset({"segment", "preview", "still", "speak"})
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
    words = [task.kind, _INPUT.get(task.kind, SPEC_FILE)]
    if task.kind in _OF_A_SCENE:
        if task.scene_id is None:
            raise Invalid("task.no_scene", f"A {task.kind} task needs the id of a scene.", "Name the scene.")
        words.append(task.scene_id)
    if task.kind in _OUTPUT:
        words.append(str(Path("out") / _OUTPUT[task.kind]))
    if task.kind == "assemble":
        words += ["--segments", SEGMENTS_FOLDER]
    return [*words, *task.arguments, "--blobs", str(blobs), "--cache", str(cache), "--confined", "--json"]


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
