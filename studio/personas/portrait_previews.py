"""Shows a photo in motion, speaking, before a persona is created from it; nothing of it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.spec import Canvas, Captions, Output, PhotoFace, RenderSpec, Scene

from soundstage.errors import Unavailable
from studio.personas.schemas import PortraitPreviewDraft
from studio.personas.service import PersonaService
from studio.renders.admission import Admission, variables_in
from studio.renders.making import PREVIEW_PRIORITY
from studio.scene_previews.making import PreviewKind, ScenePreviews

SCENE = "portrait"
CANVAS = Canvas(width=640, height=360)
OUTPUT = Output(captions=Captions(mode="none"), poster=False)
GREETINGS = {
    "en": "Hello. This is how I look, and this is how I speak.",
    "de": "Hallo. So sehe ich aus, und so spreche ich.",
}
"""By language; others are greeted in English."""
CLIPS = PreviewKind(
    name="portrait",
    task="preview",
    priority=PREVIEW_PRIORITY,
    time_limit_s=120.0,
    roles=("video",),
    read=lambda files: files["video"],
    size=len,
    no_worker=lambda program: Unavailable(
        "portrait.no_worker",
        f"No preview can be drawn: the worker program {program} is not on this machine.",
        "Install it with `make setup`, or name it in worker.command.",
    ),
)


@dataclass(frozen=True, slots=True)
class PortraitPreviews:
    """Clips of photos that are no personas yet."""

    personas: PersonaService
    admission: Admission
    previews: ScenePreviews[bytes]

    async def draw(self, request: PortraitPreviewDraft) -> bytes:
        """Returns an MP4 of the photo that says the text, 640x360.

        Raises what `PersonaService.require_portrait`, `Admission.check_voice` and `ScenePreviews.open` do,
        and Forbidden for a cloned voice whose consent is not on record.
        """
        media, consent = await self.personas.require_portrait(request)
        self.admission.check_voice(request.voice)
        async with self.personas.db.session() as session:
            voice = await self.admission.consents.stamp_voice(session, request.voice)
        face = PhotoFace(image=media, face_index=request.face_index, consent=consent)
        language = request.style.language.lower().replace("_", "-").partition("-")[0]
        text = request.text or GREETINGS.get(language, GREETINGS["en"])
        scene = Scene(
            id=SCENE, script=text, face=face, voice=voice, **request.style.model_dump(exclude_none=True)
        )
        spec = RenderSpec(canvas=CANVAS, output=OUTPUT, scenes=(scene,))
        _, clip = await self.previews.open(spec, SCENE, variables=variables_in(voice))
        return clip
