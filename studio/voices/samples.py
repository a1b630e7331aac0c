"""Checks samples of voices: a short recording in a format that services take, read by the worker.

The bounds are OpenAI's, and vLLM-Omni's are the same in bytes: 10 MiB and 30 s of MP3, WAV, OGG, AAC, FLAC,
WebM or MP4 (developers.openai.com/api/docs/guides/custom-voices). A second is too little for any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput
from soundstage.blobs import BlobStore
from soundstage.database import new_id
from soundstage.errors import Invalid, TooLarge
from studio.assets.sniffing import AAC, FLAC, M4A, MP3, MP4, OGG, SNIFF_BYTES, WAV, WEBM, FileType, sniff
from studio.renders.running import run_task
from studio.voices.speech_server import Sample

MAX_SAMPLE_BYTES = 10 << 20
SHORTEST_MS, LONGEST_MS = 1_000, 30_000
PROBE_TIME_LIMIT_S = 60.0
PROBE_PRIORITY = 100
"""A user waits for the answer; it takes a second."""

# What a file is sent as. Recordings of browsers are WebM and MP4 without a picture.
_SENT_AS: dict[FileType, tuple[str, str]] = {
    WAV: ("audio/wav", "wav"),
    MP3: ("audio/mpeg", "mp3"),
    FLAC: ("audio/flac", "flac"),
    OGG: ("audio/ogg", "ogg"),
    AAC: ("audio/aac", "aac"),
    M4A: ("audio/mp4", "mp4"),
    MP4: ("audio/mp4", "mp4"),
    WEBM: ("audio/webm", "webm"),
}


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A stored file that has been looked into."""

    sha256: str
    bytes: int
    duration_ms: int
    sniffed: FileType

    async def read(self, blobs: BlobStore) -> Sample:
        media_type, ending = _SENT_AS[self.sniffed]
        return Sample(await blobs.read(self.sha256), media_type, ending)


@dataclass(frozen=True, slots=True)
class SampleCheck:
    """Nothing of a file is decoded in this process."""

    blobs: BlobStore
    scheduler: Scheduler

    async def look_into(self, sha256: str) -> SampleFile:
        """Raises `upload.too_large`, `voice.bad_sample`, and the worker's codes for what it cannot read."""
        stored = await self.blobs.stat(sha256)
        if stored is not None and stored.bytes > MAX_SAMPLE_BYTES:
            raise TooLarge(
                "upload.too_large",
                f"The sample is larger than {MAX_SAMPLE_BYTES >> 20} MiB.",
                "Send at most 30 s of speech.",
            )
        path = await self.blobs.local_path(sha256)
        with path.open("rb") as file:
            found = sniff(file.read(SNIFF_BYTES))
        if found not in _SENT_AS:
            raise _bad(f"A file of {found.media_type} cannot be the sample of a voice.")
        duration_ms = await self._duration_ms(sha256)
        if not SHORTEST_MS <= duration_ms <= LONGEST_MS:
            raise _bad(f"The sample lasts {duration_ms / 1000:.1f} s.")
        return SampleFile(sha256, path.stat().st_size, duration_ms, found)

    async def _duration_ms(self, sha256: str) -> int:
        task = SegmentTask(
            id=new_id("probe"),
            kind="probe",
            inputs=(TaskInput(sha256, "media"),),
            priority=PROBE_PRIORITY,
            time_limit_s=PROBE_TIME_LIMIT_S,
        )
        try:
            result = await run_task(self.scheduler, task)
        except TaskFailed as error:
            raise error.as_error(422) from error
        if result.media is None or result.media.kind != "audio":
            kind = result.media.kind if result.media else "file"
            raise _bad(f"The sample holds more than a sound: it is a {kind}.")
        return result.duration_ms


def _bad(what: str) -> Invalid:
    return Invalid(
        "voice.bad_sample",
        what,
        f"Send {SHORTEST_MS // 1000} to {LONGEST_MS // 1000} s of one person speaking, without a picture: "
        "WAV, MP3, FLAC, OGG, AAC, WebM or MP4.",
    )
