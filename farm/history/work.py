"""Estimates the work of a task before it runs, in the same unit as that of tasks that have run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECONDS_PER_CHARACTER = 1 / 15
"""Of speech at some 170 words a minute. Any constant would do: the same one counts past and future work."""
MIN_SECONDS = 1.0


def work_of(spec: Mapping[str, Any], scene_id: str | None = None) -> float:
    """Megapixels that are drawn, more or less: seconds of speech · frames per second · size of the picture;
    of one scene of a RenderSpec (as JSON), or of all.
    """
    canvas = spec.get("canvas") or {}
    pixels = canvas.get("width", 1920) * canvas.get("height", 1080) * canvas.get("fps", 25) / 1e6
    scenes = [scene for scene in spec.get("scenes") or () if scene_id in (None, scene.get("id"))]
    return float(pixels * sum(_seconds(scene) for scene in scenes) or pixels)


def _seconds(scene: Mapping[str, Any]) -> float:
    return max(MIN_SECONDS, len(scene.get("script") or "") * SECONDS_PER_CHARACTER)
