"""Lists of renders: filters, sort orders, and the short form of each row; the route of the list calls it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Text, cast, func
from sqlalchemy.orm import defer

from soundstage.database import Database
from soundstage.paging import Order, Page, PageRequest, contains_words, select_page
from studio.projects.repository import Projects
from studio.projects.service import project_of
from studio.renders.failed_scene import find_failed_scenes
from studio.renders.models import Render, RenderOutput
from studio.renders.repository import Renders
from studio.renders.schemas import (
    FailedScene,
    Progress,
    RenderKind,
    RenderSummary,
)
from studio.renders.states import TERMINAL, RenderState

RenderSort = Literal["-created", "created", "title", "-title", "duration", "-duration"]

_TITLE = func.lower(Render.title)
_DURATION = func.coalesce(Render.duration_ms, 0)
ORDERS = MappingProxyType(
    {
        "-created": Order(Render.id),
        "created": Order(Render.id, descending=False),
        "title": Order(Render.id, _TITLE, descending=False),
        "-title": Order(Render.id, _TITLE),
        "duration": Order(Render.id, _DURATION, int, descending=False),
        "-duration": Order(Render.id, _DURATION, int),
    }
)
_NOT_LISTED = tuple(
    defer(column, raiseload=True) for column in (Render.spec, Render.worker_log, Render.forecast)
)


@dataclass(frozen=True, slots=True)
class RenderFilter:
    """Filter of a list. Empty means all; `project` is an id or slug; `before` is the id of the last
    render seen, as older clients page.
    """

    sort: RenderSort = "-created"
    q: str | None = None
    states: Sequence[RenderState] = ()
    kinds: Sequence[RenderKind] = ()
    persona: str | None = None
    project: str | None = None
    before: str | None = None


class RenderList:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def find_page(self, criteria: RenderFilter, request: PageRequest) -> Page[RenderSummary]:
        """Read one page of short forms. Raises `project.not_found` and `page.bad_cursor`."""
        async with self._db.session() as session:
            project_id = None
            if criteria.project is not None:
                project_id = (await project_of(Projects(session), criteria.project)).id
            page = await select_page(
                session,
                Render,
                ORDERS[criteria.sort],
                request,
                where=_conditions(criteria, project_id),
                scope=asdict(criteria),
                options=_NOT_LISTED,
            )
            outputs: dict[str, list[RenderOutput]] = {}
            for output in await Renders(session).outputs([row.id for row in page.items]):
                outputs.setdefault(output.render_id, []).append(output)
            failed = [row.id for row in page.items if row.state == RenderState.FAILED]
            scenes = await find_failed_scenes(session, failed)
            rows = [summary_of(row, outputs.get(row.id, ()), scenes.get(row.id)) for row in page.items]
        return page.of(rows)


def summary_of(
    row: Render, outputs: Sequence[RenderOutput], failed_scene: FailedScene | None
) -> RenderSummary:
    progress = Progress.model_validate({**(row.progress or {}), "engines": []})
    if row.state in TERMINAL:
        progress = progress.model_copy(update={"preview": None})
    return RenderSummary.model_validate(
        {
            **columns_of(row, RenderSummary),
            "progress": progress,
            "failed_scene": failed_scene,
            "files": sorted(output.role for output in outputs),
            "picture": picture_url(row, outputs),
        }
    )


def columns_of(row: Render, view: type[BaseModel]) -> dict[str, Any]:
    """Returns what a view shows of a row: the columns with the names of its fields."""
    return {name: getattr(row, name) for name in view.model_fields if name in Render.__table__.columns}


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
    if criteria.before is not None:
        found.append(Render.id < criteria.before)
    return found
