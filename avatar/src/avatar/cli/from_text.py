"""`avatar render --text`: a spec of one scene, in which a drawn presenter says a text."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from avatar.cli import shipped_designs
from avatar.cli.shipped_designs import rig_face
from avatar.pipeline.read_spec import read_render_spec, report_invalid_fields
from avatar.spec import EspeakVoice, FliteVoice, Movement, RenderSpec, Scene

PRESENTERS: dict[str, tuple[FliteVoice, Movement, str]] = {
    "nova": (FliteVoice(pace=0.94, pitch=-0.8), Movement(), "en-us"),
    "milo": (
        FliteVoice(voice="rms", otherwise=EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=42)),
        Movement(manner="calm"),
        "en-gb",
    ),
    "vera": (
        FliteVoice(pitch=-2.2, otherwise=EspeakVoice(variant="f4", rate_wpm=165, pitch=46)),
        Movement(head=0.7, nods=0.8),
        "en-us",
    ),
    **shipped_designs.PRESENTERS,
}
"""Voice, movement and language, as the files in personas/ say them."""
TITLE_CHARS = 80


def asks_for_text(argv: Sequence[str]) -> bool:
    """Returns whether `render` is given a text, so that it takes no spec."""
    return "render" in argv[:1] and any(one == "--text" or one.startswith("--text=") for one in argv)


def add_text(parser: ArgumentParser) -> None:
    parser.add_argument("--text", metavar="TEXT", help="say this, in place of what a SPEC says")
    parser.add_argument(
        "--persona", choices=tuple(PRESENTERS), default="nova", help="who says the text; default nova"
    )


def spec_of_render(arguments: Namespace) -> RenderSpec:
    """The spec that is named, or one for the text. Raises InvalidInput `spec.*`."""
    if arguments.text is None:
        return read_render_spec(arguments.spec)
    voice, movement, language = PRESENTERS[arguments.persona]
    with report_invalid_fields():
        scene = Scene(
            id="scene-1",
            script=arguments.text,
            language=language,
            face=rig_face(arguments.persona),
            mood=shipped_designs.MOODS.get(arguments.persona, "neutral"),
            voice=voice,
            movement=movement,
        )
        title = " ".join("".join(one if one.isprintable() else " " for one in arguments.text).split())
        return RenderSpec(title=title[:TITLE_CHARS] or arguments.persona, scenes=(scene,))
