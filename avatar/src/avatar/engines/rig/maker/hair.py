"""Hair, scarves and turbans of designs, by name. Used by `build`."""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

from dataclasses import dataclass

from avatar.engines.rig.anatomy import scallop, translate_outline
from avatar.engines.rig.artwork import Art, Curls, Linear, Radial, Shape, Skin, Strands
from avatar.engines.rig.characters import milo, nova, vera
from avatar.engines.rig.maker.palettes import Tones, recolour, tones
from avatar.engines.rig.paint import blend, clear, soft
from avatar.spec.design import Design


@dataclass(frozen=True, slots=True)
class HairArt:
    """Art by layer; `shadow` falls on the face, `over_body` lies on the clothes, `top` is the highest point."""

    back: tuple[Art, ...] = ()
    front: tuple[Art, ...] = ()
    shadow: tuple[Art, ...] = ()
    over_body: tuple[Art, ...] = ()
    top: float = -135.0
    ears: bool = True


SHORT = (
    "-79,4! -85,-28 -86,-64 -74,-102 -44,-130 2,-139 46,-131 76,-106 88,-66 86,-26 79,4! 75.5,-14 73,-36 66,-54 "
    "50,-70 20,-68 -14,-58 -38,-66 -54,-78! -63,-60 -71,-38 -75.5,-14"
)
BUN = "-78,10! -82,-30 -78,-72 -58,-106 -26,-123 0,-126 26,-123 58,-106 78,-72 82,-30 78,10! 73,-20 65,-52 46,-76 20,-88 0,-91 -20,-88 -46,-76 -65,-52 -73,-20"
CLOUD = "0,-168 48,-160 90,-132 116,-88 122,-38 118,12 106,56 80,86 40,96 -40,96 -80,86 -106,56 -118,12 -122,-38 -116,-88 -90,-132 -48,-160"
FRINGE = "-80,0! -96,-40 -90,-92 -56,-134 0,-148 56,-134 90,-92 96,-40 80,0! 74,-30 60,-58 32,-75 0,-79 -32,-75 -60,-58 -74,-30"
SCARF = "-2,-82! 38,-77 63,-54 71,-16 67,28 55,72 34,103 -2,121! -2,166! 44,168 88,150 108,104 110,40 108,-30 98,-86 66,-126 30,-142 -2,-145!"
SCARF_EDGE = "0,-82 38,-77 63,-54 71,-16 67,28 55,72 34,103 0,121"
COWL = "0,112! 46,118 84,134 112,166 134,204 120,246 76,280 0,296!"
TURBAN = "82,-10! 66,-44 34,-66 0,-84! -34,-66 -66,-44 -82,-10! -100,-66 -96,-116 -66,-152 -14,-168 44,-161 86,-128 101,-70"


def hair_of(design: Design, skin: Skin) -> HairArt:
    """Returns the art of the design's hair."""
    t = tones(design.hair_colour)
    return _STYLES[design.hair](design, t, skin)


def _long(design: Design, t: Tones, skin: Skin) -> HairArt:
    table = {nova.HAIR: t.base, nova.DARK: t.deep, nova.LIGHT: t.light, nova.GLOW: t.glow, "#ffe0b4": t.glow}
    shadow = (
        Shape(translate_outline(nova.SWEEP, -3, 6), clear(skin.deep, 0.30), lift=0.9, inside="face"),
        Shape(translate_outline(nova.TUCK, 3, 6), clear(skin.deep, 0.24), lift=0.9, inside="face"),
    )
    return HairArt(recolour(nova.HAIR_BACK, table), recolour(nova.HAIR_FRONT, table), shadow, top=-135.0)


def _bob(design: Design, t: Tones, skin: Skin) -> HairArt:
    table = {
        vera.SILVER: t.base,
        vera.DARK: t.dark,
        vera.LIGHT: t.light,
        vera.WHITE: t.glow,
        "#83818f": t.deep,
    }
    source = vera.CHARACTER
    shadow = (
        Shape(translate_outline(vera.SWEEP, 3, 6), clear(skin.deep, 0.28), lift=0.9, inside="face"),
        Shape(translate_outline(vera.FALL, -3, 6), clear(skin.deep, 0.24), lift=0.9, inside="face"),
    )
    return HairArt(recolour(source.hair_back, table), recolour(source.hair_front, table), shadow, top=-141.0)


