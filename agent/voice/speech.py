"""Makes the sound of answers in voice sessions, and recognises free speech."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agent.live.feelings import feelings, strongest
from agent.live.lexicon import lexicon_of
from agent.live.service import speakable_text
from agent.transcription.recognition import Transcript
from agent.transcription.service import TranscriptionService
from agent.voice.schemas import MORE, SHEET, Speak, Transcribe
from agent.voice.session import Session, failure_message
from soundstage.errors import SoundstageError, Unavailable
from studio.personas.schemas import Persona
from studio.personas.speaking import PersonaSpeech, Utterance

CACHED_SENTENCES = 256
SENTENCE_TIMEOUT_S = 25.0
"""A person has read a sentence by then; the worker waits a little longer (`SPEECH_TIMEOUT_S`)."""


def language_code(persona: Persona) -> str:
    """Returns the language of a persona as recognisers want it: `en` of `en-us`."""
    return persona.style.language.partition("-")[0].lower()


def _build_late_error() -> SoundstageError:
    return Unavailable(
        "voice.speech_late",
        "The voice takes too long for this sentence.",
        "Read it here; the page Farm shows what its tasks wait for.",
    )


@dataclass
class SessionSpeech:
    """Speaks for all sessions; common sentences come from the last ones that were made."""

    speech: PersonaSpeech
    transcription: TranscriptionService
    _sounds: OrderedDict[tuple[str, str], Utterance] = field(default_factory=OrderedDict, init=False)

    async def transcribe(self, session: Session, request: Transcribe) -> None:
        """Recognises free speech of the person, and shows them the words that come meanwhile."""
        found = Transcript("")

        async def show(text: str) -> None:
            await session.show({"type": "partial", "text": text})

        try:
            pcm = base64.b64decode(request.sound)
            found = await self.transcription.recognise(pcm, language_code(session.persona), show)
        except (SoundstageError, ValueError) as error:
            if isinstance(error, SoundstageError):
                await session.show(failure_message(error))
        await session.instruct(
            {
                "type": "transcribed",
                "ref": request.ref,
                "text": found.text,
                "words": [[word.text, word.confidence] for word in found.words],
            }
        )

    async def speak(self, session: Session, request: Speak) -> None:
        """Makes the sound of a text; common sentences come from the last ones that were made."""
        text = speakable_text(request.text)
        utterance = None
        try:
            if text:
                async with asyncio.timeout(SENTENCE_TIMEOUT_S):
                    utterance = await self._sound_of(session.persona, text)
        except SoundstageError as error:
            # The text is shown all the same.
            await session.show(failure_message(error))
        except TimeoutError:
            await session.show(failure_message(_build_late_error()))
        sound: dict[str, Any] = {"type": "sound", "ref": request.ref, "text": text, "wav": ""}
        if utterance is not None:
            sheet = utterance.sheet.model_dump(mode="json", include=set(SHEET))
            felt = feelings(text, lexicon_of(session.persona.style.language))
            if session.face is not None:
                sheet |= utterance.sheet.model_dump(mode="json", include={"phones"})
            sheet |= {"emotion": strongest(felt), "intensity": max(one.intensity for one in felt)}
            sound |= {"wav": base64.b64encode(utterance.sound).decode("ascii"), **sheet}
        await session.instruct(sound)

    async def _sound_of(self, persona: Persona, text: str) -> Utterance:
        """Returns the sound of a text in a persona's voice; the last ones are cached."""
        key = (persona.model_dump_json(include={"voice", "style"}), text)
        utterance = self._sounds.get(key) or await self.speech.say(persona, text)
        self._sounds[key] = utterance
        self._sounds.move_to_end(key)
        while len(self._sounds) > CACHED_SENTENCES:
            self._sounds.popitem(last=False)
        return utterance

    async def warm_up(self, persona: Persona) -> None:
        """Makes a sentence that is often said, so that a speaking process waits for the first answer."""
        with suppress(SoundstageError):
            await self._sound_of(persona, MORE)
