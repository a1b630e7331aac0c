"""The words of a character file: fills, shapes, strands and features as plain data. Compiled by `pieces`.

Units are hundredths of E, the distance between the outer eye corners: x to the picture's right, y down,
origin halfway between the eyes. A chin lies near y = 130, shoulders near y = 190.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stops = tuple[tuple[str, float], ...]
"""Colour stops, ("#rrggbb" or "#rrggbbaa", position 0..1)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A gradient from one point to another."""

    start: tuple[float, float]
    end: tuple[float, float]
    stops: Stops


@dataclass(frozen=True, slots=True)
class Radial:
    """A round gradient; `squash` < 1 makes it flatter than wide."""

    centre: tuple[float, float]
    radius: float
    stops: Stops
    squash: float = 1.0


Fill = str | Linear | Radial


@dataclass(frozen=True, slots=True)
class Shape:
    """One filled or stroked outline.

    outline   knots "x,y x,y …" that a smooth curve passes through; "!" after a knot makes a corner there
    mirror    "half" closes a right half with its mirror image, "twin" draws a second, mirrored copy
    stroke    > 0 draws the outline as a line of that width; `taper` as a stroke that thins out to its ends
    lift      scales the depth of the head's surface under each knot: 0 = a flat plate through the ears,
              1 = on the skin, above 1 = in front of it; `depth` is added
    swing     how far the shape's lower end trails behind the moving head
    jaw       how much of the chin's drop the shape follows
    inside    cuts the shape with another shape's `name`
    """

    outline: str
    fill: Fill
    mirror: Literal["none", "half", "twin"] = "none"
    closed: bool = True
    stroke: float = 0.0
    taper: float = 0.0
    lift: float = 1.0
    depth: float = 0.0
    swing: float = 0.0
    jaw: float = 0.0
    name: str = ""
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Strands:
    """Locks of hair between two guide curves: `count` tapered strokes, spread and tinted by a fixed seed."""

    first: str
    last: str
    count: int
    width: float
    colours: tuple[str, ...]
    jitter: float = 1.0
    seed: int = 1
    lift: float = 1.0
    depth: float = 0.0
    swing: float = 0.0


@dataclass(frozen=True, slots=True)
class Curls:
    """Curly hair: `count` small arcs, scattered by a fixed seed inside the shape named `inside`."""

    inside: str
    count: int
    radius: float
    width: float
    colours: tuple[str, ...]
    seed: int = 1
    lift: float = 1.0
    depth: float = 0.0
    jaw: float = 0.0


Art = Shape | Strands | Curls


@dataclass(frozen=True, slots=True)
class Skin:
    """Skin colours: the light side, the body of the face, its shade, deep shade (under chin), and blush."""

    light: str
    base: str
    shade: str
    deep: str
    blush: str
    line: str


@dataclass(frozen=True, slots=True)
class Eyes:
    """Size in units, colours, and how the lids and lashes are drawn."""

    iris: str
    iris_dark: str
    iris_light: str
    lash: str
    lid: str
    height: float = 17.0
    """Opening of the lids at rest."""
    tilt: float = 1.6
    """How much the outer corner lies above the inner one."""
    iris_radius: float = 9.6
    lashes: float = 1.0
    """0 = a plain lid line, 1 = full lashes with a wing."""
    line: float = 2.4
    crease: str = "#00000000"
    sclera: str = "#fbf6f1"


@dataclass(frozen=True, slots=True)
class Brows:
    colour: str
    thickness: float = 6.5
    arch: float = 5.0
    y: float = -27.0
    length: float = 40.0


@dataclass(frozen=True, slots=True)
class Mouth:
    """Lips at rest; the opening itself follows `avatar.tracks.aperture_e` for every character."""

    upper: str
    lower: str
    line: str
    light: str
    half_width: float = 25.0
    upper_height: float = 7.6
    lower_height: float = 10.0
    smile: float = 2.6
    """How far the corners of the mouth lie above its middle."""
    fold: float = 0.5
    """How strongly the folds beside the mouth show in a broad smile; 0 under a beard."""
    y: float = 81.0
    teeth: str = "#fbf5ec"
    tongue: str = "#c5615f"
    throat: str = "#4a1518"


@dataclass(frozen=True, slots=True)
class Arms:
    """Arms and hands, which gestures raise into the picture. In units; `x`, `y`: the right shoulder."""

    light: str
    cloth: str
    shade: str
    """Of the sleeve; a bare arm has the colours of the skin."""
    x: float = 168.0
    y: float = 236.0
    width: float = 40.0
    """Radius of the upper arm."""
    hand: float = 1.0
    """Scale of the hand: 1 is 150 units from wrist to fingertip."""
    cuff: str = ""
    """Colour of a shirt cuff that shows under the sleeve; empty for none."""
    sleeve: float = 0.93
    """How far the sleeve reaches down the forearm, 0 = to the elbow, 1 = to the wrist."""
    nails: str = ""
    fingers: int = 4
    """Beside the thumb: a drawn animal or robot may have three."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The studio behind the character: a wall, things on it out of focus, and light from the upper left.

    `things` lie in hundredths of the picture's height around its centre, and are blurred.
    """

    wall: Stops
    glow: str
    things: tuple[Shape, ...] = ()
    lights: tuple[tuple[float, float, float, str], ...] = ()
    """Round lights out of focus: (x, y, radius, colour), in the units of `things`."""
    blur: float = 2.6
    """How far out of focus, in hundredths of the height (standard deviation)."""


@dataclass(frozen=True, slots=True)
class Character:
    """A drawn presenter. Everything that differs between two characters is in here."""

    name: str
    skin: Skin
    eyes: Eyes
    brows: Brows
    mouth: Mouth
    backdrop: Backdrop
    face_art: tuple[Art, ...]
    """The face's outline (a shape named "face") and the shading inside it."""
    behind: tuple[Art, ...] = ()
    """Stands still behind the figure: a wheelchair."""
    hair_back: tuple[Art, ...] = ()
    body: tuple[Art, ...] = ()
    neck: tuple[Art, ...] = ()
    ears: tuple[Art, ...] = ()
    nose: tuple[Art, ...] = ()
    hair_front: tuple[Art, ...] = ()
    glasses: tuple[Art, ...] = ()
    arms: Arms | None = None
    reach: float = 235.0
    """Half the width the figure needs, for the drawn box."""
    top: float = -165.0
    """The highest point of the hair, for framing."""
