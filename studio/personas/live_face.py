"""Describes a presenter who answers live as a spec for `avatar live`; called by voice sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avatar.spec import Canvas, Captions, Output, PhotoFace, RenderSpec, RigFace, Scene

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Invalid, NotFound
from studio.personas.schemas import Persona
from studio.personas.vrm import VrmFace
from studio.renders.admission import Admission

SCENE = "live"
FPS = 25


@dataclass(frozen=True, slots=True)
class LiveFaces:
    """Specs of live presenters, and the files that they name."""

    db: Database
    blobs: BlobStore
    admission: Admission

    async def spec(self, persona: Persona, width: int, height: int) -> RenderSpec:
        """Returns the spec of a persona in front of its own background.

        Raises what forbids the face (`consent.revoked`), and Invalid `voice.face_not_drawn` for a face that
        is neither drawn nor a photo.
        """
        if not isinstance(persona.face, RigFace | PhotoFace):
            what = (
                "a VRM avatar, which pages draw" if isinstance(persona.face, VrmFace) else "a filmed person"
            )
            raise Invalid(
                "voice.face_not_drawn",
                f"{persona.name} is {what}: no video of a live answer can be drawn.",
                "Leave `video` out, or choose a presenter that is drawn, or made from a photo.",
            )
        scene = Scene(
            id=SCENE,
            script="Hello.",
            face=persona.face,
            movement=persona.style.movement,
            mood=persona.style.mood,
            background=persona.style.background,
        )
        spec = RenderSpec(
            title=persona.name,
            canvas=Canvas(width=width, height=height, fps=FPS),
            scenes=(scene,),
            output=Output(captions=Captions(mode="none")),
        )
        async with self.db.session() as session:
            face = await self.admission.consents.stamp_face(session, persona.face)
        return spec.model_copy(update={"scenes": (scene.model_copy(update={"face": face}),)})

    async def check(self, spec: RenderSpec) -> None:
        """Raises what forbids the face now (`consent.revoked`)."""
        async with self.db.session() as session:
            for scene in spec.scenes:
                await self.admission.consents.stamp_face(session, scene.face)

    async def read(self, spec: RenderSpec, sha256: str) -> bytes:
        """Returns a file of the spec. Raises NotFound `blob.not_found` for others, and for those that are
        gone.
        """
        if sha256 not in hashes_in(spec):
            raise NotFound("blob.not_found", "This presenter has no such file.", "Open the session again.")
        return await self.blobs.read(sha256)


def hashes_in(spec: RenderSpec) -> frozenset[str]:
    """Returns the hashes of the files that a spec names."""
    return frozenset(_hashes(spec.model_dump(mode="json")))


def _hashes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(sha256 := value.get("sha256"), str):
            yield sha256
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _hashes(one)
