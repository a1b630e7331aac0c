"""The verb `speak`, apart from the others: a conversation waits for it, so it loads nothing for pictures."""

from __future__ import annotations

from argparse import Namespace

from avatar.cli.chosen_scene import spec_with_scene
from avatar.pipeline.context import Context
from avatar.pipeline.say import say_scene
from avatar.spec import Finished


def speak(arguments: Namespace, context: Context) -> Finished:
    return say_scene(spec_with_scene(arguments), arguments.scene, arguments.folder, context)
