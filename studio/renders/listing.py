"""Lists of renders: filters, sort orders, and the short form of each row; the route of the list calls it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from avatar.spec import RenderSpec
from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, defer

from soundstage.database import Database
from soundstage.paging import Order, Page, PageRequest, both_ways, contains_words, select_page
from soundstage.views import read_view
from studio.projects.repository import Projects
from studio.projects.schemas import ProjectSummary, ProjectView
from studio.projects.service import project_of
from studio.renders.making import spec_of
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.renders.repository import Renders
from studio.renders.schemas import (
    FailedScene,
    Progress,
    RenderKind,
    RenderSummary,
)
from studio.renders.states import TERMINAL, RenderState
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.tags import has_tags

RenderSort = Literal["-created", "created", "title", "-title", "duration", "-duration"]

ORDERS = both_ways(
    created=Order(Render.id),
    title=Order(Render.id, func.lower(Render.title)),
    duration=Order(Render.id, func.coalesce(Render.duration_ms, 0), int),
)


TITLE_CHARS = 60


async def find_failed_scenes(session: AsyncSession, failed: Collection[str]) -> dict[str, FailedScene]:
    """Return the first failed scene of each of these failed renders, by render id. A render that failed in no
    scene, but while its scenes were joined, is left out.
    """
    if not failed:
        return {}
    rows = await session.execute(
        select(RenderSegment.render_id, RenderSegment.scene_id)
        .join(Segment, Segment.key == RenderSegment.segment_key)
        .where(RenderSegment.render_id.in_(failed), Segment.state == RenderState.FAILED)
        .order_by(RenderSegment.position.desc())
    )
    # The first of each render comes last, and stays.
    scenes: dict[str, str] = {row[0]: row[1] for row in rows}
    found = await session.scalars(
        select(Render).where(Render.id.in_(failed), Render.id.in_(scenes) | Render.scene_id.is_not(None))
    )
    renders = found.all()
    scenes |= {row.id: row.scene_id for row in renders if row.scene_id is not None}
    named = await session.execute(
        select(SceneRow.id, SceneRow.title).where(SceneRow.id.in_(set(scenes.values())))
    )
    titles = {row[0]: row[1] for row in named}
    return {row.id: one for row in renders if (one := _failed_scene(row, scenes[row.id], titles)) is not None}


def _failed_scene(row: Render, scene_id: str, titles: dict[str, str]) -> FailedScene | None:
    spec = spec_of(row)
    if not isinstance(spec, RenderSpec):
        return None
    ids = [scene.id for scene in spec.scenes]
    if scene_id not in ids:
        return None
    index = ids.index(scene_id)
    script = " ".join((spec.scenes[index].script or "").split())
    return FailedScene(
        index=index,
        id=scene_id,
        title=titles.get(scene_id) or script[:TITLE_CHARS],
        editable=scene_id in titles,
    )


@dataclass(frozen=True, slots=True)
class RenderFilter:
    """Filter of a list. Empty means all; `project` is an id or slug. A render has all of `tags`. `trash`:
    those in the trash, and no others.
    """

    sort: RenderSort = "-created"
    q: str | None = None
    states: Sequence[RenderState] = ()
    kinds: Sequence[RenderKind] = ()
    persona: str | None = None
    project: str | None = None
    tags: Sequence[str] = ()
    trash: bool = False


async def select_renders(
    session: AsyncSession, criteria: RenderFilter, request: PageRequest, *left_out: InstrumentedAttribute[Any]
) -> Page[Render]:
    """Read one page of rows without spec and log, which may be long, and without these columns. Raises
    `project.not_found` and `page.bad_cursor`.
    """
    project_id = None
    if criteria.project is not None:
        project_id = (await project_of(Projects(session), criteria.project)).id
    return await select_page(
        session,
        Render,
        ORDERS[criteria.sort],
        request,
        where=_conditions(criteria, project_id),
        scope=asdict(criteria),
        options=[defer(one, raiseload=True) for one in (Render.spec, Render.worker_log, *left_out)],
    )


class RenderList:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def find_page(self, criteria: RenderFilter, request: PageRequest) -> Page[RenderSummary]:
        """Read one page of short forms. Raises `project.not_found` and `page.bad_cursor`."""
        async with self._db.session() as session:
            page = await select_renders(session, criteria, request, Render.forecast)
            outputs = await _outputs_by_render(session, page.items)
            failed = [row.id for row in page.items if row.state == RenderState.FAILED]
            scenes = await find_failed_scenes(session, failed)
            rows = [summary_of(row, outputs.get(row.id, ()), scenes.get(row.id)) for row in page.items]
        return page.of(rows)

    async def summarize_projects(self, projects: Sequence[ProjectView]) -> list[ProjectSummary]:
        """Returns them with their number of scenes, who speaks in them, and their latest finished video."""
        ids = [project.id for project in projects]
        async with self._db.session() as session:
            scenes: dict[str, list[Sequence[str | None]]] = {}
            for project_id, speakers in await Scenes(session).speakers(ids):
                scenes.setdefault(project_id, []).append(speakers)
            videos = {row.project_id: row for row in await Renders(session).latest_of_projects(ids)}
            outputs = await _outputs_by_render(session, videos.values())
            return [
                ProjectSummary(
                    **project.model_dump(),
                    scenes_total=len(scenes.get(project.id, ())),
                    personas=_personas_of(project, scenes.get(project.id, ())),
                    **_video_of(videos.get(project.id), outputs),
                )
                for project in projects
            ]


def _personas_of(project: ProjectView, scenes: Sequence[Sequence[str | None]]) -> list[str]:
    """Returns each who speaks once, in the order of the scenes."""
    found = dict.fromkeys(one or project.persona for speakers in scenes for one in speakers)
    return list(found) or [project.persona]


async def _outputs_by_render(
    session: AsyncSession, rows: Collection[Render]
) -> dict[str, list[RenderOutput]]:
    found: dict[str, list[RenderOutput]] = {}
    for output in await Renders(session).outputs([row.id for row in rows]):
        found.setdefault(output.render_id, []).append(output)
    return found


def _video_of(row: Render | None, outputs: Mapping[str, Sequence[RenderOutput]]) -> dict[str, Any]:
    if row is None:
        return {}
    picture = picture_url(row, outputs.get(row.id, ()))
    return {"picture": picture, "duration_ms": row.duration_ms, "video_at": row.created_at}


def summary_of(
    row: Render, outputs: Sequence[RenderOutput], failed_scene: FailedScene | None
) -> RenderSummary:
    progress = Progress.model_validate({**(row.progress or {}), "engines": []})
    if row.state in TERMINAL:
        progress = progress.model_copy(update={"preview": None})
    return read_view(
        RenderSummary,
        row,
        progress=progress,
        failed_scene=failed_scene,
        files=sorted(output.role for output in outputs),
        picture=picture_url(row, outputs),
    )


def picture_url(row: Render, outputs: Sequence[RenderOutput]) -> str | None:
    """Return the address of the small picture: of the poster, of a video without one, or of the latest frame
    while there is neither.
    """
    hashes = {output.role: output.sha256 for output in outputs}
    preview = (row.progress or {}).get("preview") or {}
    sha256 = hashes.get("poster") or hashes.get("video") or preview.get("sha256")
    if sha256 is None:
        return None
    # The content names the address, so that a browser may keep the picture for good.
    return f"/api/renders/{row.id}/thumbnail?v={sha256.removeprefix('sha256:')[:12]}"


def _conditions(criteria: RenderFilter, project_id: str | None) -> list[ColumnElement[bool]]:
    found = contains_words(criteria.q, Render.title, Render.id, Render.requested_by)
    if criteria.states:
        found.append(Render.state.in_(criteria.states))
    if criteria.kinds:
        found.append(Render.kind.in_(criteria.kinds))
    if criteria.persona is not None:
        # A list in JSON: the name stands there in quotes.
        found.append(cast(Render.personas, Text).contains(json.dumps(criteria.persona), autoescape=True))
    if project_id is not None:
        found.append(Render.project_id == project_id)
    found += has_tags(Render.tags, criteria.tags)
    found.append(Render.trashed_at.is_not(None) if criteria.trash else Render.trashed_at.is_(None))
    return found
