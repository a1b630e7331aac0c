"""The command line of the worker: verbs, their arguments, and the options all of them share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from avatar.cli.designing import add_persona
from avatar.cli.from_text import add_text
from avatar.cli.lipsyncing import add_lipsync
from avatar.cli.reenacting import add_reenact
from avatar.cli.rehearsing import add_rehearse
from avatar.cli.weights import add_models

HELP = "Take one order of the farm: fetch its inputs, make it, hand its files over."
CACHE_MIB = 10_240
CA_FILE = Path("/opt/soundstage/ca.pem")
"""Where a farm puts its authority: beside the worker, in a folder that isolated tasks see live."""


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/soundstage-avatar`, as the XDG base directory specification asks."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "soundstage-avatar"


def build_parser(*, from_text: bool = False) -> argparse.ArgumentParser:
    """`from_text`: `render` takes `--text` and no SPEC."""
    parser = argparse.ArgumentParser(prog="avatar", description="Makes videos of somebody saying a script.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--blobs", type=Path, metavar="DIR", help="where files named by their hash lie")
    shared.add_argument(
        "--cache", type=Path, metavar="DIR", default=default_cache(), help="what may be made again"
    )
    shared.add_argument(
        "--confined", action="store_true", help="read no file of a spec but of this folder and of --blobs"
    )
    shared.add_argument("--json", action="store_true", help="print progress as JSON lines on standard output")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, help_text: str, *positional: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=help_text, description=help_text, parents=[shared])
        for argument in positional:
            kind = str if argument == "scene" else Path
            one.add_argument(argument, type=kind, metavar=argument.upper())
        return one

    spec = () if from_text else ("spec",)
    render = verb("render", "Make the whole video: a voice speaks the texts.", *spec, "out")
    add_text(render)
    render.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="CIDR",
        help="of a job in the place of SPEC: fetch its files from there too; may be repeated",
    )
    verb("segment", "Make one scene's pictures, sound and word times.", "spec", "scene", "folder")
    verb("assemble", "Join finished segments into the video.", "spec", "out").add_argument(
        "--segments", type=Path, metavar="DIR", required=True, help="holds one folder per scene id"
    )
    verb("speak", "Make one scene's sound, and times of words and mouth shapes.", "spec", "scene", "folder")
    verb("preview", "Make a small, quick video of one scene.", "spec", "scene", "out")
    add_lipsync(verb("lipsync", "Make a filmed person say a finished sound file."))
    add_reenact(verb("reenact", "Make a face move as a video, a template or a text says."))
    add_rehearse(verb("rehearse", "Try the whole chain on a card with your weights and video, and judge it."))
    verb("prepare", "Measure a portrait once, so that rendering need not.", "image", "out").add_argument(
        "--face-index",
        type=int,
        metavar="N",
        help="which face, counted from the left, from 0; default the largest",
    )
    moment = verb(
        "still", "Make one picture of a scene.", "spec", "scene", "out"
    ).add_mutually_exclusive_group()
    moment.add_argument(
        "--ms",
        type=int,
        default=0,
        metavar="N",
        help="the moment, in milliseconds from the start of the scene",
    )
    moment.add_argument(
        "--word", type=int, metavar="N", help="the moment: when the Nth word of the script is said, from 0"
    )
    verb("live", "Draw a face that answers live, for the voice worker.", "spec", "scene").add_argument(
        "--memory", type=Path, metavar="FILE", required=True, help="shared memory for its pictures"
    )
    verb("probe", "Say what a picture, video or sound file holds.", "file")
    look = verb("look", "Measure a picture or a frame: faces, sharpness, light, colours.", "file")
    look.add_argument("--ms", type=int, default=0, metavar="N", help="the moment of a video, in milliseconds")
    look.add_argument("--shown", type=Path, metavar="FILE", help="write what was looked at as a small JPEG")
    verb("poster", "Take one telling picture out of a video, as JPEG.", "file", "out")
    verb("storyboard", "Put small pictures of a video on one WebP sheet, with an index.", "file", "out")
    verb("peaks", "Measure the waveform of a sound or video, as audiowaveform's JSON.", "file", "out")
    verb("proxy", "Make a small copy of a video, for previews: 480 lines, H.264.", "file", "out")
    sound = verb("sound", "Decode the sound of a file for recognisers: WAV, mono, 16 kHz.", "file", "out")
    sound.add_argument(
        "--limit-s", type=float, default=14_400.0, metavar="N", help="refuse longer sounds; default 4 hours"
    )
    verb("captions", "Make WebVTT and SubRip of words with times, as JSON.", "file", "out")
    add_persona(verb("persona", "Write a drawn presenter of your own: a persona file, and its picture."))
    verb("init", "Write a small example of a spec, with comments, and its JSON Schema.", "out")
    verb("engines", "List the face engines and whether they can run here.")
    verb("doctor", "Check that everything the worker needs is here.")
    add_models(verbs, shared)
    add_work(verbs, shared)
    return parser


def add_work(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """`verbs` is what `add_subparsers` gave; `shared` holds `--cache`."""
    one = verbs.add_parser("work", help=HELP, description=HELP, parents=[shared])
    one.add_argument(
        "--control",
        metavar="URL",
        required=True,
        action="append",
        help="the control plane; given more than once: the next is asked when one does not answer",
    )
    one.add_argument("--task", metavar="ID", required=True, help="which order")
    one.add_argument(
        "--token", type=Path, metavar="FILE", required=True, help="holds the token of this one order"
    )
    one.add_argument(
        "--cache-mib",
        type=int,
        default=CACHE_MIB,
        metavar="N",
        help=f"how much of earlier inputs is kept in the cache; default {CACHE_MIB}",
    )
    one.add_argument(
        "--ca-file",
        type=Path,
        default=CA_FILE,
        metavar="FILE",
        help=f"authorities of the studio's bucket beside those of the system; default {CA_FILE}",
    )
    one.add_argument("program", nargs="*", help="the avatar program, after `--`; this one, unless given")
