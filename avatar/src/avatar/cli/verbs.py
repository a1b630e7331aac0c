"""One function per verb: reads the files named on the command line and calls the pipeline."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from avatar.cli.chosen_scene import spec_with_scene
from avatar.cli.from_text import spec_of_render
from avatar.cli.jobs import job_in, render_job
from avatar.cli.lipsyncing import lipsync
from avatar.cli.reenacting import reenact
from avatar.cli.speaking import speak
from avatar.pipeline.assemble import assemble_folder
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.film_poster import make_film_poster
from avatar.pipeline.look import look_at
from avatar.pipeline.peaks import make_peaks
from avatar.pipeline.prepare import prepare_photo
from avatar.pipeline.preview import preview_scene
from avatar.pipeline.probe import probe_file
from avatar.pipeline.proxy import make_proxy
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.render import render_video
from avatar.pipeline.segment import make_segment
from avatar.pipeline.still import make_still
from avatar.pipeline.storyboard import make_storyboard
from avatar.spec import Finished

Verb = Callable[[Namespace, Context], Finished]


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
        engines=() if result.record.engine_use is None else (result.record.engine_use,),
        peak_vram_mib=context.holder.peak_mib,
    )


def assemble(arguments: Namespace, context: Context) -> Finished:
    return assemble_folder(read_render_spec(arguments.spec), arguments.out, arguments.segments, context)


def preview(arguments: Namespace, context: Context) -> Finished:
    return preview_scene(spec_with_scene(arguments), arguments.scene, arguments.out, context)


def prepare(arguments: Namespace, context: Context) -> Finished:
    return prepare_photo(arguments.image, arguments.out, arguments.face_index, context)


def probe(arguments: Namespace, context: Context) -> Finished:
    return probe_file(arguments.file, context)


def look(arguments: Namespace, context: Context) -> Finished:
    return look_at(arguments.file, arguments.ms, arguments.shown, context)


def still(arguments: Namespace, context: Context) -> Finished:
    spec = spec_with_scene(arguments)
    return make_still(spec, arguments.scene, arguments.ms, arguments.out, context)


def poster(arguments: Namespace, context: Context) -> Finished:
    return make_film_poster(arguments.file, arguments.out, context)


def storyboard(arguments: Namespace, context: Context) -> Finished:
    return make_storyboard(arguments.file, arguments.out, context)


def peaks(arguments: Namespace, context: Context) -> Finished:
    return make_peaks(arguments.file, arguments.out, context)


def proxy(arguments: Namespace, context: Context) -> Finished:
    return make_proxy(arguments.file, arguments.out, context)


VERBS: dict[str, Verb] = {
    "render": render,
    "segment": segment,
    "assemble": assemble,
    "speak": speak,
    "preview": preview,
    "lipsync": lipsync,
    "reenact": reenact,
    "prepare": prepare,
    "probe": probe,
    "still": still,
    "look": look,
    "poster": poster,
    "storyboard": storyboard,
    "peaks": peaks,
    "proxy": proxy,
}
