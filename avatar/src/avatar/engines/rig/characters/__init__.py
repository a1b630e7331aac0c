"""The cast: one data file per character, found by its name.

A new character is a new file in this folder with one value `CHARACTER: Character` (`artwork.py` has the
words), and its name in `NAMES`. Start from the file nearest to what you want, render a contact sheet, and
change one thing at a time.
"""

from __future__ import annotations

from importlib import import_module

from avatar.engines.rig.artwork import Character
from avatar.errors import InvalidInput

NAMES = ("nova", "milo", "vera")


def require_character(name: str) -> None:
    """Raises InvalidInput `face.unknown_character` with the names that exist."""
    if name not in NAMES:
        raise InvalidInput(
            "face.unknown_character",
            f"There is no drawn character {name!r}.",
            f"Choose one of: {', '.join(NAMES)}.",
        )


def load_character(name: str) -> Character:
    """Returns a character by its name. Raises InvalidInput `face.unknown_character`."""
    require_character(name)
    character: Character = import_module(f"avatar.engines.rig.characters.{name}").CHARACTER
    return character
