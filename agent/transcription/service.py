"""Transcribes recordings and footage, and recognises free speech of voice sessions."""

from __future__ import annotations

import asyncio
import io
import json
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Literal

from avatar.spec import Finished

from agent.transcription.local import LocalRecogniser
from agent.transcription.openai_server import OpenAIRecogniser
from agent.transcription.recognition import BYTES_PER_S, OnPartial, Recogniser, Transcript
from agent.transcription.schemas import Transcription, WordOut
from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput, TaskKind
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import SoundstageError, Unavailable
from soundstage.http import OwnListeners
from soundstage.settings.conversation import TranscriptionSettings
from soundstage.telemetry import metrics, trace_id
from soundstage.tracing import span
from studio.references.dropping import drop_unheld
from studio.renders.running import run_task

MAX_S = 1800.0
"""Longer recordings are refused: the answer is one request."""
MAX_WAITING = 4
PRIORITY = 60
"""A person waits for the answer."""


@dataclass
class TranscriptionService:
    """The recogniser that the settings choose: one for recordings, and one for people who speak now."""

    settings: TranscriptionSettings
    listeners: OwnListeners
    scheduler: Scheduler
    blobs: BlobStore
    database: Database
    audit: AuditLog
    _recordings: Recogniser | None = field(default=None, init=False)
    _live: Recogniser | None = field(default=None, init=False)
    _waiting: int = field(default=0, init=False)

    @property
    def is_chosen(self) -> bool:
        """Returns whether free speech is recognised at all."""
        return self.settings.recogniser != "none"

    async def transcribe(
        self, principal: Principal, sha256: str, subject: str, language: str = ""
    ) -> Transcription:
        """Returns the speech of a stored recording or video. `subject` names it in the audit log.

        Raises `transcription.…`, and with status 422 what the worker says of the file (`media.no_sound` …).
        """
        recogniser = self._recordings = self._recordings or self._create()
        if self._waiting >= MAX_WAITING:
            raise Unavailable(
                "transcription.busy",
                f"{MAX_WAITING} recordings are being transcribed already.",
                "Try again when one of them is done.",
                headers={"Retry-After": "30"},
            )
        self._waiting += 1
        try:
            with span("transcribe", {"soundstage.transcription.subject": subject}):
                pcm = await self._decode(sha256)
                with self._measured("recording"):
                    found = await recogniser.recognise(pcm, language or self.settings.language)
                await self._record(principal, subject, recogniser.name, len(pcm))
                duration_ms = len(pcm) * 1000 // BYTES_PER_S
                vtt, srt = await self._captions(found, duration_ms)
        finally:
            self._waiting -= 1
        return Transcription(
            text=found.text,
            language=found.language,
            duration_ms=duration_ms,
            confidence=round(found.confidence, 3),
            recogniser=recogniser.name,
            words=tuple(
                WordOut(**{**asdict(word), "confidence": round(word.confidence, 3)}) for word in found.words
            ),
            vtt=vtt,
            srt=srt,
        )

    async def recognise(self, pcm: bytes, language: str, on_partial: OnPartial | None = None) -> Transcript:
        """Returns the words of somebody who has just spoken. Raises `transcription.…`."""
        recogniser = self._live = self._live or self._create()
        with self._measured("speech"):
            return await recogniser.recognise(pcm, language, on_partial)

    async def drop(self, sha256: str) -> None:
        """Deletes a file that nothing refers to."""
        await drop_unheld(self.database, self.blobs, sha256)

    async def warm_up(self) -> None:
        """Loads the recogniser of people who speak, where it runs on this machine."""
        if self.settings.recogniser in ("embedded", "whisper"):
            with suppress(SoundstageError):
                recogniser = self._live = self._live or self._create()
                await recogniser.recognise(bytes(BYTES_PER_S // 10), "en")

    async def close(self) -> None:
        """Ends what was started."""
        for recogniser in (self._recordings, self._live):
            if recogniser is not None:
                await recogniser.close()

    @contextmanager
    def _measured(self, source: Literal["speech", "recording"]) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        metrics.TRANSCRIPTION_SECONDS.observe(time.perf_counter() - began_s, self.settings.recogniser, source)

    def _create(self) -> Recogniser:
        settings = self.settings
        match settings.recogniser:
            case "openai":
                if settings.base_url is None:
                    raise Unavailable(
                        "transcription.not_set_up",
                        "The recogniser `openai` has no address.",
                        "Set `transcription.base_url`, such as `http://127.0.0.1:8080/v1`.",
                    )
                return OpenAIRecogniser(settings, self.listeners)
            case "embedded" | "whisper":
                return LocalRecogniser(settings.recogniser, settings.model_dir, settings.timeout_s)
            case _:
                raise Unavailable(
                    "transcription.off",
                    "Free speech is not recognised here.",
                    "Set `transcription.recogniser` to `embedded`, `openai` or `whisper`.",
                )

    async def _decode(self, sha256: str) -> bytes:
        """Returns the sound of a file; the worker reads it, because a broken file must not reach this
        process.
        """
        result = await self._run("sound", sha256, ("--limit-s", f"{MAX_S:g}"), time_limit_s=600.0)
        [wav] = await self._take(result)
        return await asyncio.to_thread(_pcm_of, wav)

    async def _captions(self, found: Transcript, duration_ms: int) -> Sequence[str]:
        words = [
            {"text": word.text, "start_ms": word.start_ms, "end_ms": word.end_ms}
            for word in found.words
            if word.text
        ]
        content = {"words": words, "duration_ms": duration_ms, "language": found.language or "en"}
        blob = await self.blobs.put_bytes(json.dumps(content).encode(), "application/json")
        try:
            result = await self._run("captions", blob.sha256, (), time_limit_s=120.0)
            return [content.decode() for content in await self._take(result)]
        finally:
            await self.drop(blob.sha256)

    async def _run(
        self, kind: TaskKind, sha256: str, arguments: tuple[str, ...], time_limit_s: float
    ) -> Finished:
        task = SegmentTask(
            id=new_id(kind),
            kind=kind,
            inputs=(TaskInput(sha256, "media"),),
            arguments=arguments,
            priority=PRIORITY,
            time_limit_s=time_limit_s,
        )
        try:
            return await run_task(self.scheduler, task)
        except TaskFailed as error:
            raise error.as_error(422) from error

    async def _take(self, result: Finished) -> Sequence[bytes]:
        """Returns the contents of the worker's files, and deletes them."""
        contents = []
        for file in result.files:
            contents.append(await self.blobs.read(file.sha256))
            await self.drop(file.sha256)
        return contents

    async def _record(self, principal: Principal, subject: str, recogniser: str, size: int) -> None:
        entry = AuditEntry(
            kind="recording.transcribed",
            actor=principal.name,
            subject=subject,
            trace_id=trace_id(),
            tenant=principal.tenant,
            data={"principal": principal.id, "recogniser": recogniser, "seconds": size // BYTES_PER_S},
        )
        async with self.database.transaction() as session:
            await self.audit.record(session, entry)


def _pcm_of(wav: bytes) -> bytes:
    with wave.open(io.BytesIO(wav)) as file:
        pcm: bytes = file.readframes(file.getnframes())
    return pcm
