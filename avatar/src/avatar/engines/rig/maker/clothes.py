"""Clothes and the wheelchair of designs, by name. Used by `build`."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

from avatar.engines.rig.anatomy import circle, translate_outline
from avatar.engines.rig.artwork import Arms, Art, Linear, Radial, Shape
from avatar.engines.rig.characters import milo, nova, vera
from avatar.engines.rig.maker.palettes import Tones, recolour, tones
from avatar.engines.rig.paint import clear
from avatar.spec.design import Design

BASE = "0,206! 40,190! 55,147! 92,163 140,176 182,196 208,232 220,300 230,420 240,1200! 0,1200!"


def clothes_of(design: Design) -> tuple[tuple[Art, ...], Arms]:
    """Returns the body's art and the arms that belong to it."""
    t = tones(design.clothes_colour)
    hand = 0.94 if design.hair in ("long", "bob", "bun", "headscarf") else 1.02
    return _KINDS[design.clothes](t), Arms(
        t.light, t.base, t.dark,
        x=168.0 if design.clothes in ("blazer", "cardigan") else 175.0,
        width=38.0 if hand < 1 else 42.0,
        hand=hand,
        cuff="#f3efe6" if design.clothes == "blazer" else "",
        fingers=3 if design.kind == "fox" else 4,
    )  # fmt: skip


def _blazer(t: Tones) -> tuple[Art, ...]:
    table = {nova.IVORY: t.light, nova.IVORY_MID: t.base, nova.IVORY_SHADE: t.dark, nova.IVORY_DEEP: t.deep,
             nova.TEAL: "#f2ece2", nova.TEAL_DARK: "#cfc4b4", "#0b2c33": "#8a7c6c"}  # fmt: skip
    return recolour(nova.BODY, table)


def _cardigan(t: Tones) -> tuple[Art, ...]:
    table = {vera.PLUM: t.base, vera.PLUM_LIGHT: t.light, vera.PLUM_SHADE: t.dark, vera.PLUM_DEEP: t.deep}
    return recolour(vera.BODY, table)


def _jumper(t: Tones) -> tuple[Art, ...]:
    table = {milo.OCHRE: t.base, milo.OCHRE_LIGHT: t.light, milo.OCHRE_SHADE: t.dark, milo.OCHRE_DEEP: t.deep}
    return recolour(milo.BODY, table)


def _cloth(t: Tones) -> tuple[Art, ...]:
    """Shoulders and chest with folds, without a collar."""
    return (
        Shape(BASE, t.light, mirror="half", name="cloth"),
        Shape("40,120! 250,120! 250,1200! 40,1200!", Linear((40, 180), (232, 180), ((clear(t.dark, 0.0), 0), (t.dark, 1))), inside="cloth"),
        Shape("-250,120! -120,120! -120,1200! -250,1200!", Linear((-120, 200), (-236, 200), ((clear(t.base, 0.0), 0), (t.base, 1))), inside="cloth"),
        Shape("166,232 154,270 156,330 162,420", clear(t.deep, 0.50), closed=False, taper=5.0, mirror="twin"),
        Shape("164,238 138,262 104,274", clear(t.deep, 0.20), closed=False, taper=8.0, mirror="twin"),
        Shape("74,168 106,192 136,238", clear(t.deep, 0.16), closed=False, taper=5.0, mirror="twin"),
    )  # fmt: skip


def _shirt(t: Tones) -> tuple[Art, ...]:
    leaf = "53,140! 67,152! 70,176 58,206 44,226! 14,206! 2,214! 26,186 44,164!"
    return (
        *_cloth(t),
        Shape("-12,208! 12,208! 12,1200! -12,1200!", Linear((-12, 0), (12, 0), ((t.light, 0), (t.base, 1)))),
        Shape("-12,214 -12,420", clear(t.deep, 0.45), closed=False, stroke=1.2),
        Shape("12,214 12,420", clear(t.deep, 0.30), closed=False, stroke=1.0),
        *(Shape(circle(0, y, 4.2), Radial((-1, y - 1.5), 6, (("#ffffff", 0), (t.glow, 0.5), (t.dark, 1)))) for y in (244, 304, 364)),
        Shape(translate_outline(leaf, 2, 4), clear(t.deep, 0.30), mirror="twin"),
        Shape(leaf, Linear((30, 150), (64, 222), ((t.glow, 0), (t.light, 0.5), (t.base, 1))), mirror="twin"),
        Shape("50,150 40,172 14,204", clear(t.deep, 0.35), closed=False, taper=2.0, mirror="twin"),
    )  # fmt: skip


