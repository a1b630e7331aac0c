"""`avatar lipsync`: a spec and the embedded engine, or a video and a sound and LatentSync's networks."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from avatar.cli.consent import add_agreement, asking_consent, consent_from_arguments
from avatar.cli.network_options import add_network_options, read_options
from avatar.errors import InvalidInput
from avatar.pipeline.read_spec import report_invalid_fields
from avatar.spec import Captions, Finished, LipsyncSpec, MediaRef, Output, Pauses, VideoFace

if TYPE_CHECKING:
    # NumPy comes with it, and must not be there before `main` has set its threads.
    from avatar.pipeline.context import Context


def add_lipsync(one: ArgumentParser) -> None:
    """The arguments: SPEC OUT, or --video FILE --audio FILE --out FILE."""
    one.add_argument("spec", type=Path, metavar="SPEC", nargs="?", help="for the embedded engine")
    one.add_argument("target", type=Path, metavar="OUT", nargs="?", help="the video to make of it")
    latent = one.add_argument_group("with LatentSync (extra `gpu`; its weights: avatar models list)")
    latent.add_argument("--video", type=Path, metavar="FILE", help="the person who is to speak")
    latent.add_argument("--audio", type=Path, metavar="FILE", help="what the person is to say")
    latent.add_argument("--out", type=Path, metavar="FILE", help="the video to make")
    add_agreement(latent, "VIDEO")
    latent.add_argument("--transcript", type=Path, metavar="FILE", help="what is said, for captions")
    latent.add_argument(
        "--vram", choices=("auto", "low"), default="auto", help="low: for cards of 8 GB, or shared ones"
    )
    add_network_options(latent)
    latent.add_argument("--steps", type=int, default=20, metavar="N", help="of the sampler; default 20")
    latent.add_argument("--guidance", type=float, default=1.5, metavar="X", help="by the sound; default 1.5")
    latent.add_argument(
        "--reuse",
        type=int,
        default=1,
        metavar="N",
        help="compute all of the network in one of N steps; default 1, in all",
    )
    latent.add_argument(
        "--side", type=int, choices=(512, 256), default=512, dest="side_px", help="256 for LatentSync 1.5"
    )
    latent.add_argument(
        "--tail",
        choices=("tone", "silence"),
        default="tone",
        help="what the networks hear after the end; default tone, as they were trained",
    )
    latent.add_argument(
        "--pauses",
        choices=get_args(Pauses),
        default="filmed",
        help="what long ones show; filmed: the filmed mouth where its lips are shut; default filmed",
    )
    latent.add_argument("--start-ms", type=int, default=0, metavar="N", help="where the video begins")
    latent.add_argument("--end-ms", type=int, metavar="N", help="where it ends")
    latent.add_argument("--fit", choices=("ping_pong", "loop", "trim"), default="ping_pong")
    latent.add_argument("--face-index", type=int, metavar="N", help="counted from the left, from 0")


def lipsync(arguments: Namespace, context: Context) -> Finished:
    if arguments.video is None and arguments.audio is None and arguments.out is None:
        return _embedded(arguments, context)
    if None in (arguments.video, arguments.audio, arguments.out) or arguments.spec is not None:
        raise InvalidInput(
            "lipsync.incomplete",
            "A video, a sound and a name for the result are needed, and no spec beside them.",
            "avatar lipsync --video in.mp4 --audio speech.wav --out out.mp4",
        )
    from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks

    options = read_options(MouthOptions, arguments)
    with asking_consent(arguments.video):
        return lipsync_by_networks(_spec(arguments), arguments.out, context, options)


def _embedded(arguments: Namespace, context: Context) -> Finished:
    if arguments.spec is None or arguments.target is None:
        raise InvalidInput(
            "lipsync.incomplete",
            "Nothing says what is to be lip-synced.",
            "avatar lipsync SPEC OUT, or avatar lipsync --video FILE --audio FILE --out FILE",
        )
    from avatar.pipeline.lipsync.video import lipsync_video
    from avatar.pipeline.read_spec import read_lipsync_spec

    return lipsync_video(read_lipsync_spec(arguments.spec), arguments.target, context)


def _spec(arguments: Namespace) -> LipsyncSpec:
    try:
        transcript = None if arguments.transcript is None else arguments.transcript.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "lipsync.no_transcript",
            f"{arguments.transcript} cannot be read as text: {error}.",
            "Check the path.",
        ) from error
    with report_invalid_fields():
        face = VideoFace(
            video=MediaRef(path=str(arguments.video), name=arguments.video.name),
            start_ms=arguments.start_ms,
            end_ms=arguments.end_ms,
            fit=arguments.fit,
            face_index=arguments.face_index,
            pauses=arguments.pauses,
            consent=consent_from_arguments(arguments.video, arguments),
        )
        return LipsyncSpec(
            face=face,
            audio=MediaRef(path=str(arguments.audio), name=arguments.audio.name),
            transcript=transcript,
            output=Output(captions=Captions(mode="none" if transcript is None else "soft")),
        )
