"""Makes one render: its segments, their assembly, and the delivery of the files. Called by the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar.spec import Failed, Finished, LipsyncSpec, OutputFile, RenderSpec, canonical_json

from farm.failures import TaskFailed, failure_from_error
from farm.needs import Needs
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskEvent, TaskInput
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.database.tenants import require_tenant
from soundstage.errors import SoundstageError
from soundstage.tasks import cancel_all, wait_all
from soundstage.tracing import span
from studio.consents.service import check_consents
from studio.references.dropping import drop_unheld
from studio.references.repository import References
from studio.renders.admission import consents_in, variables_of_scene, voices_in
from studio.renders.delivery import deliver, file_names, free_names
from studio.renders.journal import RenderJournal
from studio.renders.lost_files import DAMAGED_INPUT_CODES, RECREATED, LostFiles
from studio.renders.media import hashes_in
from studio.renders.models import Render, RenderOutput
from studio.renders.progress import ProgressBoard
from studio.renders.reporting import Making, Reporter
from studio.renders.repository import Renders, Segments
from studio.renders.running import Ending, run_task_again
from studio.renders.segments import SegmentDone, SegmentOrder, SegmentPool, segment_key
from studio.renders.signing import VideoSigner
from studio.renders.states import RenderState
from studio.voices.clone_access import require_usable_clones

RENDER_DELETED = Failed(
    code="render.gone",
    message="The render was deleted while it was made.",
    hint="Ask for it again if that was a mistake.",
)
PREVIEW_PRIORITY = 140
"""A person waits for it: before every video (100 at most), after the still that they look at meanwhile."""
SEGMENT_FILES = {"segment": "segment.mp4", "audio": "audio.wav", "words": "words.json"}


@dataclass(frozen=True, slots=True)
class MakingOptions:
    out_dir: Path
    worker_version: str
    time_limit_s: float = 3600.0
    signer: VideoSigner | None = None


@dataclass
class RenderMaker:
    journal: RenderJournal
    blobs: BlobStore
    scheduler: Scheduler
    pool: SegmentPool
    options: MakingOptions

    def __post_init__(self) -> None:
        self._db: Database = self.journal.db
        version = self.options.worker_version
        self._reporter = Reporter(self.journal, self.blobs, self.scheduler, self.pool, version)
        self._lost_files = LostFiles(self.blobs)
        self._makings: dict[str, Making] = {}

    async def make(self, render_id: str, ending: Ending) -> None:
        """Takes a placed render to done; raises TaskFailed with what people are told. `ending` says, should
        this be cancelled, whether for good.
        """
        try:
            with span("render", {"soundstage.render.id": render_id}) as recorded:
                making = await self._load(render_id, ending)
                recorded.set_attribute("soundstage.render.kind", making.kind)
                await self._make(making)
        except (OSError, SoundstageError) as error:
            raise TaskFailed(failure_from_error(error)) from error

    async def set_priority(self, render_id: str, priority: int) -> None:
        """Moves the tasks of a render that wait for a worker; later ones have this priority, too."""
        making = self._makings.get(render_id)
        if making is None or making.priority == priority:
            return
        making.priority = priority
        if making.task_id is not None:
            await self.scheduler.set_priority((making.task_id,), priority)
        for key in making.segments:
            await self.pool.set_priority(key, priority)

    async def _make(self, making: Making) -> None:
        self._makings[making.render_id] = making
        try:
            await self._make_and_deliver(making)
        finally:
            del self._makings[making.render_id]

    async def _make_and_deliver(self, making: Making) -> None:
        async with self._reporter.reporting(making):
            result, lost = await self._work_mended(making)
            if self.options.signer is not None and making.kind != "preview":
                result = await self._sign(making, result, self.options.signer)
            for notice in result.warnings:
                making.board.note(notice)
        # Only now: a reporter that is still at work could write older progress over the end.
        await _to_the_end(self._finish(making, result, lost))

    async def _sign(self, making: Making, result: Finished, signer: VideoSigner) -> Finished:
        """Returns the result with the signed video; what it was before is deleted, unless others hold it."""
        owner = f"render:{making.render_id}"
        # Another render of the same spec may be at its end, too: it must not delete what we read.
        async with self._db.transaction() as session:
            for file in result.files:
                await References(session).hold(owner, f"unsigned:{file.role}", file.sha256, file.bytes)
        with span("sign"):
            signed = await signer.sign(result, self.blobs, making.trace_id)
        replaced = {file.sha256 for file in result.files} - {file.sha256 for file in signed.files}
        async with self._db.transaction() as session:
            await References(session).drop_holds(owner, {file.sha256 for file in result.files})
        for sha256 in replaced:
            await drop_unheld(self._db, self.blobs, sha256)
        return signed

    async def _load(self, render_id: str, ending: Ending) -> Making:
        async with self._db.session() as session:
            row = await Renders(session).find(render_id)
            if row is None:
                raise TaskFailed(RENDER_DELETED)
            spec = spec_of(row)
            await check_consents(session, consents_in(spec))
            await require_usable_clones(session, voices_in(spec))
            return Making(
                row.id, row.kind, row.title, spec, row.scene_id, row.priority, row.trace_id,
                tuple(row.out_files), ProgressBoard.for_spec(spec), ending,
            )  # fmt: skip

    async def _store_spec(self, making: Making) -> None:
        """Workers get the spec by its hash."""
        content = canonical_json(making.spec.model_dump(mode="json"))
        blob = await self.blobs.put_bytes(content, "application/json")
        making.spec_sha256 = blob.sha256
        async with self._db.transaction() as session:
            await References(session).hold(f"render:{making.render_id}", "spec", blob.sha256, blob.bytes)

    async def _work_mended(self, making: Making) -> tuple[Finished, list[tuple[int, int]]]:
        """Runs the step once more when a stored file was lost that can be made again; see `LostFiles`."""
        try:
            return await self._work(making)
        except TaskFailed as error:
            if error.failure.code not in DAMAGED_INPUT_CODES:
                raise
            await self._lost_files.refuse_lost_media(making.spec)
            if not await self._lost_files.find_lost(await self._output_files(making)):
                raise
        making.board.note(RECREATED)
        return await self._work(making)

    async def _output_files(self, making: Making) -> set[str]:
        """Returns what this render is made from and we have written ourselves: its spec and its segments."""
        async with self._db.session() as session:
            linked = await Segments(session).of_render(making.render_id)
        results = [Finished.model_validate(row.result) for _, row in linked if row and row.result]
        return {making.spec_sha256, *(file.sha256 for result in results for file in result.files)}

    async def _work(self, making: Making) -> tuple[Finished, list[tuple[int, int]]]:
        await self._store_spec(making)
        if isinstance(making.spec, LipsyncSpec) or making.kind == "preview":
            result = await self._single(making)
            return result, list(result.lost_face_frames)
        segments = await self._make_segments(making, making.spec)
        lost: list[tuple[int, int]] = []
        offset = 0
        for segment in segments:
            lost += [(first + offset, last + offset) for first, last in segment.result.lost_face_frames]
            offset += segment.result.frames
        return await self._assemble(making, making.spec, segments), lost

    async def _make_segments(self, making: Making, spec: RenderSpec) -> list[SegmentDone]:
        orders = [self._order(making, spec, scene.id) for scene in spec.scenes]
        making.segments = tuple(order.key for order in orders)
        async with self._db.transaction() as session:
            await Segments(session).link(making.render_id, [(order.scene_id, order.key) for order in orders])
        return await _all_or_first_failure([self._segment(making, order) for order in orders])

    def _order(self, making: Making, spec: RenderSpec, scene_id: str) -> SegmentOrder:
        scene = spec.scene(scene_id)
        only = spec.model_copy(update={"scenes": (scene,)})
        return SegmentOrder(
            key=segment_key(spec.scene_hash(scene_id), self.options.worker_version, require_tenant()),
            spec_sha256=making.spec_sha256,
            scene_id=scene_id,
            sources=frozenset({*hashes_in(scene), *(f"consent:{consent}" for consent in consents_in(only))}),
            priority=making.priority,
            time_limit_s=self.options.time_limit_s,
            variables=variables_of_scene(scene),
            trace_id=making.trace_id,
            needs=Needs.of_scene(scene),
        )

    async def _segment(self, making: Making, order: SegmentOrder) -> SegmentDone:
        def listen(event: TaskEvent) -> None:
            making.hear(event)
            making.board.hear(order.scene_id, event)

        with span("segment", {"soundstage.scene": order.scene_id}) as recorded:
            done = await self.pool.obtain(order, listen, making.ending)
            recorded.set_attribute("soundstage.reused", done.reused)
        for notice in done.result.warnings:
            making.board.note(notice.model_copy(update={"scene": order.scene_id}))
        making.board.finish(order.scene_id, done.result)
        async with self._db.transaction() as session:
            await Segments(session).mark_reused(making.render_id, order.key, done.reused)
            row = await Renders(session).find(making.render_id)
            if row is not None:
                described = {
                    "id": row.id,
                    "scene": order.scene_id,
                    "reused": done.reused,
                    "frames": done.result.frames,
                }
                await self.journal.tell(session, row, "render.segment", described)
        return done

    async def _assemble(self, making: Making, spec: RenderSpec, segments: list[SegmentDone]) -> Finished:
        inputs = tuple(
            TaskInput(file.sha256, f"segments/{scene.id}/{SEGMENT_FILES[file.role]}")
            for scene, segment in zip(spec.scenes, segments, strict=True)
            for file in segment.result.files
            if file.role in SEGMENT_FILES
        )
        task = self._task(making, "assemble", inputs=inputs, needs=Needs(engine="assemble"))
        # Before a worker has it: it may wait for one longer than the drawing took.
        making.board.stage = "assemble"
        with span("assemble", {"soundstage.scenes": len(segments)}):
            return await self._run(making, task, making.board.hear_assembly)

    async def _single(self, making: Making) -> Finished:
        """A preview or a lip sync: one task makes the whole video."""
        scene_id = next(iter(making.board.scenes)) if making.scene_id is None else making.scene_id
        if isinstance(making.spec, RenderSpec):
            scene = making.spec.scene(scene_id)
            needs = Needs.of_scene(scene)
            task = self._task(making, "preview", scene_id=scene_id, needs=needs)
        else:
            needs = Needs.of(making.spec.face, making.spec.requirements)
            task = self._task(making, "lipsync", needs=needs)
        return await self._run(making, task, lambda event: making.board.hear(scene_id, event))

    def _task(self, making: Making, kind: Any, **more: Any) -> SegmentTask:
        return SegmentTask(
            # Never the same twice: what was stopped with the server shall not be taken for this one.
            id=f"{new_id(making.render_id)}-{kind}",
            kind=kind,
            spec_sha256=making.spec_sha256,
            priority=PREVIEW_PRIORITY if kind == "preview" else making.priority,
            time_limit_s=self.options.time_limit_s,
            variables=_all_variables(making.spec) if kind == "preview" else (),
            trace_id=making.trace_id,
            unfinished=making.render_id,
            **more,
        )

    async def _run(self, making: Making, task: SegmentTask, hear: Any) -> Finished:
        def on_event(event: TaskEvent) -> None:
            making.task_id = event.task_id
            making.hear(event)
            hear(event)

        return await run_task_again(self.scheduler, task, on_event, making.ending)

    async def _finish(self, making: Making, result: Finished, lost: list[tuple[int, int]]) -> None:
        outputs: dict[str, OutputFile] = {file.role: file for file in result.files}
        with span("deliver", {"soundstage.files": len(outputs)}):
            names = await self._deliver(making, outputs)
            async with self._db.transaction() as session:
                row = await Renders(session).find(making.render_id)
                if row is None:
                    raise TaskFailed(RENDER_DELETED)
                references = References(session)
                for role, file in outputs.items():
                    await references.hold(f"render:{row.id}", f"output:{role}", file.sha256, file.bytes)
                await Renders(session).set_outputs(row.id, [_output(row, file) for file in outputs.values()])
                row.out_files = names
                row.duration_ms = result.duration_ms
                row.lost_face_frames = [list(frames) for frames in lost]
                row.progress = making.board.complete().model_dump(mode="json")
                if row.state == RenderState.DISPATCHED:
                    await self.journal.move(session, row, RenderState.RUNNING)
                await self.journal.move(session, row, RenderState.DONE)

    async def _deliver(self, making: Making, outputs: Mapping[str, OutputFile]) -> list[str]:
        """A preview is watched in the page; only videos get a name in out_dir."""
        if making.kind == "preview":
            return []
        names = file_names(making.title, making.render_id, tuple(outputs))
        ours = frozenset(making.out_files)
        names = await asyncio.to_thread(free_names, names, self.options.out_dir, ours)
        async with self._db.transaction() as session:
            row = await Renders(session).find(making.render_id)
            if row is not None:
                # Noted while no file of these names is there: what a kill leaves behind is known as ours.
                row.out_files = list(names.values())
        files = {name: await self.blobs.local_path(outputs[role].sha256) for role, name in names.items()}
        return await asyncio.to_thread(deliver, files, self.options.out_dir, replaceable=ours)


async def _to_the_end(part: Coroutine[Any, Any, None]) -> None:
    """Not to be cancelled midway: files and row change together. A cancel that comes now is too late."""
    work = asyncio.create_task(part)
    with suppress(asyncio.CancelledError):
        await wait_all([work])
    work.result()


def spec_of(row: Render) -> RenderSpec | LipsyncSpec:
    """As it was admitted."""
    return (LipsyncSpec if row.kind == "lipsync" else RenderSpec).model_validate(row.spec)


def _output(row: Render, file: OutputFile) -> RenderOutput:
    name = file_names(row.title, row.id, (file.role,)).get(file.role, file.path)
    return RenderOutput(
        render_id=row.id,
        role=file.role,
        name=name,
        sha256=file.sha256,
        bytes=file.bytes,
        media_type=file.media_type,
    )


def _all_variables(spec: RenderSpec | LipsyncSpec) -> tuple[str, ...]:
    scenes = spec.scenes if isinstance(spec, RenderSpec) else ()
    return tuple(sorted({name for scene in scenes for name in variables_of_scene(scene)}))


async def _all_or_first_failure(parts: list[Coroutine[Any, Any, SegmentDone]]) -> list[SegmentDone]:
    """All results in order. The first failure ends the others, and only then is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await cancel_all(tasks)
    failures = [task.exception() for task in tasks if not task.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure
    return [task.result() for task in tasks]
