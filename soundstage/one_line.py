"""Names and titles as one printable line; the wire types of every room use it for what lists will show."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import BeforeValidator


def one_line(value: object) -> object:
    """Breaks and tabs become a blank, other control characters go: a title cannot forge a line of a list."""
    if not isinstance(value, str):
        return value
    kept = "".join(one for one in value if one.isspace() or unicodedata.category(one) != "Cc")
    return " ".join(kept.split())


OneLine = Annotated[str, BeforeValidator(one_line)]