def _crop(design: Design, t: Tones, skin: Skin) -> HairArt:
    table = {
        milo.HAIR: t.base, milo.HAIR_SIDE: t.dark, milo.HAIR_LIGHT: t.light, "#6b5140": t.glow, "#0d0807": t.deep,
        "#5a4436": t.glow,
    }  # fmt: skip
    shadow = (Shape(translate_outline(milo.CROP, 2, 5), clear(skin.deep, 0.30), lift=0.9, inside="face"),)
    return HairArt((), recolour(milo.CHARACTER.hair_front, table), shadow, top=-133.0)


def _short(design: Design, t: Tones, skin: Skin) -> HairArt:
    sheen = ((t.dark, 0.0), (t.base, 0.18), (t.light, 0.34), (t.base, 0.58), (t.deep, 1.0))
    front: tuple[Art, ...] = (
        Shape(SHORT, Linear((-20, -140), (40, 10), sheen), lift=0.9, swing=0.1, name="hair"),
        Strands("-54,-80 -36,-67 -10,-60 20,-68 50,-71 66,-54", "-66,-104 -40,-128 2,-137 44,-130 74,-106 85,-66", 9, 4.2, (t.light + "b0", t.deep + "80", t.glow + "70"), seed=design.seed, lift=0.92, swing=0.1),
        Strands("-54,-80 -64,-58 -72,-34 -76,-8", "-70,-102 -84,-64 -85,-28 -79,2", 4, 3.0, (t.deep + "80", t.light + "80"), seed=design.seed + 1, lift=0.9),
        Shape("-50,-112 -20,-128 20,-130 50,-116 30,-108 -14,-110", Radial((-8, -120), 56, soft(t.glow, 0.55), 0.30), lift=0.9, inside="hair"),
    )  # fmt: skip
    shadow = (Shape(translate_outline(SHORT, 2, 6), clear(skin.deep, 0.28), lift=0.9, inside="face"),)
    return HairArt((), front, shadow, top=-141.0)


def _bun(design: Design, t: Tones, skin: Skin) -> HairArt:
    ball = "-38,-142 -30,-172 0,-184 30,-172 38,-142 24,-116 0,-108 -24,-116"
    back: tuple[Art, ...] = (
        Shape(ball, Radial((-12, -160), 62, ((t.light, 0), (t.base, 0.5), (t.deep, 1))), lift=0, depth=-22, swing=0.0, name="bun"),
        Strands("-34,-140 -16,-152 8,-150 34,-134", "-22,-174 0,-182 22,-174 36,-150", 6, 2.6, (t.deep + "90", t.glow + "80"), seed=design.seed, lift=0, depth=-20),
        Shape("-26,-124 0,-118 26,-124", clear(t.deep, 0.8), closed=False, taper=5.0, lift=0, depth=-20),
    )  # fmt: skip
    front: tuple[Art, ...] = (
        Shape(BUN, Linear((-30, -128), (40, 10), ((t.light, 0), (t.base, 0.4), (t.dark, 1))), lift=0.9, name="hair"),
        Strands("-76,6 -74,-40 -50,-84 -14,-116", "-2,-91 -1,-100 -1,-110 0,-122", 9, 2.8, (t.deep + "80", t.glow + "70", t.light + "a0"), seed=design.seed, lift=0.92),
        Strands("76,6 74,-40 50,-84 14,-116", "2,-91 1,-100 1,-110 0,-122", 9, 2.8, (t.deep + "90", t.light + "80"), seed=design.seed + 1, lift=0.92),
        Shape("-54,-90 -30,-108 0,-112 20,-104 -10,-98 -34,-84", Radial((-24, -102), 46, soft(t.glow, 0.5), 0.42), lift=0.92, inside="hair"),
        Shape("-72,4 -76,20 -74,40 -69,54", clear(t.base, 0.9), closed=False, taper=2.4, lift=0.6, swing=0.6),
        Shape("73,4 77,22 75,42 71,52", clear(t.dark, 0.9), closed=False, taper=2.2, lift=0.6, swing=0.6),
    )  # fmt: skip
    shadow = (Shape(translate_outline(BUN, 2, 5), clear(skin.deep, 0.24), lift=0.9, inside="face"),)
    return HairArt(back, front, shadow, top=-186.0)


