"""Colour words as hexadecimal values, after CSS Color 4; for the tools and for written scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from types import MappingProxyType

from PIL import ImageColor

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")

_NAMES_OF_CSS = """
    beige, black, blue, brown, coral, crimson, cyan, dark blue, dark green, dark grey, dark red, forest
    green, gold, green, grey, indigo, ivory, khaki, lavender, light blue, light green, light grey, lime,
    magenta, maroon, midnight blue, navy, olive, orange, pink, plum, purple, red, royal blue, salmon,
    silver, sky blue, slate grey, steel blue, tan, teal, tomato, turquoise, violet, white, yellow
    """
"""Of all its names, those that people say; two words where CSS writes one."""


def _named_colours() -> Iterator[tuple[str, str]]:
    yield from (("cream", "#fffdd0"), ("mint", "#98ff98"))
    for words in map(str.split, _NAMES_OF_CSS.split(",")):
        red, green, blue, *_ = ImageColor.getrgb("".join(words))
        yield " ".join(words), f"#{red:02x}{green:02x}{blue:02x}"


COLOURS = MappingProxyType(dict(sorted(_named_colours())))


def nearest_colour(value: str) -> str:
    """The name of the colour nearest to `#rrggbb`, by the "redmean" distance (T. Riemersma, 2008)."""
    red, green, blue, *_ = ImageColor.getrgb(value)

    def distance(entry: tuple[str, str]) -> float:
        other_red, other_green, other_blue, *_ = ImageColor.getrgb(entry[1])
        mean = (red + other_red) / 2
        return (
            (2 + mean / 256) * (red - other_red) ** 2
            + 4 * (green - other_green) ** 2
            + (2 + (255 - mean) / 256) * (blue - other_blue) ** 2
        )

    return min(COLOURS.items(), key=distance)[0]


def parse_colour(text: str) -> str:
    """`#rrggbb` for a colour word or a hexadecimal value; raises ValueError with the nearest names."""
    word = " ".join(text.lower().replace("gray", "grey").replace("-", " ").split())
    if word in COLOURS:
        return COLOURS[word]
    joined = {name.replace(" ", ""): value for name, value in COLOURS.items()}
    if word in joined:
        return joined[word]
    match = _HEX.fullmatch(word)
    if match:
        digits = match.group(1)
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)).lower()
    near = get_close_matches(word, COLOURS, n=3, cutoff=0.5) or ["navy", "teal", "#1b2733"]
    raise ValueError(f"{text!r} is not a colour I know; try {', '.join(near)}")
