"""The verb `speak`, apart from the others: a conversation waits for it, so it loads nothing for pictures."""

from __future__ import annotations

from argparse import Namespace

from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.say import say_scene
from avatar.spec import Finished, RenderSpec


def speak(arguments: Namespace, context: Context) -> Finished:
    return say_scene(spec_with_scene(arguments), arguments.scene, arguments.folder, context)


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