def _hoodie(t: Tones) -> tuple[Art, ...]:
    hood = "-58,140! -74,146 -92,166 -86,196 -52,224 0,240 52,224 86,196 92,166 74,146 58,140! 52,176 30,200 0,210 -30,200 -52,176"
    return (
        *_cloth(t),
        Shape("-54,146! -40,180 0,200 40,180 54,146! 58,150 42,190 0,212 -42,190 -58,150", "#f3efe6"),
        Shape(translate_outline(hood, 1, 6), clear(t.deep, 0.34)),
        Shape(hood, Linear((-80, 150), (80, 230), ((t.glow, 0), (t.base, 0.55), (t.dark, 1))), name="hood"),
        Shape("-66,150 -58,186 0,226 58,186 66,150", clear(t.deep, 0.30), closed=False, taper=3.0),
        Shape("-80,172 -50,208 0,222", clear(t.glow, 0.5), closed=False, taper=4.0),
        Shape("-30,214 -33,250 -31,300", "#f3efe6", closed=False, stroke=3.4),
        Shape("30,214 34,250 31,288", "#e4ddd0", closed=False, stroke=3.4),
        *(Shape(circle(x, 213, 3.4), Radial((x - 1, 212), 5, (("#ffffff", 0), ("#9a9aa4", 1)))) for x in (-30, 30)),
    )  # fmt: skip


def wheelchair() -> tuple[Art, ...]:
    """Backrest, push handles and the tops of the wheels, behind the figure."""
    dark, mid, rim = "#23262d", "#3a404b", "#aeb6c2"
    return (
        Shape("240,1200! 240,366 246,342 258,334 270,342 276,366 276,1200!", Linear((240, 0), (276, 0), ((mid, 0), (dark, 0.6), ("#14161a", 1))), mirror="twin"),
        Shape("284,1200! 284,372 288,360 292,372 292,1200!", Linear((284, 0), (292, 0), ((rim, 0), ("#6d7580", 1))), mirror="twin"),
        Shape("-148,156! -146,120 -132,104 -110,100 110,100 132,104 146,120 148,156! 154,1200! -154,1200!", Linear((-150, 100), (150, 260), (("#56606d", 0), (dark, 1)))),
        Shape("-134,122 -126,112 -108,109 108,109 126,112 134,122", clear(rim, 0.6), closed=False, stroke=1.8),
        Shape("-62,104 -60,140 -60,190", clear("#14161a", 0.45), closed=False, taper=3.0, mirror="twin"),
        Shape("146,128! 148,108 158,98 172,96! 174,106! 163,109 158,116 158,128! 164,1200! 146,1200!", Linear((146, 0), (166, 0), ((rim, 0), ("#7d8591", 0.5), ("#59616c", 1))), mirror="twin"),
        Shape("166,92! 196,88 203,92 204,102 198,108 168,110!", Linear((0, 88), (0, 110), (("#5a616d", 0), (dark, 0.55), ("#121418", 1))), mirror="twin"),
        Shape("170,96 184,93.5 196,93", clear("#ffffff", 0.40), closed=False, taper=2.0, mirror="twin"),
        *(Shape(f"{x},91 {x + 1},100 {x},108", clear("#000000", 0.35), closed=False, stroke=1.4, mirror="twin") for x in (176, 183, 190)),
    )  # fmt: skip


_KINDS = {"blazer": _blazer, "cardigan": _cardigan, "jumper": _jumper, "shirt": _shirt, "hoodie": _hoodie}
