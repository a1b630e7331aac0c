"""Nova, the default presenter: warm, about thirty, chestnut waves tucked behind one ear, ivory blazer over
teal.
"""

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
    Radial,
    Shape,
    Skin,
    Strands,
)
from avatar.engines.rig.paint import clear

SKIN = Skin(light="#fddcc4", base="#f3c2a2", shade="#dd9b80", deep="#b96f5c", blush="#ee8f7e", line="#93483f")
HAIR, DARK, LIGHT, GLOW = "#60321f", "#371a14", "#8a4d2e", "#c98a55"
IVORY, IVORY_MID, IVORY_SHADE, IVORY_DEEP = "#f7eee2", "#e9dccb", "#cfbba8", "#9b8574"
TEAL, TEAL_DARK = "#23808a", "#124650"
GOLD = "#e2b768"

FACE = "0,-92 34,-88 58,-68 70.5,-38 75,-6 74.5,22 69,48 59,73 43,95 22,110.5 0,116"

SWEEP = (
    "-30,-90! -8,-84 22,-72 47,-52 63,-24 69,12 70,50 78,86 83,122 77,156 74,196! 88,186 92,200! 110,188 125,158 126,118 "
    "116,78 114,34 114,-14 106,-62 80,-104 38,-128 -4,-134 -29,-126"
)
TUCK = "-30,-90! -46,-74 -60,-50 -68,-28 -72,-6 -84,2 -96,16! -105,-8 -106,-44 -96,-82 -72,-112 -42,-128 -25,-130"
OUTLINE_BACK = (
    "-20,-122 34,-119 74,-98 99,-60 109,-18 112,40 118,100 114,160 92,196 40,206 -40,206 -94,200 -118,168 "
    "-120,124 -109,84 -107,40 -106,-10 -102,-44 -90,-78 -62,-104"
)
SHEEN = (
    (DARK, 0.0),
    (HAIR, 0.10),
    (GLOW, 0.22),
    (LIGHT, 0.30),
    (HAIR, 0.46),
    (DARK, 0.70),
    (HAIR, 0.86),
    (LIGHT, 1.0),
)

HAIR_BACK = (
    Shape(OUTLINE_BACK, DARK, lift=0, depth=-36, swing=0.5),
    Shape(
        "-90,10! -103,24 -108,78 -119,122 -117,166 -97,199 -58,207! -74,170 -77,120 -80,70 -82,34",
        Linear((-110, 20), (-84, 206), ((DARK, 0), (HAIR, 0.45), (LIGHT, 1))), lift=0, depth=-36, swing=0.5,
    ),
    Strands("-83,24 -82,90 -79,150 -68,202", "-102,24 -106,90 -115,140 -100,196", 8, 4.2, (DARK + "90", GLOW + "80", LIGHT), seed=9, lift=0, depth=-36, swing=0.5),
)  # fmt: skip

