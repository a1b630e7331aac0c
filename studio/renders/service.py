"""Operations on renders for routes, the agent's tools and the CLI. The dispatcher runs the renders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from pathlib import Path

from avatar.spec import RenderSpec
from sqlalchemy.ext.asyncio import AsyncSession

from farm.failures import CANCELLED
from farm.history import RunTimes
from policy.audit import AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict, NotFound, SoundstageError, Unavailable
from soundstage.events import Event, EventStore
from soundstage.paging import PageRequest
from studio.brands.applying import Film
from studio.brands.usage import film_of
from studio.idempotency.service import Claim
from studio.personas.library import PersonaLibrary
from studio.projects.repository import Projects
from studio.projects.service import editable_project, project_of
from studio.projects.versions import snapshot
from studio.references.repository import References
from studio.renders.admission import Admission, BeforeInsert, consents_in
from studio.renders.delivery import delete_delivered_files
from studio.renders.journal import RenderJournal, stream_of
from studio.renders.listing import RenderFilter, find_failed_scenes, select_renders
from studio.renders.media import check_media, hashes_in
from studio.renders.models import Render
from studio.renders.planning import (
    RenderDraft,
    RenderEstimate,
    estimate_of,
    estimate_s,
    refuse_active,
    refuse_cancel,
    refuse_retry,
)
from studio.renders.preflight import missing_thing, plan_of
from studio.renders.repository import Renders, Segments
from studio.renders.schemas import (
    MissingThing,
    OutputView,
    Preview,
    RenderDetail,
    RenderPlan,
    RenderRequest,
    RenderView,
)
from studio.renders.specs import raise_requirements, spec_of_project, spec_of_script
from studio.renders.states import ACTIVE, TERMINAL, RenderState
from studio.renders.views import detail_of, explain_active, explain_queued, view_of
from studio.scenes.editing import scene_not_found
from studio.scenes.schemas import SceneBody

MIN_ID_SUFFIX = 4


@dataclass
class RenderService:
    db: Database
    events: EventStore
    blobs: BlobStore
    library: PersonaLibrary
    admission: Admission
    _: KW_ONLY
    out_dir: Path
    discard_renditions: Callable[[Collection[str]], Awaitable[None]]
    wake: Callable[[], None]
    dispatcher_running: Callable[[], Awaitable[bool]]
    discard_unfinished: Callable[[Collection[str]], Awaitable[None]]
    audit: AuditLog
    run_durations: RunTimes | None
    worker_version: str

    def __post_init__(self) -> None:
        self._journal = RenderJournal(self.db, self.events, self.audit)

    async def create(
        self,
        request: RenderRequest,
        *,
        requested_by: str = "",
        claim: Claim | None = None,
        prepare: BeforeInsert | None = None,
    ) -> RenderView:
        """Queues a render and returns at once. Raises what forbids it: limits, files, consent, voices; and
        whatever `claim` and `prepare` raise, with nothing created.
        """
        draft = await self._draft(request)
        render_id = new_id("rnd")
        async with self.db.transaction() as session:
            if prepare is not None:
                await prepare(session)
            if claim is not None:
                await claim(session, render_id)
            draft = await self._admit(session, draft)
            row = await self._insert(session, draft, render_id, requested_by)
            view = view_of(row, ())
        self.wake()
        return view

    async def plan(self, request: RenderRequest) -> RenderEstimate:
        """Returns what `create` would queue; raises what it would, and creates nothing."""
        draft = await self._draft(request)
        async with self.db.session() as session:
            draft = await self._admit(session, draft)
        return estimate_of(draft, self.run_durations)

    async def preflight(self, request: RenderRequest) -> RenderPlan:
        """Returns scenes reused and new, seconds, and all that is missing; creates nothing. Raises NotFound
        for a project that there is not.
        """
        try:
            draft = await self._draft(request)
            async with self.db.session() as session:
                draft = await self._admit(session, draft)
                return await plan_of(session, draft, self.run_durations, self.worker_version)
        except SoundstageError as error:
            if error.code in ("project.not_found", "project.in_trash"):
                raise
            missing = [] if request.project is None else await self._missing(request.project)
            return RenderPlan(missing=[*missing] or [missing_thing(error)])

    async def _missing(self, ref: str) -> Sequence[MissingThing]:
        """Returns what each scene of a project is refused for."""
        try:
            film, _ = await self._film(ref)
        except SoundstageError as error:
            return [missing_thing(error)]
        missing = []
        for number, scene in enumerate(film.scenes, start=1):
            try:
                await self._admit_scene(film, scene, number)
            except SoundstageError as error:
                missing.append(missing_thing(error, scene[0]))
        return missing

    async def spec_of_scene(self, ref: str, scene_id: str) -> RenderSpec:
        """Returns an admitted spec of one scene of a project. Raises NotFound (`project.not_found`,
        `scene.not_found`), and what forbids a film of it.
        """
        film, _ = await self._film(ref)
        for number, scene in enumerate(film.scenes, start=1):
            if scene[0] == scene_id:
                return await self._admit_scene(film, scene, number)
        raise scene_not_found(ref, scene_id)

    async def _admit_scene(self, film: Film, scene: tuple[str, str, SceneBody], number: int) -> RenderSpec:
        spec = spec_of_project(film.title, film.look, [scene], self.library, film.overlays, first=number)
        await check_media(spec, self.blobs, self.db, self._operator_persona_hashes())
        async with self.db.session() as session:
            return await self.admission.admit(session, spec)

    async def plan_retry(self, ref: str) -> float | None:
        """Estimates the seconds of another attempt; None without history. Raises what `retry` would."""
        async with self.db.session() as session:
            row = await render_of(session, ref)
            refuse_retry(row)
            segments = await Segments(session).of_render(row.id)
            spec = detail_of(row, (), segments).spec
        done = {link.scene_id for link, segment in segments if segment and segment.state == RenderState.DONE}
        return estimate_s(spec, self.run_durations, done) if isinstance(spec, RenderSpec) else None

    async def list(
        self,
        *states: RenderState,
        project: str | None = None,
        persona: str | None = None,
        limit: int = 50,
    ) -> list[RenderView]:
        """Returns videos in one of these states, or in any, of a project or a presenter, newest first,
        without previews of scenes and without those in the trash.
        """
        criteria = RenderFilter(states=states, kinds=("video", "lipsync"), project=project, persona=persona)
        async with self.db.session() as session:
            rows = (await select_renders(session, criteria, PageRequest(limit))).items
            outputs = await Renders(session).outputs([row.id for row in rows])
            return [
                view_of(row, [output for output in outputs if output.render_id == row.id]) for row in rows
            ]

    async def find_by_traces(self, traces: Collection[str]) -> dict[str, tuple[str, str]]:
        """Returns id and title of the renders that are made, by their trace."""
        if not traces:
            return {}
        async with self.db.session() as session:
            return await Renders(session).find_active_by_traces(traces)

    async def get(self, ref: str) -> RenderView:
        """Returns a render by id, or by the last characters of its id."""
        async with self.db.session() as session:
            row = await render_of(session, ref)
            return view_of(row, await Renders(session).outputs([row.id]))

    async def detail(self, ref: str) -> RenderDetail:
        """Returns a render with its spec and segments."""
        async with self.db.session() as session:
            row = await render_of(session, ref)
            segments = await Segments(session).of_render(row.id)
            failed = [row.id] if row.state == RenderState.FAILED else []
            scene = (await find_failed_scenes(session, failed)).get(row.id)
            return detail_of(row, await Renders(session).outputs([row.id]), segments, scene)

    async def explain(self, ref: str) -> str:
        """Explains its state in one sentence."""
        async with self.db.session() as session:
            row = await render_of(session, ref)
            if row.state != RenderState.QUEUED:
                return explain_active(row)
            is_driven = await self.dispatcher_running()
            with bypass_tenant_filter():
                return explain_queued(await Renders(session).ahead_of(row), is_driven=is_driven)

    async def log(self, ref: str) -> str:
        """Returns the end of the worker's log when this render failed; "" otherwise."""
        async with self.db.session() as session:
            return (await render_of(session, ref)).worker_log

    async def cancel(self, ref: str, *, by: str = "") -> RenderView:
        """Cancels a queued render at once. An active one is marked: the dispatcher stops its workers and
        records the outcome. The workers' checkpoints are discarded. `by` is named in the audit log.
        """
        unfinished: set[str] = set()
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            state = RenderState(row.state)
            if by and state not in TERMINAL and not row.cancel_requested:
                await self._journal.record_cancel_request(session, row, by)
            if state is RenderState.QUEUED:
                await self._journal.move(session, row, RenderState.CANCELLED, error=CANCELLED)
                # It may have been active before: requeued when a server stopped, or retried.
                unfinished = await Segments(session).find_unfinished(row.id)
            elif state in ACTIVE and not row.cancel_requested:
                row.cancel_requested = True
                await self._journal.tell(session, row, "render.cancel_requested", {"id": row.id})
            else:
                refuse_cancel(state)
            view = view_of(row, ())
        if unfinished:
            await self.discard_unfinished(unfinished)
        self.wake()
        return view

    async def retry(self, ref: str) -> RenderView:
        """Queues another attempt of the same spec; finished segments are reused."""
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            refuse_retry(row)
            row.attempt += 1
            row.warnings, row.progress, row.worker_log, row.forecast = [], {}, "", None
            row.started_at = row.finished_at = None
            await self._journal.move(session, row, RenderState.QUEUED, why="retry")
            view = view_of(row, ())
        self.wake()
        return view

    async def delete(self, ref: str, *, trashed_before: datetime | None = None) -> None:
        """Deletes the row and the files; the next `gc` deletes blobs that nothing else references. With
        `trashed_before` nothing happens unless it has been in the trash since then.
        """
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            if trashed_before is not None and (row.trashed_at is None or row.trashed_at >= trashed_before):
                return
            refuse_active(row)
            names = list(row.out_files)
            await self._journal.record_deletion(session, row)
            await References(session).release(f"render:{row.id}")
            await Renders(session).remove([row.id])
        await self.discard_renditions({f"render:{row.id}"})
        delete_delivered_files(names, self.out_dir)

    async def open_output(self, ref: str, role: str) -> tuple[OutputView, Path]:
        """Returns a finished file by role ("video", "vtt", "srt", "poster", "provenance") and its path."""
        output = output_of(await self.get(ref), role)
        return output, await self.blobs.local_path(output.sha256)

    async def read_preview(self, ref: str) -> tuple[Preview, bytes]:
        """Returns the latest preview of a render and its JPEG, 320 pixels at most."""
        before: Preview | None = None
        view = await self.get(ref)
        while (preview := view.progress.preview) is not None and preview != before:
            with suppress(NotFound, FileNotFoundError):
                # The next preview replaces it meanwhile, and then that one is read.
                return preview, (await self.blobs.local_path(preview.sha256)).read_bytes()
            before, view = preview, await self.get(ref)
        raise NotFound(
            "render.no_preview",
            f"There is no picture of this render; it is {view.state}.",
            "Pictures come while frames are drawn; segments that are reused show none.",
        )

    async def follow(self, ref: str, after: int = 0) -> AsyncIterator[Event]:
        """Yields the events of one render after `after`, until its present attempt has ended."""
        view = await self.get(ref)
        if await self.is_exhausted(view, after):
            return
        async for event in self.events.follow(stream_of(view.id), after):
            yield event
            if is_end(event, view.attempt):
                return

    async def is_exhausted(self, view: RenderView, after: int) -> bool:
        """Returns whether it has ended with no event after `after`: all were sent, or old ones are gone."""
        return view.ended and not await self.events.read(stream_of(view.id), after, limit=1)

    async def wait(self, ref: str) -> RenderView:
        """Returns when it has ended."""
        async for _ in self.follow(ref):
            continue
        return await self.get(ref)

    async def _draft(self, request: RenderRequest) -> RenderDraft:
        """Returns the requested render with the sizes of its input files; not yet admitted."""
        if request.project is not None:
            draft = await self._draft_of_project(request, request.project)
        elif request.lipsync is not None:
            draft = RenderDraft(request, request.lipsync)
        elif request.spec is not None:
            draft = RenderDraft(request, request.spec)
        else:
            draft = RenderDraft(request, spec_of_script(request, self.library), (request.persona,))
        spec = raise_requirements(draft.spec, request.requirements)
        return replace(
            draft,
            spec=spec,
            sizes=await check_media(spec, self.blobs, self.db, self._operator_persona_hashes()),
        )

    async def _draft_of_project(self, request: RenderRequest, ref: str) -> RenderDraft:
        film, project_id = await self._film(ref)
        spec = spec_of_project(film.title, film.look, film.scenes, self.library, film.overlays, film.music)
        personas = tuple(
            dict.fromkeys(
                name
                for _, _, body in film.scenes
                for name in (
                    body.persona or film.look.persona,
                    *(speaker.persona for speaker in body.speakers),
                )
            )
        )
        return RenderDraft(request, spec, personas, project_id)

    async def _film(self, ref: str) -> tuple[Film, str]:
        """Returns what the video is made of, and the id of the project."""
        async with self.db.session() as session:
            project = await editable_project(Projects(session), ref)
            return await film_of(session, project, self.library), project.id

    async def _admit(self, session: AsyncSession, draft: RenderDraft) -> RenderDraft:
        """Returns the draft with its consent ids resolved to the stored records. Raises what forbids it, and
        Unavailable `render.queue_full`.
        """
        spec = await self.admission.admit(session, draft.spec)
        with bypass_tenant_filter():
            queued = await Renders(session).count_queued()
        if queued >= self.admission.limits.queued_renders:
            raise Unavailable(
                "render.queue_full",
                f"{self.admission.limits.queued_renders} renders wait already.",
                "Wait until some are done, cancel some, or raise limits.queued_renders.",
            )
        return replace(draft, spec=spec)

    async def _insert(
        self, session: AsyncSession, draft: RenderDraft, render_id: str, requested_by: str
    ) -> Render:
        """Inserts the row, its references, and the version of its project."""
        row = draft.row(render_id, requested_by)
        if draft.project_id is not None and isinstance(draft.spec, RenderSpec):
            project = await project_of(Projects(session), draft.project_id)
            version = await snapshot(session, project, spec=draft.spec, note="rendered", sizes=draft.sizes)
            row.project_version = version.number
        await Renders(session).add(row)
        references = References(session)
        for number, (sha256, size) in enumerate(sorted(draft.sizes.items())):
            await references.hold(f"render:{row.id}", f"input:{number}", sha256, size)
        consents = {f"consent:{consent}" for consent in consents_in(draft.spec)}
        await references.derive(f"render:{row.id}", hashes_in(draft.spec) | consents)
        await self._journal.record_creation(session, row)
        return row

    def _operator_persona_hashes(self) -> set[str]:
        """Returns the files of the operator's personas, which every tenant may use."""
        shipped = (entry.persona for entry in self.library.entries() if entry.origin == "shipped")
        return {sha256 for persona in shipped if persona is not None for sha256 in hashes_in(persona)}


