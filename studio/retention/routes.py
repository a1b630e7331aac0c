"""REST of the collection of what is not needed any more."""

from __future__ import annotations

from fastapi import APIRouter

from studio.guards import CollectStorage
from studio.retention.service import CollectionPlan, Usage
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/storage", tags=["storage"])


@router.get("")
async def read_usage(studio: StudioDep, _: CollectStorage) -> Usage:
    """Returns the bytes that each kind of owner takes."""
    return await studio.retention.usage()


@router.get("/collection")
async def plan_collection(studio: StudioDep, _: CollectStorage) -> CollectionPlan:
    """Returns what would be removed now; changes nothing."""
    return await studio.retention.plan()


@router.post("/collection")
async def collect(studio: StudioDep, _: CollectStorage) -> CollectionPlan:
    """Carries the plan out."""
    return await studio.retention.apply()
