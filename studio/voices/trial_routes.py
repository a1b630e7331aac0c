"""REST of new voices for presenters: speech services, voice files, samples, and the voice of a presenter."""

from __future__ import annotations

from fastapi import APIRouter, Request, status

from policy import Principal
from soundstage.errors import Forbidden
from studio.assets.upload import Upload
from studio.bodies import form_body
from studio.consents.disclosure import redact_persona, redact_voice
from studio.guards import ReadVoices, UpdatePersonas
from studio.personas.pictures import image_url
from studio.personas.schemas import PersonaView
from studio.voices.schemas import (
    SpeechServiceView,
    VoiceAdoption,
    VoiceFileView,
    VoiceTrialDraft,
    VoiceTrialView,
)
from studio.wiring import StudioDep

router = APIRouter(tags=["voices"])

_FORM = form_body("the voice's .onnx", {"card": "the content of its .onnx.json"}, required=("file", "card"))


@router.post("/api/voices/files", status_code=status.HTTP_201_CREATED, openapi_extra=_FORM)
async def add_voice_file(request: Request, studio: StudioDep, principal: UpdatePersonas) -> VoiceFileView:
    """Adds a Piper voice to the worker of this machine. Only for the user of the server's own machine: what
    is added there is run.
    """
    _require_local(principal)
    upload = Upload(request, studio.voice_files.max_bytes)
    upload.size_hint()
    return await studio.voice_files.receive(upload)


@router.get("/api/speech-services")
async def list_speech_services(studio: StudioDep, _: ReadVoices) -> list[SpeechServiceView]:
    """Lists the speech services that the operator has set up; a sample of a voice goes to no other."""
    return list(studio.voices.services())


@router.post("/api/voices/trials")
async def try_voice(draft: VoiceTrialDraft, studio: StudioDep, principal: UpdatePersonas) -> VoiceTrialView:
    """Has a voice speak a sample, and says under which licence it speaks. Nothing is saved."""
    view = await studio.voice_trials.speak(draft)
    return view.model_copy(update={"voice": redact_voice(principal, view.voice)})


@router.put("/api/personas/{persona_id}/voice")
async def set_voice(
    persona_id: str, adoption: VoiceAdoption, studio: StudioDep, principal: UpdatePersonas
) -> PersonaView:
    """Gives a presenter of your own a voice whose licence you have accepted; the next video has it."""
    persona = await studio.voice_trials.adopt(persona_id, adoption)
    return PersonaView(**dict(redact_persona(principal, persona)), imageUrl=image_url(persona))


def _require_local(principal: Principal) -> None:
    if not principal.is_local:
        raise Forbidden(
            "voice.file_not_allowed",
            "Only the user of the server's own machine adds voice files.",
            "Run `soundstage voices add FILE.onnx` there, or the role `models` for a farm.",
        )
