"""A persona says a text at once, without pictures: sound, words, mouth shapes; called by live sessions."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from avatar.spec import AvatarLayout, RenderSpec, Scene
from avatar.spec.speech_sheet import SpeechSheet
from pydantic import ValidationError

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import TooLarge, Unavailable, Upstream
from studio.personas.schemas import Persona
from studio.renders.admission import Admission, variables_in
from studio.renders.running import run_task

SCENE = "said"
TIME_LIMIT_S = 60.0
PRIORITY = 200
"""Before everything else: a user waits for every second of it."""
MAX_SOUND_BYTES = 16 << 20
TAIL_MS = 120


def no_voice(program: str) -> Unavailable:
    """Returns the error for a worker program that is missing."""
    return Unavailable(
        "speech.no_worker",
        f"There is no voice: the worker program {program} is not on this machine.",
        "Install it with `make setup`, or name it in worker.command.",
    )


@dataclass(frozen=True, slots=True)
class Utterance:
    """`sound` is a WAV file, 16-bit mono; the times of `sheet` are milliseconds from its start."""

    sound: bytes
    sheet: SpeechSheet


@dataclass(frozen=True, slots=True)
class PersonaSpeech:
    """`program` is the worker that must be on this machine; None where the farm runs it elsewhere.

    What is made is held by nothing: the store forgets it with other unused files.
    """

    db: Database
    blobs: BlobStore
    admission: Admission
    scheduler: Scheduler
    program: str | None = None

    def check_ready(self) -> None:
        """Raises `speech.no_worker` before anything is answered that could not be said."""
        if self.program is not None and shutil.which(self.program) is None:
            raise no_voice(self.program)

    async def check(self, persona: Persona) -> None:
        """The same, and what forbids the voice of this persona (`consent.revoked`)."""
        self.check_ready()
        self.admission.check_voice(persona.voice)
        async with self.db.session() as session:
            await self.admission.consents.stamp_voice(session, persona.voice)

    async def say(self, persona: Persona, text: str) -> Utterance:
        """Raises what forbids the voice (`consent.revoked`, `voice.service_not_allowed`), the worker's own
        codes (`speech.…`), and `speech.broken` for a result that cannot be used.
        """
        self.check_ready()
        scene = Scene(
            id=SCENE,
            script=text,
            language=persona.style.language,
            pronunciation=persona.style.pronunciation,
            voice=persona.voice,
            layout=AvatarLayout(visible=False),
            lead_in_ms=0,
            tail_ms=TAIL_MS,
        )
        async with self.db.session() as session:
            spec = await self.admission.admit(session, RenderSpec(title=persona.name, scenes=(scene,)))
        blob = await self.blobs.put_bytes(spec.model_dump_json().encode(), "application/json")
        task = SegmentTask(
            id=new_id("speak"),
            kind="speak",
            spec_sha256=blob.sha256,
            scene_id=SCENE,
            priority=PRIORITY,
            time_limit_s=TIME_LIMIT_S,
            variables=variables_in(persona.voice),
        )
        try:
            result = await run_task(self.scheduler, task)
        except TaskFailed as error:
            raise error.as_error(502) from error
        files = {file.role: file for file in result.files}
        if not {"audio", "speech"} <= files.keys():
            raise _broken("it lacks a file")
        if files["audio"].bytes > MAX_SOUND_BYTES:
            raise TooLarge(
                "speech.too_long", "The sound of this answer is too large to send at once.", "Ask for less."
            )
        try:
            sheet = SpeechSheet.model_validate_json(await self.blobs.read(files["speech"].sha256))
        except ValidationError as error:
            raise _broken("its sheet cannot be read") from error
        return Utterance(await self.blobs.read(files["audio"].sha256), sheet)


def _broken(why: str) -> Upstream:
    return Upstream(
        "speech.broken", f"The worker's result cannot be used: {why}.", "Use the worker of this release."
    )
