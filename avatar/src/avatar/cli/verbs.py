"""One function per verb: reads the files named on the command line and calls the pipeline."""

from __future__ import annotations

import hashlib
import json
import tempfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from avatar.cli.from_text import spec_of_render
from avatar.cli.lipsyncing import lipsync
from avatar.cli.living import live
from avatar.cli.presenters import PRESENTERS, load_presenter
from avatar.cli.reenacting import reenact
from avatar.cli.rehearsing import rehearse
from avatar.cli.speaking import speak, spec_with_scene
from avatar.errors import InvalidInput
from avatar.pipeline.assemble import assemble_folder
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.film import make_film_poster
from avatar.pipeline.look import look_at
from avatar.pipeline.peaks import make_peaks
from avatar.pipeline.prepare import prepare_photo
from avatar.pipeline.probe import probe_file
from avatar.pipeline.proxy import make_proxy
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.render import preview_scene, render_video
from avatar.pipeline.segment import make_segment
from avatar.pipeline.still import make_still
from avatar.pipeline.storyboard import make_storyboard
from avatar.pipeline.transcription import decode_sound, make_captions
from avatar.spec import Consent, Finished, LipsyncSpec, MediaRef
from avatar.spec.job import Family, JobRefused, Presenter, WorkerJob, face_of, is_job, read_job, spec_of_job
from avatar.work.outgoing import FetchBounds, fetch_file, read_networks

Verb = Callable[[Namespace, Context], Finished]
MAX_JOB_BYTES = 4 << 20


def render(arguments: Namespace, context: Context) -> Finished:
    job = None if arguments.text is not None else job_in(arguments.spec)
    if job is None:
        result = render_video(spec_of_render(arguments), arguments.out, context)
    else:
        result = render_job(job, arguments, context)
    return result.model_copy(update={"peak_vram_mib": context.holder.peak_mib})


def segment(arguments: Namespace, context: Context) -> Finished:
    spec = spec_with_scene(arguments)
    result = make_segment(spec, arguments.scene, arguments.folder, context)
    return Finished(
        files=(
            describe("segment", result.video),
            describe("audio", result.sound),
            describe("words", result.words),
        ),
        duration_ms=result.record.duration_ms,
        frames=result.record.frames,
        warnings=result.record.warnings,
        lost_face_frames=result.record.lost_face_frames,
        engines=result.record.engine_uses,
        peak_vram_mib=context.holder.peak_mib,
    )


VERBS: dict[str, Verb] = {
    "render": render,
    "segment": segment,
    "speak": speak,
    "lipsync": lipsync,
    "reenact": reenact,
    "rehearse": rehearse,
    "assemble": lambda args, context: assemble_folder(
        read_render_spec(args.spec), args.out, args.segments, context
    ),
    "preview": lambda args, context: preview_scene(spec_with_scene(args), args.scene, args.out, context),
    "prepare": lambda args, context: prepare_photo(args.image, args.out, args.face_index, context),
    "still": lambda args, context: make_still(
        spec_with_scene(args), args.scene, args.ms, args.out, context, word=args.word
    ),
    "live": live,
    "probe": lambda args, context: probe_file(args.file, context),
    "look": lambda args, context: look_at(args.file, args.ms, args.shown, context),
    "poster": lambda args, context: make_film_poster(args.file, args.out, context),
    "storyboard": lambda args, context: make_storyboard(args.file, args.out, context),
    "peaks": lambda args, context: make_peaks(args.file, args.out, context),
    "proxy": lambda args, context: make_proxy(args.file, args.out, context),
    "sound": lambda args, context: decode_sound(args.file, args.out, args.limit_s, context),
    "captions": lambda args, context: make_captions(args.file, args.out, context),
}
"""Those that only pass their arguments on say here which."""


def job_in(path: Path) -> WorkerJob | None:
    """The job that a file holds; None for whatever is none. Raises InvalidInput `job.*`."""
    try:
        if path.stat().st_size > MAX_JOB_BYTES:
            return None
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # Reading it as a spec reports the error.
    if not is_job(value):
        return None
    try:
        return read_job(value)
    except JobRefused as refused:
        raise _invalid_input(refused) from refused


def render_job(job: WorkerJob, arguments: Namespace, context: Context) -> Finished:
    """Fetch what the job names, and make the video. Raises InvalidInput `job.*`, `consent.required`."""
    from avatar.pipeline.lipsync.video import lipsync_video

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
    return load_presenter(name)


def _invalid_input(refused: JobRefused) -> InvalidInput:
    return InvalidInput(refused.code, refused.message, refused.hint)
