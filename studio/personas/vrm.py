"""Types of VRM avatars: the face of a persona, the licence that its file states, the report of a check."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from avatar.spec import Consent, Face, MediaRef
from avatar.spec.base import SpecModel
from pydantic import BaseModel, Field

from soundstage.errors import Invalid

VrmVersion = Literal["0.x", "1.0"]
AvatarPermission = Literal["onlyAuthor", "onlySeparatelyLicensedPerson", "everyone"]
CommercialUsage = Literal["personalNonProfit", "personalProfit", "corporation"]


class VrmLicence(SpecModel):
    """The `meta` of a VRM file, in the words of VRM 1.0; empty where the file says nothing."""

    title: str = ""
    authors: tuple[str, ...] = ()
    copyright: str = ""
    licence_url: str = ""
    avatar_permission: AvatarPermission = Field(
        default="onlyAuthor", description="who may act as this avatar"
    )
    commercial_usage: CommercialUsage = Field(
        default="personalNonProfit", description="the most that it may be used for"
    )
    credit_required: bool = Field(default=True, description="whether its authors are to be named")

    @property
    def is_restricted(self) -> bool:
        """Returns whether not everybody may use the avatar, so that its user has to confirm a right to."""
        return self.avatar_permission != "everyone"


class VrmFace(SpecModel):
    """An avatar that pages draw in conversations; no video is rendered of it."""

    kind: Literal["vrm"] = "vrm"
    model: MediaRef
    picture: MediaRef | None = Field(default=None, description="what is seen before it is drawn")
    version: VrmVersion = "1.0"
    licence: VrmLicence = VrmLicence()
    confirmed_at: datetime | None = Field(
        default=None, description="when its user confirmed the right to use it"
    )
    consent: Consent | None = Field(default=None, description="of an avatar that shows a real person")


class VrmNotice(BaseModel):
    """A fault that does not forbid the use of a file."""

    code: str
    message: str


class VrmReport(BaseModel):
    """Result of the check of a VRM file. `expressions`: presets of VRM 1.0 that move something."""

    version: VrmVersion
    licence: VrmLicence
    needs_confirmation: bool = Field(description="`licence_confirmed` is needed to create a persona of it")
    expressions: tuple[str, ...]
    triangles: int
    has_picture: bool
    warnings: tuple[VrmNotice, ...] = ()


def require_rendered(face: Face | VrmFace, name: str) -> Face:
    """Returns the face if videos can be rendered of it; raises Invalid `persona.talk_only`."""
    if isinstance(face, VrmFace):
        raise Invalid(
            "persona.talk_only",
            f"{name} is a VRM avatar, which is drawn by pages in conversations alone.",
            "Choose another presenter for the video, or talk to this one.",
        )
    return face
