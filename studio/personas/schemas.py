"""Wire and file types of personas."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from avatar.spec import (
    AvatarLayout,
    Background,
    Design,
    FliteVoice,
    MediaRef,
    Mood,
    Movement,
    Pauses,
    PhotoEngine,
    PhotoFace,
    Requirements,
    RigFace,
    SourceBackground,
    VideoEngine,
    VideoFace,
    Voice,
)
from pydantic import BaseModel, ConfigDict, Field, model_validator

from soundstage.one_line import OneLine
from studio.consents.schemas import ConsentDraft
from studio.personas.faults import Fault
from studio.personas.vrm import VrmFace

PERSONA_ID = r"^[a-z0-9][a-z0-9-]{0,62}$"


PersonaFace = Annotated[RigFace | PhotoFace | VideoFace | VrmFace, Field(discriminator="kind")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PersonaStyle(_Strict):
    """Looks of a persona's scenes where the scene itself names none."""

    language: str = Field(default="en-us", max_length=35)
    layout: AvatarLayout = AvatarLayout()
    background: Background = SourceBackground()
    pronunciation: dict[str, str] = Field(default_factory=dict)
    movement: Movement = Movement()
    mood: Mood = Field(default="neutral", description="of the face where the scene names none")


class Persona(_Strict):
    """A speaker. `tools` names what its conversations may use; ["*"] is all that policy allows."""

    id: str = Field(pattern=PERSONA_ID)
    name: OneLine = Field(min_length=1, max_length=80)
    title: OneLine = Field(default="", max_length=120)
    description: str = Field(default="", max_length=4000)
    face: PersonaFace = RigFace()
    voice: Voice = FliteVoice()
    style: PersonaStyle = PersonaStyle()
    requirements: Requirements = Field(
        default=Requirements(), description="what a node of the farm must have to draw this face"
    )
    tools: tuple[str, ...] = ("*",)

    @property
    def real_person(self) -> bool:
        """True when the face or the voice is a real person's, so that consent must be on record."""
        drawn = isinstance(self.face, RigFace) or (isinstance(self.face, VrmFace) and not self.face.consent)
        return not drawn or getattr(self.voice, "cloned", False)

    def consent_ids(self) -> set[str]:
        consents = (getattr(self.face, "consent", None), getattr(self.voice, "consent", None))
        return {consent.id for consent in consents if consent is not None}

    def media(self) -> dict[str, MediaRef]:
        """Files of the face by role."""
        if isinstance(self.face, PhotoFace):
            portrait = {"portrait": self.face.portrait} if self.face.portrait else {}
            driving = {"driving": self.face.driving} if self.face.driving else {}
            return {"face": self.face.image, **portrait, **driving}
        if isinstance(self.face, VrmFace):
            picture = {"portrait": self.face.picture} if self.face.picture else {}
            return {"face": self.face.model, **picture}
        return {"face": self.face.video} if isinstance(self.face, VideoFace) else {}


class PersonaView(Persona):
    """A persona as the API shows it: as its file, and where its picture is."""

    imageUrl: str = Field(description="a WebP; add `&width=`. Needs the permission to read personas")  # noqa: N815 - the wire format of the older system


Origin = Literal["shipped", "user"]


PersonaState = Literal["ready", "outdated", "broken"]


class PersonaEntry(BaseModel):
    """One file: the persona in it, or what is wrong with it. With both, the file was broken by a change, and
    the persona is the last good one.
    """

    id: str
    origin: Origin
    file: str
    persona: Persona | None = None
    imageUrl: str | None = Field(default=None, description="of its picture")  # noqa: N815 - as in PersonaView
    error: str | None = Field(default=None, description="names line, column and field")
    faults: tuple[Fault, ...] = ()
    warnings: list[str] = Field(default_factory=list)

    @property
    def state(self) -> PersonaState:
        if self.error is None:
            return "ready"
        return "broken" if self.persona is None else "outdated"


class PersonaStatus(BaseModel):
    """`ready`: as its file says; `outdated`: the file is broken and the last good one stands; `broken`."""

    id: str
    state: PersonaState
    origin: Origin
    file: str
    changed_at: datetime | None = Field(default=None, description="of the file")
    error: str | None = None
    faults: tuple[Fault, ...] = ()


MAX_TEXT_CHARS = 65_536
"""Of a definition that is validated: a persona has some thousand, and reading more takes seconds."""