def output_of(view: RenderView, role: str) -> OutputView:
    """Returns the record of a finished file; its content is not fetched. Raises NotFound
    `render.no_output`.
    """
    if (output := view.output(role)) is not None:
        return output
    known = ", ".join(output.role for output in view.outputs) or f"none: the render is {view.state}"
    raise NotFound("render.no_output", f"This render has no {role!r} file.", f"There are: {known}.")


def is_end(event: Event, attempt: int) -> bool:
    """Returns whether this event ends an attempt (a retry goes on in the same stream)."""
    data = event.data
    return event.kind == "render.state" and data.get("state") in TERMINAL and data.get("attempt") == attempt


async def render_of(session: AsyncSession, ref: str) -> Render:
    """Returns the row by id, or by the last characters of its id. Raises `render.not_found`,
    `render.ambiguous`.
    """
    renders = Renders(session)
    row = await renders.find(ref)
    if row is not None:
        return row
    found = await renders.find_by_ending(ref) if len(ref) >= MIN_ID_SUFFIX else ()
    if len(found) == 1:
        return found[0]
    if found:
        raise Conflict(
            "render.ambiguous", f"Several renders end in {ref!r}.", "Give more characters of the id."
        )
    raise render_not_found(ref)


def render_not_found(ref: str) -> NotFound:
    return NotFound(
        "render.not_found",
        f"There is no render {ref!r}.",
        '`soundstage ask "list my videos"` lists them; `soundstage trace ID` tells of a deleted one.',
    )
