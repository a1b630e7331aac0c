"""`avatar persona`: a drawn presenter of one's own from a few words or a seed, as a persona file."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, get_args

from avatar.errors import InvalidInput
from avatar.pipeline.read_spec import report_invalid_fields
from avatar.spec import Design, random_design

PICTURE_SIZE = (1280, 720)


def add_persona(one: ArgumentParser) -> None:
    """The arguments: OUT, a name, a seed, and any field of the design."""
    one.add_argument("out", type=Path, metavar="OUT", help="the persona file to write, such as ada.yaml")
    one.add_argument("--name", default="", metavar="NAME", help="default: the file's name")
    one.add_argument("--picture", type=Path, metavar="FILE", help="draw the presenter, as a PNG")
    one.add_argument("--voice", choices=("slt", "rms", "awb"), default="slt", help="of flite; default slt")
    design = one.add_argument_group("the design; what is left out is chosen by --seed")
    for name, field in Design.model_fields.items():
        options = get_args(field.annotation)
        words = all(isinstance(option, str) for option in options) and options
        design.add_argument(
            f"--{name.replace('_', '-')}",
            default=None,
            choices=options if words else None,
            metavar=None if words else name.upper(),
            help=field.description,
        )


def make_persona(arguments: Namespace) -> int:
    """Write the persona file, and its picture if one is wanted. Raises InvalidInput `spec.*`, `persona.*`."""
    options = {name: getattr(arguments, name) for name in Design.model_fields}
    fixed = {name: value for name, value in options.items() if value is not None}
    seed = _seed(fixed.pop("seed", "1"))
    with report_invalid_fields():
        design = random_design(seed, **fixed)
    name = arguments.name or arguments.out.stem.replace("-", " ").title()
    identity = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not identity:
        raise InvalidInput(
            "persona.no_name", f"{name!r} has no letters for an id.", "Give a --name in letters."
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(persona_text(identity, name, design, arguments.voice), encoding="utf-8")
    if arguments.picture is not None:
        _draw(design, arguments.picture)
    return 0


def persona_text(identity: str, name: str, design: Design, voice: str) -> str:
    """Returns the persona as YAML; values are written as JSON, which is YAML too."""
    rows = ["# Drawn from a design, no likeness of anybody: no consent is needed."]
    rows += [f"id: {json.dumps(identity)}", f"name: {json.dumps(name, ensure_ascii=False)}"]
    rows += ["face:", "  kind: rig", "  design:"]
    values: dict[str, Any] = design.model_dump(mode="json", exclude_none=True)
    rows += [f"    {field}: {json.dumps(value)}" for field, value in values.items()]
    rows += ["voice:", "  kind: flite", f"  voice: {voice}", ""]
    return "\n".join(rows)


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidInput("spec.invalid", f"The seed {text!r} is no number.", "Write --seed 7.") from error


def _draw(design: Design, target: Path) -> None:
    from avatar.compose.layout import Rect
    from avatar.encode.poster import write_png
    from avatar.engines.rig import open_rig
    from avatar.pipeline.own_background import draw_at_rest

    engine = open_rig(design, PICTURE_SIZE, 25, alpha=False)
    picture = draw_at_rest(engine, Rect(0, 0, *PICTURE_SIZE), alpha=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(target, picture, {})