class PersonaText(_Strict):
    """A persona file that has not been saved yet."""

    yaml: str = Field(max_length=MAX_TEXT_CHARS)


class PersonaValidity(BaseModel):
    """Result of a check of a file: all its faults with line, column and field."""

    valid: bool
    faults: tuple[Fault, ...] = ()


class HealthCheck(BaseModel):
    name: Literal["file", "media", "consent", "voice"]
    ok: bool
    message: str
    hint: str = ""


class PersonaHealth(BaseModel):
    """Result of the check whether a video or an answer with this persona can be made now."""

    id: str
    healthy: bool
    checks: tuple[HealthCheck, ...]


class PersonaDraft(_Strict):
    """A persona from an uploaded photo, motion video or VRM avatar, or drawn from a design. `media` is the id
    of an asset, or its `sha256:…`. An avatar needs a consent only where it shows a real person; a design
    needs none.
    """

    name: OneLine = Field(min_length=1, max_length=80)
    media: str | None = Field(default=None, description="the file of the face; None with a design")
    design: Design | None = Field(
        default=None, description="draws the persona; what it leaves out is chosen by its `seed`"
    )
    id: str | None = Field(default=None, pattern=PERSONA_ID)
    title: OneLine = Field(default="", max_length=120)
    description: str = Field(default="", max_length=4000)
    face_index: int | None = Field(default=None, ge=0)
    driving: str | None = Field(
        default=None,
        description="of a photo: the asset (id or hash) of a video or motion template that moves it",
    )
    engine: PhotoEngine | VideoEngine = Field(default="auto", description="who draws the face")
    pauses: Pauses = Field(default="filmed", description="what LatentSync shows in long pauses of the speech")
    voice: Voice = FliteVoice()
    style: PersonaStyle = PersonaStyle()
    tools: tuple[str, ...] = ("*",)
    consent: ConsentDraft | None = Field(default=None, description="recorded together with the persona")
    consent_id: str | None = None
    picture: str | None = Field(
        default=None, description="of an avatar: the asset of a picture of it; None: that in its file"
    )
    licence_confirmed: bool = Field(
        default=False, description="of an avatar: its user has a right to use it, where its licence asks"
    )

    @model_validator(mode="after")
    def _has_one_face(self) -> PersonaDraft:
        if (self.media is None) == (self.design is None):
            raise ValueError("a persona has either `media` or a `design`")
        if self.design is not None and (self.driving or self.picture or self.consent or self.consent_id):
            raise ValueError("a design takes no `driving`, `picture` or `consent`: it shows nobody")
        return self


class VrmCheck(_Strict):
    """A VRM avatar to look at before a persona is created from it."""

    media: str = Field(description="the asset's id, or its `sha256:…`")


class PortraitCheck(_Strict):
    """A photo to look at before a persona is created from it, with the consent of the person in it."""

    media: str = Field(description="the asset's id, or its `sha256:…`")
    face_index: int | None = Field(default=None, ge=0)
    consent: ConsentDraft | None = None
    consent_id: str | None = None


class PortraitRemark(BaseModel):
    """`code` is one of the worker's notices, such as `portrait.dark`."""

    code: str
    message: str


class PortraitReport(BaseModel):
    """Lists what could be better in a photo; empty where nothing could."""

    remarks: list[PortraitRemark]


class PortraitPreviewDraft(PortraitCheck):
    """The same photo in motion: who speaks in which voice, before what background, and what."""

    voice: Voice = FliteVoice()
    style: PersonaStyle = PersonaStyle()
    text: str | None = Field(
        default=None, min_length=1, max_length=300, description="None: a greeting in the style's language"
    )


class PersonaChange(_Strict):
    """Only what is given changes; null is the same as leaving it out. The face stays: another face is another
    persona.
    """

    name: OneLine | None = Field(default=None, min_length=1, max_length=80)
    title: OneLine | None = Field(default=None, max_length=120)
    description: str | None = Field(default=None, max_length=4000)
    voice: Voice | None = None
    style: PersonaStyle | None = None

    def changes(self) -> dict[str, Any]:
        """The new values by field, as models."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}


class CreatedPersona(BaseModel):
    persona: Persona
    warnings: list[str] = Field(default_factory=list)


class CreatedPersonaView(BaseModel):
    """The created persona, as the API shows it."""

    persona: PersonaView
    warnings: list[str] = Field(default_factory=list)
