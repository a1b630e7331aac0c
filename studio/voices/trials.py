"""Tries a voice before a presenter gets it: its licence, a spoken sample, then the presenter's file."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass

import httpx
from avatar.spec import EspeakVoice, FliteVoice, PiperVoice, Voice

from soundstage.errors import Invalid, Upstream
from studio.personas.schemas import Persona, PersonaChange, PersonaStyle
from studio.personas.service import PersonaService
from studio.personas.speaking import PersonaSpeech
from studio.voices.schemas import VoiceAdoption, VoiceLicence, VoiceTrialDraft, VoiceTrialView

SAMPLE_TEXTS = {
    "en": "Good morning. The tide comes in twice a day, because the moon pulls at the sea.",
    "de": "Guten Morgen. Die Flut kommt zweimal am Tag, weil der Mond am Meer zieht.",
    "fr": "Bonjour. La marée monte deux fois par jour, car la lune attire la mer.",
    "es": "Buenos días. La marea sube dos veces al día, porque la luna atrae el mar.",
    "it": "Buongiorno. La marea sale due volte al giorno, perché la luna attira il mare.",
}
"""Others are read the English one; `text` of a trial takes their own words."""
BUILT_IN = VoiceLicence(
    name="free: a program of the worker's packages", limits="None for what it speaks.", to_accept=False
)
PIPER = VoiceLicence(
    name="each voice has its own: see its MODEL_CARD",
    limits="Some voices are for research or non-commercial use only.",
    source="https://huggingface.co/rhasspy/piper-voices",
    to_accept=True,
)


def licence_of(voice: Voice) -> VoiceLicence:
    """Returns what stands between a voice and its use."""
    if isinstance(voice, EspeakVoice | FliteVoice):
        return BUILT_IN
    if isinstance(voice, PiperVoice):
        return PIPER
    try:
        host = httpx.URL(voice.base_url).host
    except httpx.InvalidURL as error:
        raise Invalid(
            "voice.bad_address",
            "The address of the voice's service is no URL.",
            "Give one such as http://voices.example.com:8000.",
        ) from error
    return VoiceLicence(
        name=f"the terms of the service at {host}, and of the model behind it",
        limits="It gets every script that is spoken; a voice of a real person needs that person's consent.",
        to_accept=True,
    )


@dataclass(frozen=True, slots=True)
class VoiceTrials:
    speech: PersonaSpeech
    personas: PersonaService

    async def speak(self, draft: VoiceTrialDraft) -> VoiceTrialView:
        """Has the voice speak a sample. Raises what `PersonaSpeech.say` raises."""
        main = draft.language.lower().replace("_", "-").partition("-")[0]
        text = draft.text or SAMPLE_TEXTS.get(main, SAMPLE_TEXTS["en"])
        persona = Persona(
            id="trial", name="Trial", voice=draft.voice, style=PersonaStyle(language=draft.language)
        )
        uttered = await self.speech.say(persona, text)
        try:
            with wave.open(io.BytesIO(uttered.sound)) as sound:
                duration_ms = sound.getnframes() * 1000 // sound.getframerate()
        except (wave.Error, EOFError) as error:
            raise Upstream(
                "speech.broken", "The sample of the voice cannot be read.", "Use the worker of this release."
            ) from error
        return VoiceTrialView(
            voice=draft.voice,
            licence=licence_of(draft.voice),
            text=text,
            language=draft.language,
            duration_ms=duration_ms,
            wav_base64=base64.b64encode(uttered.sound).decode(),
        )

    async def adopt(self, persona_id: str, adoption: VoiceAdoption) -> Persona:
        """Gives a presenter the voice. Raises `voice.licence_not_accepted`, and what a change of the persona
        raises.
        """
        licence = licence_of(adoption.voice)
        if licence.to_accept and not adoption.licence_accepted:
            raise Invalid(
                "voice.licence_not_accepted",
                f"The voice has a licence that nobody has accepted yet: {licence.name}. {licence.limits}",
                "Read it, then send `licence_accepted`, or --accept-licence at the prompt.",
            )
        return await self.personas.update(persona_id, PersonaChange(voice=adoption.voice))