HAIR_FRONT = (
    Shape(TUCK, Linear((-30, -140), (-96, 30), ((DARK, 0), (HAIR, 0.16), (GLOW, 0.34), (HAIR, 0.58), (DARK, 1))), lift=0.9, swing=0.2),
    Strands(
        "-29,-93 -44,-77 -58,-52 -67,-28 -74,-2", "-26,-128 -60,-113 -91,-80 -102,-40 -99,8",
        7, 3.4, (LIGHT + "c0", DARK + "90", GLOW + "80"), seed=4, lift=0.9, swing=0.2,
    ),
    Shape(SWEEP, Linear((-10, -146), (60, 206), SHEEN), lift=0.9, swing=0.6),
    Shape(
        "-30,-90! -2,-88 28,-75 52,-52 67,-22 74,16 77,54 86,90 90,126 83,162 74,196! 92,162 101,128 98,92 88,54 "
        "85,14 79,-26 62,-60 36,-82 2,-93",
        Linear((-30, -90), (90, 200), ((DARK + "60", 0), (DARK + "c0", 0.15), (HAIR + "90", 0.5), (DARK + "d0", 0.75), (DARK + "60", 1))),
        lift=0.95, swing=0.6,
    ),
    Shape(
        "-30,-96! 10,-106 52,-88 82,-50 97,-6 100,38 104,78 113,116 110,152 92,200! 102,152 103,118 94,80 90,38 "
        "86,0 72,-42 46,-76 8,-97",
        Linear((0, -112), (90, 200), ((LIGHT + "00", 0), (GLOW + "b0", 0.20), (LIGHT + "70", 0.42), (HAIR + "00", 0.60), (LIGHT + "90", 0.82), (GLOW + "50", 1))),
        lift=0.95, swing=0.6,
    ),
    Strands(
        "-28,-92 2,-90 34,-76 56,-50 68,-16 73,20 75,56 83,92 87,128 82,164 77,192",
        "-26,-128 18,-128 64,-109 98,-70 109,-16 111,36 114,78 123,122 121,160 96,196",
        8, 3.4, (LIGHT + "b0", DARK + "88", GLOW + "80"), seed=5, lift=0.95, swing=0.6,
    ),
    Shape("50,-122 84,-98 105,-60 112.5,-14 112.5,34 114.5,79 124,120 123,156", clear("#ffe0b4", 0.50), closed=False, taper=2.0, lift=0.9, swing=0.6),
)  # fmt: skip

FRONT_LEFT = (
    "-48,156! -84,174 -126,185 -160,200 -183,231 -195,292 -206,420 -214,1200! 0,1200! -2,366! -40,280 -56,216"
)
FRONT_RIGHT = "48,156! 84,174 126,185 160,200 183,231 195,292 206,420 214,1200! 0,1200! -2,366! 40,280 56,216"
LAPEL = "47,152! 64,166 80,190 97,224! 80,236! 104,246! 84,290 -2,384! 30,286 48,220"
COLLAR = "42,148! 58,156 78,180 97,224! 80,236! 66,214 50,190!"

BODY = (
    Shape("0,226 26,217 54,198 80,230 70,1200! 0,1200!", Linear((-30, 195), (40, 330), ((TEAL, 0), (TEAL_DARK, 1))), mirror="half"),
    Shape("-54,199 -28,217.5 0,227 28,217.5 54,199", clear("#0b2c33", 0.5), closed=False, taper=2.4),
    Shape(FRONT_LEFT, Linear((-120, 180), (-20, 370), ((IVORY, 0), (IVORY_MID, 1)))),
    Shape(FRONT_RIGHT, Linear((70, 180), (200, 320), ((IVORY, 0), (IVORY_SHADE, 1)))),
    Shape("150,228 142,270 146,320 150,420", clear(IVORY_DEEP, 0.42), closed=False, taper=5.0),
    Shape("-150,228 -144,270 -147,320 -150,420", clear(IVORY_DEEP, 0.34), closed=False, taper=4.0),
    Shape("150,232 128,254 104,262", clear(IVORY_DEEP, 0.22), closed=False, taper=6.0),
    Shape("-150,232 -128,252 -110,258", clear(IVORY_DEEP, 0.18), closed=False, taper=6.0),
    Shape(translate_outline(LAPEL, 4, 4), clear(IVORY_DEEP, 0.28), mirror="twin"),
    Shape(LAPEL, Linear((44, 170), (92, 320), ((IVORY, 0), (IVORY_MID, 1))), mirror="twin"),
    Shape(translate_outline(COLLAR, 1.5, 2.5), clear(IVORY_DEEP, 0.25), mirror="twin"),
    Shape(COLLAR, Linear((44, 150), (92, 226), ((IVORY_SHADE, 0), (IVORY, 1))), mirror="twin"),
    Shape("-46,158 -32,186 0,206 32,186 46,158", GOLD, closed=False, stroke=1.1),
    Shape("0,205 4.4,210.5 0,217 -4.4,210.5", Radial((-1, 208.5), 7.5, (("#fff2cf", 0), (GOLD, 0.6), ("#a97c34", 1)))),
)  # fmt: skip