def _curly(design: Design, t: Tones, skin: Skin) -> HairArt:
    back: tuple[Art, ...] = (
        Shape(scallop(CLOUD, 7, 15, 999), Radial((-30, -90), 190, ((t.base, 0), (t.deep, 1))), lift=0, depth=-24, swing=0.25, name="cloud"),
        Curls("cloud", 80, 7.0, 2.1, (t.light + "66", t.glow + "40"), seed=design.seed, lift=0, depth=-24),
    )  # fmt: skip
    front: tuple[Art, ...] = (
        Shape(scallop(FRINGE, 5, 12, 0), Linear((-30, -150), (40, 0), ((t.light, 0), (t.base, 0.45), (t.dark, 1))), lift=0.9, name="hair"),
        Curls("hair", 110, 5.0, 1.8, (t.glow + "60", t.deep + "80", t.light + "70"), seed=design.seed + 1, lift=0.9),
    )  # fmt: skip
    shadow = (Shape(translate_outline(FRINGE, 2, 7), clear(skin.deep, 0.30), lift=0.9, inside="face"),)
    return HairArt(back, front, shadow, top=-176.0)


def _bald(design: Design, t: Tones, skin: Skin) -> HairArt:
    skull = "-74.5,-10! -79,-44 -72,-82 -48,-107 0,-116 48,-107 72,-82 79,-44 74.5,-10! 60,-20 30,-34 0,-38 -30,-34 -60,-20"
    # The light of the face goes on over the skull, so that no edge shows between them.
    light = Radial(
        (-26, -22), 150, ((blend(skin.light, skin.base, 0.42), 0), (blend(skin.base, skin.shade, 0.72), 1))
    )
    side = scallop("-72,-34 -79,-36 -84,-14 -83,10 -79,24 -75,12 -73.5,-8", 1.6, 7, 999)
    front: tuple[Art, ...] = (
        Shape(skull, light, lift=0.55, name="skull"),
        Shape("-54,-92 -14,-108 10,-88 -30,-66", Radial((-24, -88), 32, soft("#ffffff", 0.34), 0.6), lift=0.6, inside="skull"),
        Shape("-44,-50 0,-58 44,-50", clear(skin.shade, 0.35), closed=False, taper=1.6, lift=0.8),
        Shape("-40,-62 0,-70 40,-62", clear(skin.shade, 0.25), closed=False, taper=1.4, lift=0.8),
        Shape(side, Linear((-91, 0), (-73, 0), ((t.light, 0), (t.dark, 1))), mirror="twin", lift=0.3),
        Strands("-73,-30 -74,-8 -76,16", "-79,-33 -83,-8 -80,18", 4, 1.8, (t.glow + "b0", t.deep + "70"), seed=design.seed, lift=0.3),
    )  # fmt: skip
    return HairArt((), front, (), top=-119.0)


