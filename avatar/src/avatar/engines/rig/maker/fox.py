"""The fox: a drawn animal who speaks. Used by `build`."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

from avatar.engines.rig.anatomy import neck
from avatar.engines.rig.artwork import (
    Arms,
    Art,
    Backdrop,
    Brows,
    Character,
    Eyes,
    Linear,
    Mouth,
    Radial,
    Shape,
    Strands,
)
from avatar.engines.rig.maker.palettes import FUR
from avatar.engines.rig.paint import blend, clear, soft
from avatar.spec.design import Design

CREAM, CREAM_SHADE, SOOT = "#fff3e2", "#ecd3b6", "#3a2420"
FACE = "0,-94 36,-90 62,-72 78,-42 86,-8 96,22 118,50! 98,60 104,76! 84,80 62,96 40,110 18,118 0,120"
MUZZLE = "0,22 14,26 26,40 46,46 74,42 98,44 118,50! 98,60 104,76! 84,80 62,96 40,110 18,118 0,120"
EAR = "24,-82! 40,-120 66,-168 84,-176! 92,-140 92,-98 84,-50!"
INNER = "44,-88! 54,-118 72,-152 78,-152! 82,-124 80,-94 76,-66!"


def fox(design: Design, body: tuple[Art, ...], arms: Arms, backdrop: Backdrop) -> Character:
    """Returns the fox in these clothes."""
    skin = FUR
    return Character(
        name="fox", skin=skin,
        eyes=Eyes(
            iris="#7a4a1c", iris_dark="#2b1608", iris_light="#e0a24a", lash=SOOT, lid=blend(skin.base, skin.shade, 0.6),
            crease=clear(skin.line, 0.5), height=21.0 * design.eye_size, iris_radius=12.0 * design.eye_size, tilt=2.2,
            lashes=0.25, line=2.6, sclera="#fffaf2",
        ),
        brows=Brows(colour=blend(skin.deep, SOOT, 0.4), thickness=6.4 * design.brows, arch=5.0, y=-29.0, length=34.0),
        mouth=Mouth(
            upper="#a8664a", lower="#b4705a", line="#4a1e18", light="#e0b09a", y=80.0, half_width=23.5, upper_height=3.6,
            lower_height=5.0, smile=6.4, fold=0.25,
        ),
        backdrop=backdrop,
        hair_back=(
            Shape(EAR, Linear((40, -170), (80, -50), ((skin.deep, 0), (skin.base, 0.35), (skin.shade, 1))), mirror="twin", lift=0, depth=-8, swing=0.15),
            Shape(INNER, Linear((70, -150), (66, -66), ((SOOT, 0), ("#8d5a48", 0.5), ("#f0c9a8", 1))), mirror="twin", lift=0, depth=-6, swing=0.15),
        ),
        neck=neck(skin, 44, 118),
        body=(
            *body,
            Shape("0,136! 40,140 58,156! 48,178 54,190! 36,204 38,218! 18,222 0,244!", Linear((-30, 140), (30, 240), ((CREAM, 0), (CREAM_SHADE, 1))), mirror="half"),
        ),
        arms=arms,
        face_art=(
            Shape(FACE, Radial((-26, -26), 160, ((blend(skin.light, skin.base, 0.35), 0), (blend(skin.base, skin.shade, 0.75), 1))), mirror="half", lift=0.55, jaw=1.0, name="face"),
            Shape(MUZZLE, Linear((0, 20), (0, 122), ((CREAM, 0), (CREAM, 0.55), (CREAM_SHADE, 1))), mirror="half", lift=0.6, jaw=1.0, inside="face"),
            Shape("16,-34 26,-46 44,-46 54,-36 40,-38 26,-34", clear(CREAM, 0.75), mirror="twin", inside="face"),
            Shape("40,30 60,24 84,34 70,48 52,46", Radial((64, 38), 20, soft(skin.blush, 0.45), 0.7), mirror="twin", inside="face"),
            Strands("-14,-94 -6,-84 0,-78", "14,-94 6,-84 0,-78", 3, 3.0, (skin.shade + "90",), seed=2),
            Shape("-40,110 0,96 40,110 30,122 -30,122", Radial((0, 118), 40, soft(skin.deep, 0.28), 0.4), jaw=1.0, inside="face"),
        ),
        nose=(
            Shape("-14,18 14,18 17,46 -17,46", Radial((0, 34), 22, soft(skin.shade, 0.20), 0.9), depth=14),
            Shape("0,41! 11,41.5 15,46 12,53 5,59 0,61!", Linear((-6, 42), (10, 60), (("#5a4038", 0), ("#2a1815", 1))), mirror="half", depth=26),
            Shape("-8,45 -3,43.4 3,43.6 0,47 -5,47.6", clear("#ffffff", 0.55), depth=26),
            Shape("0,60 0,66 0,72", clear(SOOT, 0.55), closed=False, taper=1.6, depth=20),
        ),
        hair_front=(
            Shape("-22,-86! -30,-112 -10,-104 -4,-126 8,-106 26,-114 22,-86! 10,-78 0,-72 -10,-78", Linear((0, -124), (0, -74), ((skin.light, 0), (skin.base, 1))), lift=0.9, swing=0.2),
            Shape("-8,-116 -6,-98 -2,-84", clear(skin.shade, 0.6), closed=False, taper=2.0, lift=0.9, swing=0.2),
            Shape("12,-110 8,-96 4,-84", clear(skin.shade, 0.6), closed=False, taper=2.0, lift=0.9, swing=0.2),
        ),
        reach=262.0,
        top=-178.0,
    )  # fmt: skip
