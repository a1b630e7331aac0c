"""Words of others as something that can be shown: names and titles as one line, and text without orders to a
terminal. The wire types of every room, the tools and the command line use it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator

# Tabs and line breaks do no harm; a carriage return writes over what stood there.
_ORDERS = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    """The text without what a terminal or a page obeys or hides."""
    return _ORDERS.sub("", text)


def harmless_json(text: str) -> str:
    """A JSON document with the same escaped: it says what it said, and no terminal obeys it."""
    return _ORDERS.sub(lambda found: "".join(f"\\u{ord(one):04x}" for one in found[0]), text)


def one_line(value: object) -> object:
    """Breaks and tabs become a blank, other control characters go: a title cannot forge a line of a list."""
    if not isinstance(value, str):
        return value
    printable = "".join(one for one in value if one.isspace() or unicodedata.category(one) != "Cc")
    return " ".join(printable.split())


def printable(text: str, instead: str = " ") -> str:
    """Returns the text with `instead` in place of each character that does not print."""
    return "".join(char if char.isprintable() else instead for char in text)


def shorten(text: str, limit: int) -> str:
    """Returns at most `limit` characters, the last of a longer text an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


OneLine = Annotated[str, BeforeValidator(one_line)]
