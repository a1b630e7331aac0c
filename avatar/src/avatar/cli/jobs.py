"""`avatar render` of a job of the older GPU worker: `{"input": {"job_type", …}}` in the place of a spec."""

from __future__ import annotations

import hashlib
import json
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from avatar.cli.from_text import PRESENTERS
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.spec import Consent, Finished, LipsyncSpec, MediaRef, RigFace
from avatar.spec.job import Family, JobRefused, Presenter, WorkerJob, face_of, is_job, read_job, spec_of_job
from avatar.work.outgoing import FetchBounds, fetch_file, read_networks

MAX_JOB_BYTES = 4 << 20


def job_in(path: Path) -> WorkerJob | None:
    """The job that a file holds; None for whatever is none. Raises InvalidInput `job.*`."""
    try:
        if path.stat().st_size > MAX_JOB_BYTES:
            return None
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # whoever reads it as a spec says what is wrong with it
    if not is_job(value):
        return None
    try:
        return read_job(value)
    except JobRefused as refused:
        raise _invalid_input(refused) from refused


def render_job(job: WorkerJob, arguments: Namespace, context: Context) -> Finished:
    """Fetch what the job names, and make the video. Raises InvalidInput `job.*`, `consent.required`."""
    from avatar.pipeline.lipsync.video import lipsync_video
    from avatar.pipeline.render import render_video

    bounds = FetchBounds(networks=read_networks(arguments.network))
    consent = _consent(job)
    if job.image_url is not None and consent is None:
        raise InvalidInput(
            "consent.required",
            "The face in image_url belongs to a person, and the job holds no consent of theirs.",
            'Add to `input`: "consent": {"person": "…", "purpose": "…", "granted_at": "2026-11-02"}.',
        )
    with tempfile.TemporaryDirectory(prefix="avatar-job-") as folder:
        # A folder of blobs: the one place that a confined worker reads besides its own.
        there = replace(context, blobs=Path(folder))
        image = None if job.image_url is None else _fetched(job.image_url, "image_url", there, bounds)
        audio = None if job.audio_url is None else _fetched(job.audio_url, "audio_url", there, bounds)
        try:
            face = None if image is None else face_of(image, _family(there.resolve(image)), consent)
            spec = spec_of_job(job, _presenter(job), face, audio)
        except JobRefused as refused:
            raise _invalid_input(refused) from refused
        if isinstance(spec, LipsyncSpec):
            return lipsync_video(spec, arguments.out, there)
        return render_video(spec, arguments.out, there)


def _fetched(url: str, what: str, context: Context, bounds: FetchBounds) -> MediaRef:
    if context.blobs is None:
        raise ValueError("there is no folder for what is fetched")
    part = context.blobs / "part"
    fetch_file(url, part, bounds, what, context.check)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = context.blobs / digest[:2] / digest
    target.parent.mkdir(exist_ok=True)
    part.replace(target)
    return MediaRef(sha256=f"sha256:{digest}", name=what)


def _family(path: Path) -> Family:
    from avatar.face.pictures import is_picture

    return "image" if is_picture(path) else "video"


def _consent(job: WorkerJob) -> Consent | None:
    consent = job.consent
    if consent is None:
        return None
    words = "\n".join((consent.person, consent.purpose, consent.granted_at))
    name = consent.id or job.consent_id or f"cns_{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    return Consent(id=name, person=consent.person, purpose=consent.purpose, granted_at=consent.granted_at)


def _presenter(job: WorkerJob) -> Presenter:
    name = job.persona or "nova"
    if name not in PRESENTERS:
        raise JobRefused(
            "job.unknown_persona",
            f"This worker has no presenter {name!r}; personas are known to the studio alone.",
            f"There are: {', '.join(PRESENTERS)}. Or send the job to the studio.",
        )
    voice, movement, language = PRESENTERS[name]
    return Presenter(face=RigFace(character=name), voice=voice, movement=movement, language=language)


def _invalid_input(refused: JobRefused) -> InvalidInput:
    return InvalidInput(refused.code, refused.message, refused.hint)
