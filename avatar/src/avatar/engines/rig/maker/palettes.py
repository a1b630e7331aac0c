"""Colours of designs: skins, and families of tones around one colour. Used by the other parts."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from avatar.engines.rig.artwork import Art, Curls, Fill, Shape, Skin, Strands

SKINS: dict[str, Skin] = {
    "porcelain": Skin("#fdeadf", "#f8d5c3", "#e2ac98", "#bd8173", "#ee9a90", "#9a544b"),
    "light": Skin("#fddcc4", "#f3c2a2", "#dd9b80", "#b96f5c", "#ee8f7e", "#93483f"),
    "olive": Skin("#f0cfa6", "#dfb184", "#bf8a61", "#93603f", "#d98363", "#6f3f2a"),
    "tan": Skin("#e0b083", "#c98f60", "#a56d44", "#774829", "#c76f50", "#55301d"),
    "brown": Skin("#b57a55", "#945d3e", "#6f412b", "#47261a", "#b0563f", "#3a1b12"),
    "deep": Skin("#8f5f48", "#6d4232", "#4e2c22", "#321a14", "#93452f", "#241009"),
}
LIPS = {
    "porcelain": "#cf7577", "light": "#c9676a", "olive": "#b5605a", "tan": "#a65a50", "brown": "#8f4f42",
    "deep": "#7b4038",
}  # fmt: skip
FUR = Skin("#f9bb7c", "#ee9347", "#c96a2e", "#8d4620", "#f07f52", "#5b2a16")


@dataclass(frozen=True, slots=True)
class Tones:
    """One colour in four lights."""

    glow: str
    light: str
    base: str
    dark: str
    deep: str


def tones(colour: str) -> Tones:
    """Returns tones around `colour`: lights are warmer and paler, shades cooler and fuller."""
    h, light, s = colorsys.rgb_to_hls(*(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)))

    def tone(lightness: float, saturation: float, warm: float) -> str:
        rgb = colorsys.hls_to_rgb(
            (h + warm) % 1.0, min(max(lightness, 0.0), 1.0), min(max(saturation, 0.0), 1.0)
        )
        return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)

    return Tones(
        tone(light + 0.26 * (1 - light) + 0.05, s * 0.85, 0.012),
        tone(light + 0.13 * (1 - light) + 0.03, s * 0.95, 0.006),
        colour,
        tone(light * 0.66, s, -0.008),
        tone(light * 0.42, s * 0.95, -0.015),
    )


def recolour(art: Iterable[Art], table: dict[str, str]) -> tuple[Art, ...]:
    """Returns the art with other colours; opacities stay. `table`: "#rrggbb" to "#rrggbb"."""
    lookup = {key.lower(): value for key, value in table.items()}

    def other(text: str) -> str:
        return lookup.get(text[:7].lower(), text[:7]) + text[7:]

    def other_fill(fill: Fill) -> Fill:
        if isinstance(fill, str):
            return other(fill)
        return replace(fill, stops=tuple((other(text), at) for text, at in fill.stops))

    done: list[Art] = []
    for item in art:
        if isinstance(item, Shape):
            done.append(replace(item, fill=other_fill(item.fill)))
        elif isinstance(item, Strands | Curls):
            done.append(replace(item, colours=tuple(map(other, item.colours))))
    return tuple(done)
