"""Colour words as hexadecimal values, after CSS Color 4; for the tools and for written scripts."""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import MappingProxyType

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")

COLOURS = MappingProxyType(
    {
        "beige": "#f5f5dc",
        "black": "#000000",
        "blue": "#0000ff",
        "brown": "#a52a2a",
        "coral": "#ff7f50",
        "cream": "#fffdd0",
        "crimson": "#dc143c",
        "cyan": "#00ffff",
        "dark blue": "#00008b",
        "dark green": "#006400",
        "dark grey": "#a9a9a9",
        "dark red": "#8b0000",
        "forest green": "#228b22",
        "gold": "#ffd700",
        "green": "#008000",
        "grey": "#808080",
        "indigo": "#4b0082",
        "ivory": "#fffff0",
        "khaki": "#f0e68c",
        "lavender": "#e6e6fa",
        "light blue": "#add8e6",
        "light green": "#90ee90",
        "light grey": "#d3d3d3",
        "lime": "#00ff00",
        "magenta": "#ff00ff",
        "maroon": "#800000",
        "midnight blue": "#191970",
        "mint": "#98ff98",
        "navy": "#000080",
        "olive": "#808000",
        "orange": "#ffa500",
        "pink": "#ffc0cb",
        "plum": "#dda0dd",
        "purple": "#800080",
        "red": "#ff0000",
        "royal blue": "#4169e1",
        "salmon": "#fa8072",
        "silver": "#c0c0c0",
        "sky blue": "#87ceeb",
        "slate grey": "#708090",
        "steel blue": "#4682b4",
        "tan": "#d2b48c",
        "teal": "#008080",
        "tomato": "#ff6347",
        "turquoise": "#40e0d0",
        "violet": "#ee82ee",
        "white": "#ffffff",
        "yellow": "#ffff00",
    }
)


def nearest_colour(value: str) -> str:
    """The name of the colour nearest to `#rrggbb`, by the "redmean" distance (T. Riemersma, 2008)."""
    red, green, blue = _parts(value)

    def distance(entry: tuple[str, str]) -> float:
        other_red, other_green, other_blue = _parts(entry[1])
        mean = (red + other_red) / 2
        return (
            (2 + mean / 256) * (red - other_red) ** 2
            + 4 * (green - other_green) ** 2
            + (2 + (255 - mean) / 256) * (blue - other_blue) ** 2
        )

    return min(COLOURS.items(), key=distance)[0]


def _parts(value: str) -> tuple[int, int, int]:
    digits = value.removeprefix("#")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


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
