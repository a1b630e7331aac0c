"""`avatar rehearse`: the whole photoreal chain on an operator's weights and video, with a page of verdict."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.cli.consent import add_agreement, asking_consent, consent_from_arguments
from avatar.engines.weights.store import FOLDER_VARIABLE
from avatar.spec import Finished

if TYPE_CHECKING:
    # NumPy comes with it, and must not be there before `main` has set its threads.
    from avatar.pipeline.context import Context


def add_rehearse(one: ArgumentParser) -> None:
    """The arguments: --weights DIR --video FILE, and what is said, where to, and how."""
    one.add_argument(
        "--weights", type=Path, metavar="DIR", required=True, help="where the weights lie, as `models` has it"
    )
    one.add_argument("--video", type=Path, metavar="FILE", required=True, help="the person who is to speak")
    one.add_argument("--say", metavar="TEXT", help="what they are to say; default a sentence of many sounds")
    one.add_argument("--out", type=Path, metavar="DIR", default=Path("rehearsal"), help="default ./rehearsal")
    add_agreement(one, "VIDEO")
    one.add_argument(
        "--within", type=float, metavar="MINUTES", help="end by then, with what was measured; default no end"
    )
    one.add_argument(
        "--cpu", action="store_true", help="a dry run on the processor, in the size of the video"
    )


def rehearse(arguments: Namespace, context: Context) -> Finished:
    from avatar.pipeline.rehearse import Rehearsal, rehearse_chain

    os.environ[FOLDER_VARIABLE] = str(arguments.weights.absolute())  # engines look there
    with asking_consent(arguments.video):
        rehearsal = Rehearsal(
            video=arguments.video,
            weights=arguments.weights.absolute(),
            text=arguments.say,
            consent=consent_from_arguments(arguments.video, arguments),
            within_s=None if arguments.within is None else 60 * arguments.within,
            cpu=arguments.cpu,
        )
        return rehearse_chain(rehearsal, arguments.out, context)
