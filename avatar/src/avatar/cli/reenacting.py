"""`avatar reenact`: a photo or a video, and what moves its face."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import astuple
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.cli.consent import add_agreement, asking_consent, consent_from_arguments
from avatar.cli.network_options import add_network_options, read_options
from avatar.errors import InvalidInput
from avatar.spec import Finished

if TYPE_CHECKING:
    # NumPy comes with it, and must not be there before `main` has set its threads.
    from avatar.pipeline.context import Context

REGIONS = ("all", "exp", "pose", "lip", "eyes")


def add_reenact(one: ArgumentParser) -> None:
    """The arguments: --source FILE, --driving FILE or --say TEXT, and --out FILE if need be."""
    one.add_argument(
        "--source", type=Path, metavar="FILE", required=True, help="the photo or video whose face is to move"
    )
    moves = one.add_mutually_exclusive_group(required=True)
    moves.add_argument(
        "--driving", type=Path, metavar="FILE", help="a video, a picture or a motion template (.npz, .json)"
    )
    moves.add_argument("--say", metavar="TEXT", help="what a photo is to say: the speech moves its face")
    one.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the video to make; default SOURCE.reenacted.mp4, numbered where that is taken",
    )
    add_agreement(one, "SOURCE")
    one.add_argument(
        "--save-template", type=Path, metavar="FILE", help="keep the driving video's motion (.npz, .json)"
    )
    one.add_argument("--region", choices=REGIONS, default="all", help="what of the face moves")
    one.add_argument(
        "--absolute",
        action="store_false",
        dest="relative",
        help="copy the driving face instead of adding its changes",
    )
    one.add_argument(
        "--shut-lips",
        action=BooleanOptionalAction,
        default=True,
        help="a source with open lips shuts them first",
    )
    for part in ("eyes", "lips"):
        one.add_argument(
            f"--retarget-{part}",
            action="store_true",
            dest=part,
            help=f"copy only how far the {part} are open",
        )
    one.add_argument(
        "--stitching", action=BooleanOptionalAction, default=True, help="keep the shoulders where they are"
    )
    one.add_argument("--strength", type=float, default=1.0, metavar="X", help="of the motion; default 1")
    add_network_options(one)
    one.add_argument("--face-index", type=int, metavar="N", help="of the source, from the left, from 0")


def reenact(arguments: Namespace, context: Context) -> Finished:
    if not 0 <= arguments.strength <= 3:
        raise InvalidInput(
            "reenact.bad_strength", f"A strength of {arguments.strength} is not possible.", "Use 0 to 3."
        )
    from avatar.pipeline.reenact import video as pipeline

    job = pipeline.ReenactJob(
        source=arguments.source,
        driving=arguments.driving,
        text=arguments.say,
        consent=consent_from_arguments(arguments.source, arguments),
        save_template=arguments.save_template,
        options=read_options(pipeline.ReenactOptions, arguments),
    )
    with asking_consent(arguments.source):
        return pipeline.reenact(job, arguments.out or free_beside(arguments.source), context)


def free_beside(source: Path) -> Path:
    """`face.reenacted.mp4` beside `face.png`, or the next number of which no file is there."""
    from avatar.pipeline.files import Companions

    for number in count(1):
        target = source.with_name(f"{source.stem}.reenacted{f'-{number}' if number > 1 else ''}.mp4")
        if not any((target.parent / name).exists() for name in astuple(Companions.of(target))):
            break
    return target
