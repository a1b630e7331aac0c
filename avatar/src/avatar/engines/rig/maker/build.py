"""Puts the parts of a design together to one character. Called by `open_rig`."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

import numpy as np

from avatar.engines.rig.anatomy import circle, ears, face, neck, nose, translate_outline
from avatar.engines.rig.artwork import Art, Brows, Character, Curls, Eyes, Linear, Mouth, Shape, Skin
from avatar.engines.rig.characters import milo, nova, vera
from avatar.engines.rig.maker.clothes import clothes_of, wheelchair
from avatar.engines.rig.maker.fox import fox
from avatar.engines.rig.maker.hair import hair_of
from avatar.engines.rig.maker.palettes import LIPS, SKINS, recolour, tones
from avatar.engines.rig.paint import blend, clear
from avatar.spec.design import Design

FACES: dict[str, tuple[str, float, float]] = {
    # Outline, lowest point of the chin, half width of the neck.
    "oval": (nova.FACE, 115, 39),
    "square": (milo.FACE, 120, 48),
    "round": ("0,-92 36,-88 61,-68 74,-38 78.5,-4 79,26 74,54 62,78 44,97 22,110 0,115", 114, 42),
    "heart": ("0,-93 37,-89 62,-70 75,-38 77,-6 73,24 65,50 53,74 37,96 18,112 0,118", 117, 37),
    "long": ("0,-94 34,-90 58,-70 70,-38 74,-4 74,28 70,56 61,82 44,106 22,121 0,126", 125, 41),
}
SETS = {"study": nova.STUDIO, "living-room": milo.STUDIO, "library": vera.STUDIO}


def build_character(design: Design) -> Character:
    """Returns the character of a design; the same design gives the same art."""
    if design.kind == "fox":
        return fox(design, *clothes_of(design), SETS[design.set])
    skin = SKINS[design.skin]
    outline, chin, neck_width = FACES[design.face]
    hair = hair_of(design, skin)
    body, arms = clothes_of(design)
    hidden = not hair.ears
    adornments = _earrings() if design.earrings and hair.ears else ()
    lips = design.lips or LIPS[design.skin]
    hair_tones = tones("#4a3428" if hair.over_body or design.hair == "turban" else design.hair_colour)
    return Character(
        name="design",
        skin=skin,
        eyes=_eyes(design, skin),
        brows=Brows(
            colour=blend(hair_tones.deep, hair_tones.dark, 0.5) if design.age == "adult" else hair_tones.dark,
            thickness=6.0 * design.brows, arch=5.2, y=-27.5, length=41.0,
        ),
        mouth=Mouth(
            upper=blend(lips, skin.deep, 0.22), lower=lips, line=blend(skin.line, "#300c0c", 0.3),
            light=blend(lips, "#ffffff", 0.55), y=76.5 if chin < 120 else 79.0, half_width=25.5, smile=4.8,
            upper_height=7.0 if design.age == "adult" else 6.2,
            fold=0.0 if design.beard == "full" else 0.5,
        ),
        backdrop=SETS[design.set],
        behind=wheelchair() if design.wheelchair else (),
        hair_back=hair.back,
        neck=neck(skin, neck_width, chin),
        body=(*body, *hair.over_body),
        arms=arms,
        ears=() if hidden else (*ears(skin, x=76 if design.face != "square" else 78), *adornments),
        face_art=(*face(skin, outline, chin, blush=0.30 if design.skin in ("porcelain", "light", "olive") else 0.18),
                  *_marks(design, skin), *hair.shadow, *_beard(design, hair_tones.base)),
        nose=nose(skin, 14.0 if design.face != "square" else 17.0, 41.5),
        glasses=_glasses(design, skin),
        hair_front=hair.front,
        reach=max(235.0, 285.0 if design.wheelchair else 0.0, 262.0 if design.clothes in ("jumper", "shirt", "hoodie") else 0.0),
        top=hair.top,
    )  # fmt: skip


def _eyes(design: Design, skin: Skin) -> Eyes:
    t = tones(design.eyes)
    lid = blend(skin.base, skin.shade, 0.75)
    older = design.age == "older"
    return Eyes(
        iris=design.eyes, iris_dark=t.deep, iris_light=t.glow, lash=blend(skin.line, "#100808", 0.75), lid=lid,
        crease=clear(skin.line, 0.62), height=(17.0 if older else 18.6) * design.eye_size,
        iris_radius=10.4 * design.eye_size, tilt=0.7 if older else 1.4,
        lashes=design.lashes * (0.5 if older else 1.0), line=2.1,
    )  # fmt: skip


def _marks(design: Design, skin: Skin) -> tuple[Art, ...]:
    """Lines of age and freckles."""
    marks: list[Art] = []
    if design.age == "older":
        marks += recolour(vera.AGE, {vera.SKIN.shade: blend(skin.shade, skin.deep, 0.35)})
    if design.freckles:
        rng = np.random.default_rng(design.seed)
        for _ in range(26):
            x, y = rng.normal(0.0, 30.0), rng.normal(34.0, 8.0)
            if 8.0 < abs(x) < 62.0 and y > 18.0:
                marks.append(
                    Shape(
                        circle(round(x, 1), round(y, 1), rng.uniform(0.8, 1.5)),
                        clear(skin.deep, 0.34),
                        inside="face",
                    )
                )
    return tuple(marks)


def _beard(design: Design, colour: str) -> tuple[Art, ...]:
    if design.beard == "none":
        return ()
    strong = 1.0 if design.beard == "full" else 0.22
    dark = blend(
        colour, "#000000" if design.beard == "full" else "#5c4a46", 0.1 if design.beard == "full" else 0.7
    )
    art: list[Art] = [
        Shape(
            translate_outline(milo.BEARD, 0, -3),
            Linear((0, 10), (0, 120), ((clear(dark, 0.0), 0), (clear(dark, 0.30 * strong), 0.5), (clear(dark, 0.6 * strong), 1))),
            jaw=1.0, lift=0.55, inside="face",
        ),
        Shape(
            milo.BEARD,
            Linear((0, 8), (0, 122), ((clear(dark, 0.25 * strong), 0), (clear(dark, 0.66 * strong), 0.45), (clear(dark, 0.86 * strong), 1))),
            jaw=1.0, lift=0.55, inside="face", name="beard",
        ),
    ]  # fmt: skip
    if design.beard == "full":
        t = tones(colour)
        art.append(
            Curls(
                "beard", 110, 2.4, 0.9, (t.glow + "58", t.deep + "60"), seed=design.seed, jaw=1.0, lift=0.55
            )
        )
    return tuple(art)


def _glasses(design: Design, skin: Skin) -> tuple[Art, ...]:
    if design.glasses == "none":
        return ()
    if design.glasses == "round":
        return recolour(vera.GLASSES, {vera.FRAME: design.glasses_colour, vera.SKIN.deep: skin.deep})
    lens = "10,-15 16,-19 48,-19 56,-14 56,8 50,19 34,22 17,19 10,8"
    frame = design.glasses_colour
    return (
        Shape(lens, Linear((10, -20), (54, 24), (("#ffffff2c", 0), ("#ffffff08", 0.5), ("#ffffff18", 1))), depth=8, mirror="twin"),
        Shape(translate_outline(lens, 0, 1), clear(skin.deep, 0.30), stroke=2.2, depth=6, mirror="twin"),
        Shape(lens, frame, stroke=3.2, depth=10, mirror="twin"),
        Shape("-10,-5 0,-8 10,-5", frame, closed=False, stroke=3.0, depth=16),
        Shape("56,-8 68,-9 77,-9", frame, closed=False, stroke=3.0, depth=2, mirror="twin"),
        Shape("15,-11 24,-16 32,-16", "#ffffff80", closed=False, taper=1.5, depth=10),
    )  # fmt: skip


def _earrings() -> tuple[Art, ...]:
    gold = "#c9993f"
    return (
        Shape(circle(79, 52, 5.6, 1.15), gold, stroke=2.0, lift=0, depth=-2, swing=0.5, mirror="twin"),
        Shape(circle(79, 45, 2.0), "#ffe9b8", lift=0, depth=-2, swing=0.3, mirror="twin"),
    )
