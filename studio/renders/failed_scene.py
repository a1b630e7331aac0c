"""Says in which scene a render has failed; used by its summary and its detail."""

from __future__ import annotations

from collections.abc import Collection

from avatar.spec import RenderSpec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from studio.renders.making import spec_of
from studio.renders.models import Render, RenderSegment, Segment
from studio.renders.schemas import FailedScene
from studio.renders.states import RenderState
from studio.scenes.models import SceneRow

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
