"""Reads the spec that a command names, and sees that it has the scene that the command names."""

from __future__ import annotations

from argparse import Namespace

from avatar.errors import InvalidInput
from avatar.pipeline.read_spec import read_render_spec
from avatar.spec import RenderSpec


def spec_with_scene(arguments: Namespace) -> RenderSpec:
    """Raises `spec.scene_unknown`."""
    spec = read_render_spec(arguments.spec)
    known = [scene.id for scene in spec.scenes]
    if arguments.scene not in known:
        raise InvalidInput(
            "spec.scene_unknown",
            f"The spec has no scene {arguments.scene}.",
            f"Its scenes are: {', '.join(known[:20])}.",
        )
    return spec
