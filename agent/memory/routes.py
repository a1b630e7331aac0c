"""REST of the memory: one's own, and nobody else's."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from agent.memory import errors
from agent.memory.schemas import MOST_CHARS, Export, Recalled, Remembered, RememberRequest
from agent.memory.service import MemoryService, Owner
from policy import Principal, require_permission

Reader = Annotated[Principal, Depends(require_permission("memory:read"))]
Teller = Annotated[Principal, Depends(require_permission("memory:create"))]
Forgetter = Annotated[Principal, Depends(require_permission("memory:delete"))]


class Forgotten(BaseModel):
    """How many memories are gone."""

    gone: int


def memory_router(memory: MemoryService) -> APIRouter:
    """Routes below `/api/memory`."""
    router = APIRouter(prefix="/api/memory", tags=["memory"])

    @router.get("")
    async def recall(
        principal: Reader,
        about: Annotated[str, Query(max_length=MOST_CHARS, description="what it shall have to do with")] = "",
        persona: Annotated[str | None, Query(max_length=80, description="for this one and for all")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Recalled:
        """What is remembered: the nearest first to what is asked about, else the newest first."""
        return await memory.recall(Owner.of(principal), about, persona=persona, limit=limit)

    @router.post("", status_code=201)
    async def remember(told: RememberRequest, principal: Teller) -> Remembered:
        """Remembers a text. What is remembered already in the same words is not kept twice."""
        return await memory.remember(Owner.of(principal), told.text, told.persona)

    @router.get("/export")
    async def export(principal: Reader) -> Export:
        """Everything that is remembered, as one document."""
        return await memory.export(Owner.of(principal))

    @router.delete("/{memory_id}")
    async def forget(memory_id: str, principal: Forgetter) -> Forgotten:
        """Forgets one: the row, its place in the index and what the database file still holds of it."""
        gone = await memory.forget(Owner.of(principal), [memory_id])
        if not gone:
            raise errors.no_memory(memory_id)
        return Forgotten(gone=gone)

    @router.delete("")
    async def forget_everything(
        principal: Forgetter,
        everything: Annotated[bool, Query(description="must be true: there is no way back")] = False,
    ) -> Forgotten:
        """Forgets all that is remembered for the asker."""
        if not everything:
            raise errors.not_meant()
        return Forgotten(gone=await memory.forget(Owner.of(principal), None))

    return router
