"""Nova, the default presenter: warm, about thirty, chestnut waves, ivory blazer over teal."""

from __future__ import annotations

from avatar.engines.rig.anatomy import ears, face, neck, nose
from avatar.engines.rig.artwork import (
    Backdrop, Brows, Character, Eyes, Linear, Mouth, Radial, Shape, Skin, Strands,
)  # fmt: skip
from avatar.engines.rig.paint import soft

SKIN = Skin(light="#fcd9bf", base="#f2bf9f", shade="#d9957a", deep="#b86f5c", blush="#ea8a78", line="#93483f")
HAIR, HAIR_DARK, HAIR_LIGHT, HAIR_GLOW = "#5b3024", "#3d1e19", "#7f4630", "#b26f45"
IVORY, IVORY_SHADE, IVORY_DEEP = "#f3e9dc", "#d9c7b6", "#b39c8c"
TEAL, TEAL_DARK = "#1f6f74", "#134a52"

FACE = "0,-100 36,-95 62,-72 74,-36 77,0 75,30 69,60 58,86 42,108 22,123 0,128"

CHARACTER = Character(
    name="nova",
    title="Nova",
    skin=SKIN,
    eyes=Eyes(
        iris="#7a4a25", iris_dark="#3a1f14", iris_light="#b97f43", lash="#2a1614", lid="#dd9c80", crease="#a4604fa0"
    ),
    brows=Brows(colour="#4a2720"),
    mouth=Mouth(upper="#c25a58", lower="#d6716a", line="#7e2f33", light="#f6b5a6"),
    backdrop=Backdrop(
        wall=(("#2d4a5e", 0.0), ("#24384c", 0.55), ("#1a2638", 1.0)),
        glow="#6fa3a5",
        lights=(
            (0.12, 0.26, 0.085, "#ffd9a0"), (0.20, 0.52, 0.055, "#ffc58a"), (0.06, 0.66, 0.10, "#8fd3d0"),
            (0.84, 0.20, 0.10, "#ffcf9a"), (0.93, 0.44, 0.07, "#a9dcd6"), (0.80, 0.56, 0.045, "#ffd9a0"),
        ),
    ),
    hair_back=(
        Shape(
            "0,-160 46,-154 84,-122 102,-70 108,-10 116,50 122,110 118,165 98,205 70,222 40,200 0,190",
            Linear((0, -160), (0, 220), ((HAIR, 0), (HAIR_DARK, 0.5), (HAIR_DARK, 1))),
            mirror="half", lift=0.0, depth=-40, swing=0.35,
        ),
    ),
    neck=neck(SKIN, 38),
    body=(
        Shape("0,250 30,214 60,205 78,240 70,1200! 0,1200!", Linear((0, 205), (0, 330), ((TEAL, 0), (TEAL_DARK, 1))), mirror="half"),
        Shape(
            "52,168! 84,184 128,196 162,212 184,246 196,310 206,420 214,1200! 0,1200! 0,372! 44,280 62,220",
            Linear((60, 180), (150, 340), ((IVORY, 0), (IVORY, 0.5), (IVORY_SHADE, 1))),
        ),
        Shape(
            "-52,168! -84,184 -128,196 -162,212 -184,246 -196,310 -206,420 -214,1200! 0,1200! 0,372! -44,280 -62,220",
            Linear((-150, 200), (-20, 360), ((IVORY, 0), (IVORY, 0.7), (IVORY_SHADE, 1))),
        ),
        Shape("50,164! 70,190 92,232! 78,244! 96,258! 40,330 0,392! 34,290 52,226", Linear((40, 200), (90, 300), ((IVORY, 0), (IVORY_SHADE, 1))), mirror="twin"),
        Shape("92,232 78,244 96,258 60,310 6,386", IVORY_DEEP + "90", closed=False, taper=1.6, mirror="twin"),
    ),
    ears=ears(SKIN),
    face_art=face(SKIN, FACE),
    nose=nose(SKIN),
    hair_front=(
        Shape(
            "-18,-104! 10,-96 40,-78 62,-46 74,-8 80,40 88,90 96,140 92,190 116,206 124,150 120,90 112,30 108,-30 98,-92 68,-140 20,-162 -30,-160",
            Linear((0, -160), (110, 120), ((HAIR_LIGHT, 0), (HAIR, 0.4), (HAIR_DARK, 1))),
            lift=0.9, swing=0.6,
        ),
        Shape(
            "-18,-104! -40,-88 -62,-56 -74,-14 -80,40 -86,90 -94,140 -88,190 -112,208 -124,150 -118,90 -112,30 -108,-30 -98,-92 -66,-140 -10,-164 10,-150",
            Linear((0, -160), (-110, 120), ((HAIR_LIGHT, 0), (HAIR, 0.4), (HAIR_DARK, 1))),
            lift=0.9, swing=0.6,
        ),
        Strands(
            "-16,-106 20,-96 54,-66 74,-20 84,40 94,110 98,180", "-20,-158 30,-156 78,-126 104,-70 112,10 122,90 116,190",
            26, 4.0, (HAIR_LIGHT + "b0", HAIR_DARK + "80", HAIR_GLOW + "70"), seed=3, lift=0.9, swing=0.6,
        ),
        Strands(
            "-20,-104 -44,-86 -66,-50 -78,0 -84,60 -92,120 -94,180", "-6,-160 -40,-154 -82,-122 -104,-66 -112,10 -122,90 -112,190",
            26, 4.0, (HAIR_LIGHT + "b0", HAIR_DARK + "80", HAIR_GLOW + "70"), seed=4, lift=0.9, swing=0.6,
        ),
    ),
)  # fmt: skip