EARRINGS = (
    Shape(circle(-77, 52, 7.2, 1.1), "#b98a3c", stroke=2.3, lift=0, depth=-2, swing=0.5),
    Shape("-77,44.6 -71.5,48 -70.5,55", "#ffe9b8", closed=False, stroke=1.0, lift=0, depth=-2, swing=0.5),
)

STUDIO = Backdrop(
    wall=(("#44697a", 0.0), ("#2f5264", 0.5), ("#22384a", 1.0)),
    glow="#ffe3bd",
    things=(
        Shape("-92,-60! -48,-60! -48,14! -92,14!", Linear((-92, -50), (-48, 10), (("#fff0d6", 0), ("#ffd9a6", 0.6), ("#e9b981", 1)))),
        Shape("-71,-60! -69,-60! -69,14! -71,14!", "#5d5a52"),
        Shape("-92,-22! -48,-22! -48,-20! -92,-20!", "#5d5a52"),
        Shape("46,-16! 96,-16! 96,-12.5! 46,-12.5!", "#8a5f45"),
        Shape("46,14! 96,14! 96,17.5! 46,17.5!", "#7d553e"),
        Shape("50,-34! 54,-34! 54,-16! 50,-16!", "#d98a5c"),
        Shape("54.5,-36! 58,-36! 58,-16! 54.5,-16!", "#e7c59a"),
        Shape("58.5,-32! 63,-32! 63,-16! 58.5,-16!", "#a84f45"),
        Shape("63.5,-35! 66,-35! 66,-16! 63.5,-16!", "#4e93a0"),
        Shape("78,-26 84,-28 90,-26 92,-18 88,-16! 80,-16! 76,-18", "#e9e0d2"),
        Shape("84,-27 74,-38 72,-48 82,-40", "#5f8f6c"),
        Shape("84,-27 86,-44 92,-52 92,-38", "#4c7d5e"),
        Shape("84,-27 96,-34 102,-34 94,-26", "#6f9f78"),
        Shape("52,4! 62,4! 62,14! 52,14!", "#c98f6a"),
        Shape("66,-4! 70,-4! 70,14! 66,14!", "#3f7280"),
        Shape("71,-2! 74,-2! 74,14! 71,14!", "#e3b27c"),
        Shape("75,-5! 79,-5! 79,14! 75,14!", "#d8d2c4"),
        Shape("-90,60 -96,20 -84,-4 -78,20 -80,60", "#2f6a58"),
        Shape("-80,60 -76,24 -62,8 -60,24 -70,60", "#3c7a62"),
        Shape("-96,60 -110,30 -106,14 -94,28 -88,60", "#28594c"),
    ),
    lights=((44, -36, 4.2, "#ffd79a"), (100, 34, 5.0, "#ffcf92"), (-36, 32, 3.2, "#ffe0b0")),
)  # fmt: skip

CHARACTER = Character(
    name="nova",
    skin=SKIN,
    eyes=Eyes(
        iris="#80502a", iris_dark="#3b2115", iris_light="#c58a4a", lash="#2a1614", lid="#d9957c", crease="#a4604fa0",
        height=20.0, iris_radius=11.2,
    ),
    brows=Brows(colour="#54301f", y=-27.5, arch=6.2, thickness=5.8),
    mouth=Mouth(upper="#c45f5c", lower="#da7a72", line="#7e2f33", light="#fbc4b4", y=76.0, smile=6.4, half_width=25.5),
    backdrop=STUDIO,
    hair_back=HAIR_BACK,
    neck=neck(SKIN, 38, 115),
    body=BODY,
    arms=Arms(IVORY, IVORY_MID, IVORY_SHADE, hand=0.92, width=37, nails="#e2776f"),
    ears=(*ears(SKIN), *EARRINGS),
    face_art=(
        *face(SKIN, FACE),
        Shape(translate_outline(SWEEP, -3, 6), clear(SKIN.deep, 0.30), lift=0.9, inside="face"),
        Shape(translate_outline(TUCK, 3, 6), clear(SKIN.deep, 0.24), lift=0.9, inside="face"),
    ),
    nose=nose(SKIN),
    hair_front=HAIR_FRONT,
    top=-135.0,
)  # fmt: skip
