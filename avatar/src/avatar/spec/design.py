"""The design of a drawn presenter: parameters from which the worker draws a character of its own."""

from __future__ import annotations

import random
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from avatar.spec.base import SpecModel

HexColour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Skin = Literal["porcelain", "light", "olive", "tan", "brown", "deep"]
FaceShape = Literal["oval", "round", "square", "heart", "long"]
Hair = Literal["long", "bob", "short", "crop", "bun", "curly", "bald", "headscarf", "turban"]
Beard = Literal["none", "stubble", "full"]
Glasses = Literal["none", "round", "square"]
Clothes = Literal["blazer", "cardigan", "jumper", "shirt", "hoodie"]
Set = Literal["study", "living-room", "library"]
HAIR_COLOURS = ("#60321f", "#1f1613", "#3a2a22", "#8c5a2f", "#c48b4a", "#a4482a", "#cfcdd4", "#6d6a70")
CLOTHES_COLOURS = ("#23808a", "#d2963f", "#7a3d5c", "#3c5a8c", "#4f7f5a", "#b5523f", "#e9dccb", "#3b4250")


class Design(SpecModel):
    """A person, or a fox, drawn from these values; the same design is the same character, by stroke."""

    kind: Literal["person", "fox"] = Field(
        default="person", description="a fox keeps its own face, ears and fur"
    )
    age: Literal["adult", "older"] = "adult"
    face: FaceShape = "oval"
    skin: Skin = "light"
    hair: Hair = "long"
    hair_colour: HexColour = Field(default="#60321f", description="of a scarf or turban: its cloth")
    beard: Beard = "none"
    brows: float = Field(default=1.0, ge=0.5, le=1.8, description="thickness")
    eyes: HexColour = Field(default="#6b4526", description="of the iris")
    eye_size: float = Field(default=1.0, ge=0.8, le=1.25)
    lips: HexColour | None = Field(default=None, description="None takes what suits the skin")
    lashes: float = Field(default=0.5, ge=0.0, le=1.0)
    glasses: Glasses = "none"
    glasses_colour: HexColour = "#3a3038"
    earrings: bool = False
    freckles: bool = False
    clothes: Clothes = "jumper"
    clothes_colour: HexColour = "#23808a"
    wheelchair: bool = False
    set: Set = "study"
    seed: int = Field(default=1, ge=0, le=2**31 - 1, description="scatters hair and freckles")


def random_design(seed: int, **fixed: Any) -> Design:
    """Returns a design chosen by `seed`; what is `fixed` stays. Raises ValidationError as `Design` does."""
    rng = random.Random(seed)  # noqa: S311 - it chooses looks, no secrets
    hair = rng.choice(get_args(Hair))
    older = rng.random() < 0.25
    covered = hair in ("headscarf", "turban")
    greys, colours = HAIR_COLOURS[-2:], HAIR_COLOURS[:-2]
    chosen: dict[str, Any] = {
        "age": "older" if older else "adult",
        "face": rng.choice(get_args(FaceShape)),
        "skin": rng.choice(get_args(Skin)),
        "hair": hair,
        "hair_colour": rng.choice(CLOTHES_COLOURS if covered else greys if older else colours),
        "beard": rng.choice(("none", "stubble", "full"))
        if hair in ("short", "crop", "bald", "turban")
        else "none",
        "brows": round(rng.uniform(0.8, 1.3), 2),
        "eyes": rng.choice(("#6b4526", "#3e2717", "#5a7f8e", "#5d7a4e")),
        "eye_size": round(rng.uniform(0.92, 1.1), 2),
        "lashes": round(rng.uniform(0.2, 0.9), 2),
        "glasses": rng.choice(("none", "none", "none", "round", "square")),
        "earrings": rng.random() < 0.3 and hair not in ("headscarf", "turban"),
        "freckles": rng.random() < 0.2,
        "clothes": rng.choice(get_args(Clothes)),
        "clothes_colour": rng.choice(CLOTHES_COLOURS),
        "set": rng.choice(get_args(Set)),
        "seed": seed,
    }
    return Design.model_validate(chosen | fixed)