def _headscarf(design: Design, t: Tones, skin: Skin) -> HairArt:
    fold = clear(t.deep, 0.40)
    front: tuple[Art, ...] = (
        Shape(SCARF, Linear((-110, -140), (110, 150), ((t.light, 0), (t.dark, 1))), lift=0.75, jaw=0.6, swing=0.15),
        Shape("2,-82! -38,-77 -63,-54 -71,-16 -67,28 -55,72 -34,103 2,121! 2,166! -44,168 -88,150 -108,104 -110,40 -108,-30 -98,-86 -66,-126 -30,-142 2,-145!", Linear((-110, -140), (110, 150), ((t.light, 0), (t.dark, 1))), lift=0.75, jaw=0.6, swing=0.15),
        Shape(SCARF_EDGE, clear(t.deep, 0.55), closed=False, taper=4.0, mirror="twin", lift=0.8, jaw=0.6, swing=0.15),
        Shape("6,-112 44,-104 76,-70 88,-20 86,40 72,96", fold, closed=False, taper=3.0, lift=0.8, swing=0.15),
        Shape("-10,-116 -48,-106 -78,-72 -92,-22 -92,40 -80,98", clear(t.glow, 0.55), closed=False, taper=3.2, lift=0.8, swing=0.15),
        Shape("14,-130 58,-114 90,-74 102,-20 100,50 90,110", clear(t.deep, 0.28), closed=False, taper=2.6, lift=0.7, swing=0.15),
        Shape("-60,84 -30,116 6,130 44,124 80,96", fold, closed=False, taper=3.0, lift=0.6, jaw=0.8, swing=0.15),
        Shape("-76,104 -40,140 8,150 56,138 92,108", clear(t.deep, 0.30), closed=False, taper=3.0, lift=0.5, jaw=0.6, swing=0.15),
    )  # fmt: skip
    over_body: tuple[Art, ...] = (
        Shape(translate_outline(COWL, 0, 5), clear(t.deep, 0.35), mirror="half"),
        Shape(COWL, Linear((-110, 120), (100, 290), ((t.light, 0), (t.dark, 1))), mirror="half", name="cowl"),
        Shape("-104,160 -60,206 0,222 60,204 108,158", fold, closed=False, taper=5.0),
        Shape("-122,196 -70,240 0,254 74,236 124,190", clear(t.deep, 0.30), closed=False, taper=4.0),
        Shape("-90,142 -40,182 20,192 84,150", clear(t.glow, 0.40), closed=False, taper=4.0),
    )  # fmt: skip
    shadow = (
        Shape(translate_outline(SCARF, -2, 4), clear(skin.deep, 0.34), lift=0.8, inside="face"),
        Shape("0,-84 40,-78 66,-54 60,-46 36,-68 0,-73 -36,-68 -60,-46 -66,-54 -40,-78", clear(skin.deep, 0.30), lift=0.8, inside="face"),
    )  # fmt: skip
    return HairArt(
        (Shape("-96,-60 -100,40 -84,150 84,150 100,40 96,-60 0,-130", t.deep, lift=0, depth=-30),),
        front,
        shadow,
        over_body,
        -148.0,
        ears=False,
    )


def _turban(design: Design, t: Tones, skin: Skin) -> HairArt:
    folds = (
        ("0,-84 34,-96 66,-92 94,-66", 0.50), ("-4,-98 36,-116 72,-110 100,-84", 0.42), ("-10,-112 36,-136 74,-130 96,-106", 0.36),
        ("-16,-128 28,-152 62,-148 84,-130", 0.30),
    )  # fmt: skip
    front: list[Art] = [
        Shape(TURBAN, Linear((-80, -160), (80, -30), ((t.light, 0), (t.base, 0.45), (t.dark, 1))), lift=0.95, name="turban"),
        Shape("-84,-10! -66,-44 -34,-66 0,-84! 30,-104 60,-120 90,-124 40,-160 -20,-168 -70,-150 -98,-112 -101,-66", Linear((-100, -150), (40, -80), ((t.glow, 0), (t.light, 0.35), (t.base, 1))), lift=0.97, inside="turban"),
    ]  # fmt: skip
    for line, strength in folds:
        front.append(Shape(line, clear(t.deep, strength), closed=False, taper=3.4, lift=0.97))
        mirrored = " ".join(f"{-float(x):g},{y}" for x, y in (word.split(",") for word in line.split()))
        front.append(Shape(mirrored, clear(t.deep, 0.75 * strength), closed=False, taper=3.0, lift=0.98))
    front.append(
        Shape(
            "-76,-120 -50,-142 -16,-152 -30,-132 -60,-108",
            Radial((-44, -132), 40, soft(t.glow, 0.6), 0.6),
            lift=0.95,
            inside="turban",
        )
    )
    front.append(Shape("0,-84! 12,-76 22,-71 0,-66 -22,-71 -12,-76", t.deep, lift=0.9))
    shadow = (
        Shape(
            "90,-14! 66,-38 34,-58 0,-74! -34,-58 -66,-38 -90,-14! -90,-100 90,-100",
            clear(skin.deep, 0.34),
            lift=0.9,
            inside="face",
        ),
    )
    # The rest of the hair under the cloth fills what the turban leaves open beside the temples.
    back = (Shape("-80,-8! -84,-50 0,-90 84,-50 80,-8! 60,-2 -60,-2", t.deep, lift=0, depth=-6),)
    return HairArt(back, tuple(front), shadow, top=-171.0)


_STYLES = {
    "long": _long, "bob": _bob, "crop": _crop, "short": _short, "bun": _bun, "curly": _curly, "bald": _bald,
    "headscarf": _headscarf, "turban": _turban,
}  # fmt: skip
