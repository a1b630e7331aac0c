"""`avatar render --text`: a spec of one scene, in which a drawn presenter says a text."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from avatar.cli.presenters import PRESENTERS, load_presenter
from avatar.pipeline.read_spec import read_render_spec, report_invalid_fields
from avatar.spec import RenderSpec, Scene

TITLE_CHARS = 80


def asks_for_text(argv: Sequence[str]) -> bool:
    """Returns whether `render` is given a text, so that it takes no spec."""
    return "render" in argv[:1] and any(one == "--text" or one.startswith("--text=") for one in argv)


def add_text(parser: ArgumentParser) -> None:
    parser.add_argument("--text", metavar="TEXT", help="say this, in place of what a SPEC says")
    parser.add_argument(
        "--persona", choices=PRESENTERS, default="nova", help="who says the text; default nova"
    )


def spec_of_render(arguments: Namespace) -> RenderSpec:
    """The spec that is named, or one for the text. Raises InvalidInput `spec.*`."""
    if arguments.text is None:
        return read_render_spec(arguments.spec)
    presenter = load_presenter(arguments.persona)
    with report_invalid_fields():
        scene = Scene(
            id="scene-1",
            script=arguments.text,
            language=presenter.language,
            face=presenter.face,
            mood=presenter.mood,
            voice=presenter.voice,
            movement=presenter.movement,
        )
        title = " ".join("".join(one if one.isprintable() else " " for one in arguments.text).split())
        return RenderSpec(title=title[:TITLE_CHARS] or arguments.persona, scenes=(scene,))
