"""Wire types of brand kits: what a project takes of one, where it and its scenes say nothing themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from avatar.spec import Background, Box, Captions, Colour, MediaRef, Music
from pydantic import BaseModel, Field

from soundstage.one_line import OneLine

MAX_CARD_MS = 60_000
Name = Annotated[OneLine, Field(min_length=1, max_length=80)]
FontName = Annotated[OneLine, Field(min_length=1, max_length=80)]
Length = Annotated[int, Field(ge=500, le=MAX_CARD_MS)]


class BrandColours(BaseModel, extra="forbid"):
    """Colours of words and of what is drawn with them; None leaves that of the overlay."""

    text: Colour | None = Field(default=None, description="of letters")
    accent: Colour | None = Field(default=None, description="of bars, marks of lists, arrows and frames")
    panel: Colour | None = Field(default=None, description="behind letters")


class BrandFonts(BaseModel, extra="forbid"):
    """Families of the machine that renders; None: its best."""

    heading: FontName | None = Field(default=None, description="of titles and lower thirds")
    body: FontName | None = Field(default=None, description="of texts, lists and labels")


class Logo(BaseModel, extra="forbid"):
    """A picture over every scene, under its own overlays."""

    image: MediaRef
    box: Box = Box(x=0.86, y=0.05, width=0.1, height=0.12)
    opacity: float = Field(default=1.0, ge=0.0, le=1.0)


class LowerThird(BaseModel, extra="forbid"):
    """Name and title of each presenter, shown in the first scene in which one speaks."""

    side: Literal["left", "right"] = "left"
    start_ms: int = Field(default=800, ge=0, le=MAX_CARD_MS)
    duration_ms: Length = 5000


class TitleCard(BaseModel, extra="forbid"):
    """Words on a plain ground. `{title}` and `{subtitle}` are those of the project."""

    kind: Literal["title"] = "title"
    title: str = Field(default="{title}", min_length=1, max_length=200)
    subtitle: str = Field(default="{subtitle}", max_length=300)
    duration_ms: Length = 3000


class PictureCard(BaseModel, extra="forbid"):
    """A picture that fills the screen."""

    kind: Literal["picture"] = "picture"
    image: MediaRef
    duration_ms: Length = 3000


class ClipCard(BaseModel, extra="forbid"):
    """A video with its sound."""

    kind: Literal["clip"] = "clip"
    video: MediaRef
    duration_ms: Length = 5000
    gain_db: float | None = Field(default=0.0, ge=-60.0, le=12.0, description="null keeps it mute")


Card = Annotated[TitleCard | PictureCard | ClipCard, Field(discriminator="kind")]


class BrandKit(BaseModel, extra="forbid"):
    """Defaults of the projects that use it. Files are named by the `sha256` of an asset."""

    colours: BrandColours = BrandColours()
    fonts: BrandFonts = BrandFonts()
    logo: Logo | None = None
    lower_third: LowerThird | None = None
    captions: Captions | None = None
    background: Background | None = Field(default=None, description="it goes before that of a presenter")
    intro: Card | None = None
    outro: Card | None = None
    music: Music | None = None


class BrandDraft(BrandKit):
    name: Name


class BrandChange(BrandKit):
    """Only what is given changes; null takes a part away."""

    name: Name | None = None


class BrandView(BrandKit):
    id: str
    name: str
    created_at: datetime
    updated_at: datetime


Source = Literal["brand", "project", "scene"]


class BrandValue(BaseModel):
    """The source of a value for which the kit has one. `scene` None: of the whole film."""

    scene: str | None
    field: str
    source: Source


class BrandUse(BaseModel):
    """The kit of a project, and which values of a video come from it."""

    brand: BrandView | None
    values: list[BrandValue]
