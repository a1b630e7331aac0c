"""One function per verb: reads the files named on the command line and calls the pipeline."""

from __future__ import annotations

from argparse import Namespace

from avatar.pipeline.context import Context
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.render import render_video
from avatar.spec import Finished


def render(arguments: Namespace, context: Context) -> Finished:
    return render_video(read_render_spec(arguments.spec), arguments.out, context)
