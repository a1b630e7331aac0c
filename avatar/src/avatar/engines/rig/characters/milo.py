"""Milo: about forty, deep brown skin, cropped curls and a short beard, ochre jumper."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

from avatar.engines.rig.anatomy import ears, face, neck, nose, scallop, translate_outline
from avatar.engines.rig.artwork import (
    Arms,
    Backdrop,
    Brows,
    Character,
    Curls,
    Eyes,
    Linear,
    Mouth,
    Radial,
    Shape,
    Skin,
)
from avatar.engines.rig.paint import clear, soft

SKIN = Skin(light="#b57a55", base="#945d3e", shade="#6f412b", deep="#47261a", blush="#b0563f", line="#3a1b12")
HAIR, HAIR_SIDE, HAIR_LIGHT = "#1f1613", "#33241d", "#4c382d"
OCHRE, OCHRE_LIGHT, OCHRE_SHADE, OCHRE_DEEP = "#d2963f", "#e2ad5b", "#aa7029", "#744a1a"

FACE = "0,-94 36,-90 61,-71 72.5,-40 76.5,-6 77,24 74.5,52 67,78 51,102 27,118 0,122"
CROP = (
    "0,-72 30,-71 51,-65 60,-59! 66,-44 70,-26 71.5,2 70,26! 76.5,26! 77.5,4 80,-24 83.5,-50 82,-78 70,-106 46,-122 16,-129 "
    "-16,-129 -46,-122 -70,-106 -82,-78 -83.5,-50 -80,-24 -77.5,4 -76.5,26! -70,26! -71.5,2 -70,-26 -66,-44 -60,-59! -51,-65 -30,-71"
)
BEARD = (
    "-84,25! -71,26 -66,40 -60,54 -48,68 -34,67 -22,59.5 -9,57 0,60 9,57 22,59.5 34,67 48,68 60,54 66,40 71,26 84,25! "
    "94,70 70,136 0,146 -70,136 -94,70"
)

BODY = (
    Shape(
        "0,206! 40,190! 55,147! 92,163 140,176 182,196 208,232 220,300 230,420 240,1200! 0,1200!",
        OCHRE_LIGHT, mirror="half", name="jumper",
    ),
    Shape("60,120! 250,120! 250,1200! 60,1200!", Linear((60, 190), (232, 190), ((clear(OCHRE_SHADE, 0.0), 0), (OCHRE_SHADE, 1))), inside="jumper"),
    Shape("-250,120! -130,120! -130,1200! -250,1200!", Linear((-130, 200), (-236, 200), ((clear(OCHRE, 0.0), 0), (OCHRE, 1))), inside="jumper"),
    Shape("166,232 154,270 156,330 162,420", clear(OCHRE_DEEP, 0.55), closed=False, taper=5.0),
    Shape("-166,232 -156,270 -158,330 -164,420", clear(OCHRE_DEEP, 0.42), closed=False, taper=4.0),
    Shape("164,236 140,262 100,276", clear(OCHRE_DEEP, 0.22), closed=False, taper=8.0),
    Shape("-164,236 -140,262 -110,272", clear(OCHRE_DEEP, 0.18), closed=False, taper=7.0),
    Shape("70,166 104,190 138,236", clear(OCHRE_DEEP, 0.16), closed=False, taper=5.0),
    Shape("-70,166 -104,190 -138,236", clear(OCHRE_DEEP, 0.14), closed=False, taper=5.0),
    Shape("-60,151 -42,186 0,207 42,186 60,151 70,160 52,200 0,226 -52,200 -70,160", clear(OCHRE_DEEP, 0.35)),
    Shape("-49,146 -34,174 0,190 34,174 49,146 55,148 40,182 0,199 -40,182 -55,148", "#f3efe6"),
    Shape(
        "-53,145! -40,176 0,195 40,176 53,145! 67,152! 54,192 0,217 -54,192 -67,152!",
        Linear((-50, 0), (60, 0), ((OCHRE_LIGHT, 0), (OCHRE, 0.5), (OCHRE_SHADE, 1))),
    ),
    *(
        Shape(f"{x0},{y0} {x1},{y1}", clear(OCHRE_DEEP, 0.34), closed=False, stroke=1.0, mirror="twin")
        for x0, y0, x1, y1 in (
            (3, 196, 4, 214), (11, 194.5, 14, 212.5), (19, 191, 25, 209), (27, 186.5, 36, 203.5),
            (34, 181, 46, 196), (40.5, 174, 55, 187), (46, 166, 61, 176), (50, 157, 65, 165),
        )
    ),
)  # fmt: skip

STUDIO = Backdrop(
    wall=(("#8ea3ad", 0.0), ("#647d8c", 0.5), ("#3f5666", 1.0)),
    glow="#fff2dc",
    things=(
        Shape("-94,-44! -50,-44! -50,-16! -94,-16!", "#d9c7a8"),
        Shape("-91,-41! -53,-41! -53,-19! -91,-19!", Linear((-90, -40), (-54, -20), (("#c46b4a", 0), ("#e3a56c", 1)))),
        Shape("-84,-19! -72,-34 -64,-24 -58,-30 -53,-19!", "#7d4636"),
        Shape("-100,26! -46,26! -46,60! -100,60!", "#6b4c3b"),
        Shape("-98,22! -44,22! -44,27! -98,27!", "#8b6550"),
        Shape("-80,22! -78,4! -66,4! -64,22!", "#e8e0d2"),
        Shape("-72,4 -84,-8 -88,-20 -76,-12", "#5d8a63"),
        Shape("-72,4 -70,-14 -62,-22 -62,-8", "#47734f"),
        Shape("-72,4 -60,-2 -52,-4 -60,4", "#6c9a70"),
        Shape("60,-60! 104,-60! 104,60! 60,60!", Linear((60, 0), (104, 0), (("#4a5f6d", 0), ("#374b59", 1)))),
        Shape("74,-30! 78,-30! 78,24! 74,24!", "#2b3a45"),
        Shape("62,-38! 90,-38! 84,-58! 68,-58!", Linear((60, -58), (60, -36), (("#ffe2ab", 0), ("#ffd08a", 1)))),
        Shape("66,24! 86,24! 88,28! 64,28!", "#2b3a45"),
        Shape("56,28! 110,28! 110,33! 56,33!", "#8b6550"),
    ),
    lights=((76, -44, 15, "#ffdf9f"), (44, 2, 3.4, "#ffe9c4"), (-40, -48, 3.0, "#ffffff")),
)  # fmt: skip

CHARACTER = Character(
    name="milo",
    skin=SKIN,
    eyes=Eyes(
        iris="#4a2c1b", iris_dark="#22120c", iris_light="#82512f", lash="#170d0a", lid="#7c4a32", crease="#3a1b12a0",
        height=16.5, iris_radius=9.9, tilt=0.8, lashes=0.22, line=2.0, sclera="#f4ede6",
    ),
    brows=Brows(colour="#1d1310", thickness=7.2, arch=4.2, y=-26.0, length=42.0),
    mouth=Mouth(
        upper="#8a4a3c", lower="#98543f", line="#381612", light="#b87a64", y=76.0, half_width=26.5,
        upper_height=8.4, lower_height=10.4, smile=4.4, teeth="#efe5d8", fold=0.0, throat="#48161a", tongue="#b2524f",
    ),
    backdrop=STUDIO,
    neck=neck(SKIN, 50, 120),
    body=BODY,
    arms=Arms(OCHRE_LIGHT, OCHRE, OCHRE_SHADE, x=176, hand=1.04, width=43),
    ears=ears(SKIN, x=78, y=17, size=1.05),
    face_art=(
        *face(SKIN, FACE, 120, blush=0.16),
        Shape(translate_outline(CROP, 2, 5), clear(SKIN.deep, 0.30), lift=0.9, inside="face"),
        Shape(
            translate_outline(BEARD, 0, -3),
            Linear((0, 10), (0, 120), ((clear(HAIR, 0.0), 0), (clear(HAIR, 0.22), 0.5), (clear(HAIR, 0.45), 1))),
            jaw=1.0, lift=0.55, inside="face",
        ),
        Shape(
            BEARD,
            Linear((0, 8), (0, 122), ((clear(HAIR, 0.18), 0), (clear(HAIR, 0.40), 0.45), (clear(HAIR, 0.52), 1))),
            jaw=1.0, lift=0.55, inside="face", name="beard",
        ),
        Curls("beard", 80, 1.9, 0.8, (HAIR_LIGHT + "70",), seed=12, jaw=1.0, lift=0.55),
    ),
    nose=nose(SKIN, 17.5, 42),
    hair_front=(
        Shape(
            scallop(CROP, 1.5, 5.5, -58), Linear((-14, -130), (6, 26), ((HAIR_LIGHT, 0), (HAIR, 0.34), (HAIR, 0.62), (HAIR_SIDE, 0.80), (HAIR_SIDE + "40", 1))),
            lift=0.9, name="crop",
        ),
        Shape("-60,-110 0,-130 50,-112 20,-78 -50,-84", Radial((-20, -112), 52, soft("#6b5140", 0.5), 0.5), lift=0.9, inside="crop"),
        Curls("crop", 150, 2.7, 1.15, ("#0d080770", "#5a443655"), seed=5, lift=0.9),
    ),
    top=-133.0,
    reach=262.0,
)  # fmt: skip
