"""Describes drawn characters as JSON for the face in the browser: shapes and colours.

`scripts/bench face_description ui/src/face` writes a file for each presenter that is shipped, and one with
the targets of mouth shapes and moods.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avatar.cli.presenters import PRESENTERS, load_presenter
from avatar.engines.rig.artwork import Character, Fill, Linear
from avatar.engines.rig.characters import load_character
from avatar.engines.rig.maker.build import build_character
from avatar.engines.rig.pieces import Piece
from avatar.engines.rig.sheet import Sheet
from avatar.spec.speech_sheet import VisemeName
from avatar.timing.live import MOOD_OF_EMOTION, STATES
from avatar.timing.moods import EXPRESSIONS
from avatar.timing.visemes import REST, is_bilabial, is_labiodental, visemes

DIGITS = 1
"""Of coordinates: a tenth of a unit is a twentieth of a pixel in a face of 300 pixels."""

SOUNDS: dict[VisemeName, str] = {
    "sil": "", "PP": "p", "FF": "f", "TH": "θ", "DD": "t", "kk": "k", "CH": "ʃ", "SS": "s", "nn": "n",
    "RR": "ɹ", "aa": "ʌ", "E": "ɛ", "I": "ɪ", "O": "ɔ", "U": "u",
}  # fmt: skip
"""A sound of each class of mouth shapes that speech sheets name: its targets stand for the class."""


def describe_motion() -> dict[str, Any]:
    """Returns the targets of mouth shapes (`avatar.timing.visemes`), and what moods and states move."""
    shapes = {name: visemes(ipa)[-1] if ipa else REST for name, ipa in SOUNDS.items()}
    return {
        "visemes": {
            name: {key: value for key, value in asdict(shape).items() if key != "name"}
            | {"bilabial": is_bilabial(shape), "labiodental": is_labiodental(shape)}
            for name, shape in shapes.items()
        },
        "moods": {mood: asdict(expression) for mood, expression in EXPRESSIONS.items()},
        "states": STATES,
        "mood_of_emotion": MOOD_OF_EMOTION,
    }


def describe_character(character: Character) -> dict[str, Any]:
    """Returns compiled artwork by part, in the order of `figure.Figure`, and the styles of moving parts."""
    face = Sheet(character.face_art)
    backdrop = character.backdrop
    return {
        "name": character.name,
        "top": character.top,
        "parts": {
            "behind": _pieces(Sheet(character.behind)),
            "hair_back": _pieces(Sheet(character.hair_back)),
            "neck": _pieces(Sheet(character.neck)),
            "body": _pieces(Sheet(character.body)),
            "ears": _pieces(Sheet(character.ears)),
            "face": _pieces(face),
            "nose": _pieces(Sheet(character.nose)),
            "glasses": _pieces(Sheet(character.glasses)),
            "hair_front": _pieces(Sheet(character.hair_front, face.masks)),
        },
        "skin": asdict(character.skin),
        "eyes": asdict(character.eyes),
        "brows": asdict(character.brows),
        "mouth": asdict(character.mouth),
        "backdrop": {"wall": backdrop.wall, "glow": backdrop.glow},
    }


def describe_presenters() -> dict[str, dict[str, Any]]:
    """Returns the presenters that are shipped, by their id."""
    faces = {name: load_presenter(name).face for name in PRESENTERS}
    return {
        name: describe_character(
            build_character(face.design) if face.design else load_character(face.character)
        )
        for name, face in faces.items()
    }


def files() -> dict[str, str]:
    """Returns the content of each file below `ui/src/face`, by its path there."""
    described = {f"characters/{name}.json": one for name, one in describe_presenters().items()}
    return {name: as_json(one) for name, one in (described | {"motion.json": describe_motion()}).items()}


def as_json(description: dict[str, Any]) -> str:
    return json.dumps(description, separators=(",", ":"), ensure_ascii=False) + "\n"


def _pieces(sheet: Sheet) -> list[dict[str, Any]]:
    return [_piece(piece) for piece in sheet.pieces]


def _piece(piece: Piece) -> dict[str, Any]:
    found: dict[str, Any] = {
        "contours": [[round(float(value), DIGITS) for value in one.ravel()] for one in piece.contours],
        "fill": _fill(piece.fill),
    }
    if not piece.closed:
        found["open"] = True
    rest = {"stroke": 0.0, "lift": 1.0, "depth": 0.0, "swing": 0.0, "jaw": 0.0}
    return found | {
        name: getattr(piece, name) for name, value in rest.items() if getattr(piece, name) != value
    }


def _fill(fill: Fill) -> Any:
    if isinstance(fill, str):
        return fill
    if isinstance(fill, Linear):
        return {"line": [*map(_short, (*fill.start, *fill.end))], "stops": fill.stops}
    return {"circle": [*map(_short, (*fill.centre, fill.radius, fill.squash))], "stops": fill.stops}


def _short(value: float) -> float:
    return round(float(value), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    (folder / "characters").mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
