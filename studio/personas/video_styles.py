"""Table of the style names that the video-studio calls take, and their looks."""

from __future__ import annotations

from enum import StrEnum

from avatar.spec import Background, ColourBackground

from soundstage.errors import Invalid


class Look(StrEnum):
    """Background of the speaker."""

    OWN = "own"
    STUDIO = "studio"
    STAGE = "stage"
    DARK = "dark"
    LIGHT = "light"
    WARM = "warm"


BACKGROUNDS: dict[Look, Background | None] = {
    Look.OWN: None,
    Look.STUDIO: ColourBackground(colour="#1b2733", to_colour="#0d1218"),
    Look.STAGE: ColourBackground(colour="#20242c", to_colour="#050608"),
    Look.DARK: ColourBackground(colour="#101418"),
    Look.LIGHT: ColourBackground(colour="#f4f1ea", to_colour="#d8d2c4"),
    Look.WARM: ColourBackground(colour="#4a3527", to_colour="#1f1611"),
}
"""None leaves the persona's own background."""

STYLES: dict[str, Look] = {
    "default": Look.OWN,
    "natural": Look.OWN,
    "realistic": Look.OWN,
    "casual": Look.OWN,
    "vlog": Look.OWN,
    "ugc": Look.OWN,
    "studio": Look.STUDIO,
    "professional": Look.STUDIO,
    "corporate": Look.STUDIO,
    "business": Look.STUDIO,
    "news": Look.STUDIO,
    "presentation": Look.STUDIO,
    "interview": Look.STUDIO,
    "cinematic": Look.STAGE,
    "dramatic": Look.STAGE,
    "film": Look.STAGE,
    "documentary": Look.STAGE,
    "luxury": Look.STAGE,
    "dark": Look.DARK,
    "noir": Look.DARK,
    "tech": Look.DARK,
    "light": Look.LIGHT,
    "bright": Look.LIGHT,
    "clean": Look.LIGHT,
    "minimal": Look.LIGHT,
    "minimalist": Look.LIGHT,
    "educational": Look.LIGHT,
    "tutorial": Look.LIGHT,
    "explainer": Look.LIGHT,
    "warm": Look.WARM,
    "storytelling": Look.WARM,
    "friendly": Look.WARM,
}
"""docs/guide/personas.md shows this table; a test holds the two together."""


def background_of(style: str) -> Background | None:
    """The background of a style, in any case of letters. Raises Invalid `persona.unknown_style`."""
    look = STYLES.get(style.strip().lower())
    if look is None:
        raise Invalid(
            "persona.unknown_style",
            f"There is no style {style[:80]!r}.",
            f"There are: {', '.join(STYLES)}.",
        )
    return BACKGROUNDS[look]
