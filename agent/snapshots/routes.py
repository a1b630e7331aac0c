"""REST of snapshots: `/api/snapshots`, and `/api/state/save` and `…/load` for pages that know only these."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from agent.snapshots.schemas import (
    Compared,
    IntoRequest,
    Loaded,
    LoadRequest,
    SaveRequest,
    SnapshotDetail,
    SnapshotOut,
)
from agent.snapshots.service import SnapshotService
from policy import Principal, require_permission
from soundstage.paging import PAGED, PagingDep
from soundstage.routers import AppService

Reader = Annotated[Principal, Depends(require_permission("snapshot:read"))]
Saver = Annotated[Principal, Depends(require_permission("snapshot:create"))]
Loader = Annotated[Principal, Depends(require_permission("snapshot:load"))]
Deleter = Annotated[Principal, Depends(require_permission("snapshot:delete"))]
NameInPath = Annotated[str, Path(min_length=1, max_length=80)]


Snapshots = Annotated[SnapshotService, Depends(AppService("snapshots"))]
router = APIRouter(prefix="/api", tags=["snapshots"])


@router.get("/snapshots", responses=PAGED)
async def list_snapshots(
    snapshots: Snapshots,
    principal: Reader,
    paging: PagingDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> Sequence[SnapshotOut]:
    """One's own, the newest first. `Link` leads to the next page."""
    return paging.answer(await snapshots.find_page(principal, paging.ask(limit)))


@router.post("/snapshots", status_code=201)
async def create_snapshot(body: SaveRequest, snapshots: Snapshots, principal: Saver) -> SnapshotOut:
    """Saves where a conversation stands, under a name that is free unless it shall be replaced."""
    return await snapshots.save(principal, body.name, body.session_id, replace=body.replace)


@router.get("/snapshots/{name}")
async def get_snapshot(name: NameInPath, snapshots: Snapshots, principal: Reader) -> SnapshotDetail:
    """One snapshot with its turns and what "it" meant."""
    return await snapshots.get(principal, name)


@router.delete("/snapshots/{name}")
async def delete_snapshot(name: NameInPath, snapshots: Snapshots, principal: Deleter) -> SnapshotOut:
    """Deletes it. Conversations that go on from it keep what they took over."""
    return await snapshots.delete(principal, name)


@router.post("/snapshots/{name}/load")
async def load_snapshot(
    name: NameInPath, into: IntoRequest, snapshots: Snapshots, principal: Loader
) -> Loaded:
    """Lets a conversation go on from there; a new one when none is named."""
    return await snapshots.load(principal, name, into.session_id)


@router.get("/snapshots/{name}/diff")
async def compare_snapshot(
    name: NameInPath,
    snapshots: Snapshots,
    principal: Reader,
    other: Annotated[str | None, Query(max_length=80, description="another snapshot")] = None,
    session_id: Annotated[
        str | None, Query(max_length=40, description="a conversation; default the last one")
    ] = None,
) -> Compared:
    """Compares with another snapshot, or with the present state of a conversation."""
    return await snapshots.compare(principal, name, other=other, session_id=session_id)


@router.post("/state/save")
async def save_state(body: SaveRequest, snapshots: Snapshots, principal: Saver) -> SnapshotOut:
    """Saves the state of the conversation that was talked in last, or of the one named."""
    return await snapshots.save(principal, body.name, body.session_id, replace=body.replace)


@router.post("/state/load")
async def load_state(body: LoadRequest, snapshots: Snapshots, principal: Loader) -> Loaded:
    """Goes on from a saved state, in a new conversation or in the one named."""
    return await snapshots.load(principal, body.name, body.session_id)
