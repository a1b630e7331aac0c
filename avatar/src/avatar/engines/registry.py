"""Opens the face engine a scene asks for, and imports no other; the pipeline and the CLI call it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from avatar.engines.base import EngineInfo, FaceEngine, Reach
from avatar.errors import Unavailable
from avatar.spec import Face, MediaRef, PhotoFace, RigFace, VideoFace

Resolve = Callable[[MediaRef], Path]

ENGINE_MODULES = {
    "rig": "avatar.engines.rig.engine",
    "mesh": "avatar.engines.mesh.photo",
    "motion": "avatar.engines.motion.engine",
    "liveportrait": "avatar.engines.liveportrait",
    "latentsync": "avatar.engines.latentsync",
    "liveportrait+latentsync": "avatar.engines.neural",
}


def open_engine(
    face: Face,
    size: tuple[int, int],
    fps: int,
    *,
    resolve: Resolve,
    cache: Path,
    alpha: bool,
    reach: Reach | None = None,
) -> FaceEngine:
    """The engine without networks for `face`, drawing pictures of `size` (width, height) in pixels. Without
    `reach` a drawn character and its arms fit into the whole picture.

    `alpha` asks for the speaker alone (BGRA, background removed); otherwise the picture is opaque.
    Raises `Unavailable` when the engine's packages are missing, and whatever the engine says about its input.
    """
    if isinstance(face, RigFace):
        from avatar.engines.rig import open_rig

        return open_rig(face.design or face.character, size, fps, alpha, reach)
    if isinstance(face, PhotoFace):
        from avatar.engines.mesh import open_photo

        return open_photo(face, size, fps, resolve=resolve, cache=cache, alpha=alpha)
    if isinstance(face, VideoFace):
        from avatar.engines.motion import open_motion

        return open_motion(face, size, fps, resolve=resolve, cache=cache, alpha=alpha)
    raise TypeError(f"no engine for {face!r}")


def engine_info(name: str) -> EngineInfo:
    """Returns the facts that an engine (`rig`, `mesh`, `liveportrait`, …) declares."""
    try:
        module = importlib.import_module(ENGINE_MODULES[name])
    except ImportError as error:
        raise Unavailable(
            "engine.unavailable",
            f"The engine {name} cannot be loaded: {error}.",
            "Install the worker's extras, in the folder avatar/:"
            " uv sync --locked --inexact --extra cpu --extra face.",
        ) from error
    return cast(EngineInfo, module.INFO)
