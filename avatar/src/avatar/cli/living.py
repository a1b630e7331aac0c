"""The verb `live`: orders on standard input, lines about frames on standard output."""

from __future__ import annotations

import sys
from argparse import Namespace

from pydantic import BaseModel

from avatar.cli.speaking import spec_with_scene
from avatar.pipeline.context import Context
from avatar.pipeline.live import act_live
from avatar.spec import Finished


def live(arguments: Namespace, context: Context) -> Finished:
    """Draws until standard input ends. Raises what `act_live` does, and `spec.scene_unknown`."""

    def emit(line: BaseModel) -> None:
        sys.stdout.write(line.model_dump_json() + "\n")
        sys.stdout.flush()

    spec = spec_with_scene(arguments)
    return act_live(spec, arguments.scene, arguments.memory, sys.stdin.buffer, emit, context)
