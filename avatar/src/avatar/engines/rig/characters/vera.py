"""Vera: in her sixties, silver bob and round glasses, plum cardigan over a cream roll-neck."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

from avatar.engines.rig.anatomy import circle, ears, face, neck, nose, translate_outline
from avatar.engines.rig.artwork import (
    Arms,
    Backdrop,
    Brows,
    Character,
    Eyes,
    Linear,
    Mouth,
    Shape,
    Skin,
    Strands,
)
from avatar.engines.rig.paint import clear

SKIN = Skin(light="#fde3d4", base="#f3cbb6", shade="#dba58f", deep="#b97c6c", blush="#ea9488", line="#94534b")
SILVER, DARK, LIGHT, WHITE = "#cfcdd4", "#8d8b9a", "#e8e6ea", "#fbfafb"
PLUM, PLUM_LIGHT, PLUM_SHADE, PLUM_DEEP = "#7a3d5c", "#94547a", "#5b2a45", "#3a182c"
CREAM, CREAM_MID, CREAM_SHADE = "#f6ecdd", "#e6d6c2", "#c4ad97"
FRAME = "#4a2b3c"

FACE = "0,-92 35,-88 59,-68 71,-38 75,-6 75,22 71,48 63,72 47,95 25,111 0,116"

SWEEP = (
    "30,-92! 8,-83 -22,-70 -46,-48 -61,-22 -68,8 -72,38 -70,62 -60,84! -66,90 -64,98! -84,92 -102,70 -110,36 -114,0 -112,-42 "
    "-100,-86 -72,-120 -32,-138 6,-140 31,-130"
)
FALL = (
    "30,-92! 47,-74 60,-50 68,-24 72,6 75,38 73,62 64,84! 70,90 68,97! 88,90 103,70 110,36 113,0 110,-42 99,-82 76,-112 "
    "50,-128 27,-133"
)
BACK = "0,-126 56,-116 92,-80 106,-30 107,30 98,66 78,86 50,92 0,92 -50,92 -78,86 -99,66 -107,30 -106,-30 -92,-80 -56,-116"
SHEEN = (
    (SILVER, 0.0),
    (LIGHT, 0.14),
    (WHITE, 0.28),
    (SILVER, 0.48),
    (DARK, 0.76),
    (SILVER, 0.9),
    (LIGHT, 1.0),
)
TINTS = (WHITE + "c0", DARK + "70", SILVER + "c0")

CARDIGAN = "46,158! 84,172 126,183 160,198 184,230 196,292 207,420 215,1200! 0,1200! 0,380! 30,290 46,220"
EDGE = "44,156! 60,196 56,240 36,300 4,386 -8,380! 22,290 40,230 42,190"

BODY = (
    Shape("0,150 38,146 46,170 70,200 80,260 70,1200! 0,1200!", Linear((-40, 150), (50, 300), ((CREAM, 0), (CREAM_MID, 0.6), (CREAM_SHADE, 1))), mirror="half"),
    Shape("-41,138! -30,144 0,149 30,144 41,138! 46,176 24,190 0,193 -24,190 -46,176", Linear((-46, 0), (46, 0), ((CREAM_MID, 0), (CREAM, 0.3), (CREAM, 0.55), (CREAM_SHADE, 1)))),
    *(
        Shape(f"{x},{y} {x * 1.05:.1f},166 {x * 1.1:.1f},{y + 43}", clear(CREAM_SHADE, 0.55), closed=False, stroke=0.9, mirror="twin")
        for x, y in ((4, 149), (12, 148), (20, 146.5), (28, 144.5), (35, 141.5))
    ),
    Shape("-44,178 -22,193 0,197 22,193 44,178", clear("#8d735e", 0.5), closed=False, taper=2.6),
    Shape(translate_outline(EDGE, -5, 4), clear("#8d735e", 0.35)),
    Shape("-46,158! -84,172 -126,183 -160,198 -184,230 -196,292 -207,420 -215,1200! 0,1200! 0,380! -30,290 -46,220", Linear((-170, 180), (-10, 380), ((PLUM_LIGHT, 0), (PLUM_SHADE, 1)))),
    Shape(CARDIGAN, Linear((40, 170), (200, 320), ((PLUM_LIGHT, 0), (PLUM_SHADE, 1)))),
    Shape(EDGE, Linear((40, 160), (20, 390), ((PLUM_LIGHT, 0), (PLUM, 1))), mirror="twin"),
    Shape("60,196 56,240 36,300 4,386", clear(PLUM_DEEP, 0.5), closed=False, taper=1.4, mirror="twin"),
    Shape("152,232 143,272 146,320 150,420", clear(PLUM_DEEP, 0.5), closed=False, taper=4.5, mirror="twin"),
    Shape("150,236 126,258 98,268", clear(PLUM_DEEP, 0.25), closed=False, taper=6.0, mirror="twin"),
    Shape("72,168 96,196 110,240", clear(PLUM_DEEP, 0.22), closed=False, taper=4.0, mirror="twin"),
)  # fmt: skip

GLASSES = (
    Shape(circle(32, 2, 25, 0.92), Linear((10, -20), (54, 24), (("#ffffff30", 0), ("#ffffff08", 0.5), ("#ffffff1c", 1))), depth=8, mirror="twin"),
    Shape(circle(32, 2.5, 25.5, 0.92), clear(SKIN.deep, 0.30), stroke=2.0, depth=6, mirror="twin"),
    Shape(circle(32, 2, 25, 0.92), FRAME, stroke=2.7, depth=10, mirror="twin"),
    Shape("-7.5,-2 0,-6 7.5,-2", FRAME, closed=False, stroke=2.8, depth=16),
    Shape("56.5,-3 68,-6 77,-7", FRAME, closed=False, stroke=2.8, depth=2, mirror="twin"),
    Shape("14,-12 22,-18.5 30,-20", "#ffffff90", closed=False, taper=1.5, depth=10),
    Shape("-50,-12 -42,-18.5 -34,-20", "#ffffff90", closed=False, taper=1.5, depth=10),
)  # fmt: skip

AGE = (
    Shape("-18,53 -27,63 -31,74", clear(SKIN.shade, 0.50), closed=False, taper=2.0, jaw=0.3),
    Shape("18,53 27,63 31,74", clear(SKIN.shade, 0.58), closed=False, taper=2.0, jaw=0.3),
    Shape("22,15.5 33,19 44,15", clear(SKIN.shade, 0.60), closed=False, taper=1.5, mirror="twin"),
    Shape("54,-4 61,-8", clear(SKIN.shade, 0.5), closed=False, stroke=0.9, mirror="twin"),
    Shape("55,1 63,1", clear(SKIN.shade, 0.5), closed=False, stroke=0.9, mirror="twin"),
    Shape("54,6 61,9", clear(SKIN.shade, 0.45), closed=False, stroke=0.9, mirror="twin"),
    Shape("-30,-54 -10,-57 12,-57 32,-53", clear(SKIN.shade, 0.34), closed=False, taper=1.4),
    Shape("-24,-64 0,-67 24,-64", clear(SKIN.shade, 0.24), closed=False, taper=1.3),
)  # fmt: skip

STUDIO = Backdrop(
    wall=(("#b98d77", 0.0), ("#8f6558", 0.5), ("#5a3d3b", 1.0)),
    glow="#ffe6c4",
    things=(
        *(
            Shape(f"{x},{y}! {x + w},{y}! {x + w},{y + h}! {x},{y + h}!", tint)
            for x, y, w, h, tint in (
                (-100, -52, 56, 112, "#6d4a3c"), (-97, -49, 50, 30, "#4b3029"), (-97, -16, 50, 30, "#4b3029"),
                (-97, 17, 50, 34, "#4b3029"), (-94, -43, 6, 24, "#c9805a"), (-87, -46, 5, 27, "#e2c08e"),
                (-81, -40, 7, 21, "#7f9a8b"), (-73, -45, 5, 26, "#b25b4d"), (-67, -42, 6, 23, "#d8cdbb"),
                (-60, -44, 5, 25, "#5f7f8c"), (-93, -8, 7, 22, "#e0b072"), (-85, -11, 5, 25, "#8d4f5d"),
                (-79, -6, 6, 20, "#d9c9b2"), (-64, -10, 6, 24, "#7a9484"), (-57, -7, 5, 21, "#c98a62"),
                (56, -46, 26, 32, "#e9dcc8"), (59, -43, 20, 26, "#93a79a"), (88, -34, 18, 24, "#e9dcc8"),
                (90.5, -31.5, 13, 19, "#c98d72"), (40, 30, 70, 40, "#6d4a3c"), (38, 26, 74, 5, "#8a6350"),
            )
        ),
        Shape("66,26! 62,10 70,2 80,2 88,10 84,26!", "#e6d9c7"),
        Shape("75,4 60,-10 56,-26 68,-16", "#7f9a72"),
        Shape("75,4 74,-18 82,-30 84,-14", "#66855f"),
        Shape("75,4 90,-8 100,-8 90,2", "#90ab80"),
    ),
    lights=((-70, 6, 4.0, "#ffe2b0"), (44, -2, 4.6, "#ffdca6"), (30, -44, 2.8, "#fff1d6")),
)  # fmt: skip

CHARACTER = Character(
    name="vera",
    skin=SKIN,
    eyes=Eyes(
        iris="#5a7f8e", iris_dark="#2c4452", iris_light="#a3c3c6", lash="#4a3634", lid="#e0ac9a", crease="#a8685cb0",
        height=17.5, iris_radius=10.2, tilt=0.6, lashes=0.45, line=1.9,
    ),
    brows=Brows(colour="#94868a", thickness=5.6, arch=5.0, y=-29.0, length=40.0),
    mouth=Mouth(
        upper="#b85a60", lower="#cd7376", line="#7a3238", light="#f3bdb4", y=77.0, half_width=24.5,
        upper_height=6.2, lower_height=8.6, smile=5.0,
    ),
    backdrop=STUDIO,
    hair_back=(Shape(BACK, "#83818f", lift=0, depth=-34, swing=0.3),),
    neck=neck(SKIN, 39, 115),
    body=BODY,
    arms=Arms(PLUM_LIGHT, PLUM, PLUM_SHADE, hand=0.92, width=38, cuff=CREAM),
    ears=ears(SKIN),
    face_art=(
        *face(SKIN, FACE, 115, blush=0.30),
        *AGE,
        Shape(translate_outline(SWEEP, 3, 6), clear(SKIN.deep, 0.28), lift=0.9, inside="face"),
        Shape(translate_outline(FALL, -3, 6), clear(SKIN.deep, 0.24), lift=0.9, inside="face"),
    ),
    nose=nose(SKIN, 14.5, 42),
    glasses=GLASSES,
    hair_front=(
        Shape(FALL, Linear((20, -136), (96, 96), SHEEN), lift=0.9, swing=0.35),
        Strands("31,-94 48,-76 61,-50 69,-22 74,10 77,42 74,66 66,86", "29,-130 54,-122 80,-104 100,-70 108,-30 111,10 106,50 86,88", 10, 3.2, TINTS, seed=4, lift=0.92, swing=0.35),
        Shape(SWEEP, Linear((10, -142), (-84, 98), SHEEN), lift=0.9, swing=0.35),
        Shape(
            "30,-94! -6,-90 -36,-70 -58,-40 -68,-8 -74,28 -74,60 -62,86! -82,74 -90,44 -90,8 -84,-28 -66,-64 -36,-92 0,-106",
            Linear((20, -100), (-80, 90), ((DARK + "20", 0), (DARK + "90", 0.4), (DARK + "70", 0.8), (DARK + "20", 1))), lift=0.93, swing=0.35,
        ),
        Strands("29,-93 4,-85 -26,-70 -48,-48 -63,-20 -70,12 -74,42 -70,66 -62,86", "30,-129 -2,-136 -42,-132 -78,-108 -102,-66 -112,-20 -112,20 -104,60 -78,92", 12, 3.6, TINTS, seed=8, lift=0.92, swing=0.35),
    ),
    top=-141.0,
)  # fmt: skip
