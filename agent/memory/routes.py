"""REST of the memory: each principal reaches their own; the operator all."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from agent.memory.schemas import MAX_CHARS, Export, Recalled, Remembered, RememberRequest
from agent.memory.service import MemoryService, Owner
from policy import Principal, require_permission
from soundstage.errors import Forbidden, Invalid, NotFound
from soundstage.routers import AppService

Reader = Annotated[Principal, Depends(require_permission("memory:read"))]
Creator = Annotated[Principal, Depends(require_permission("memory:create"))]
Forgetter = Annotated[Principal, Depends(require_permission("memory:delete"))]


Of = Annotated[
    str | None,
    Query(max_length=80, description="whose: the id of a key; for the operator alone. Default: one's own"),
]
InTenant = Annotated[str | None, Query(max_length=80, description="with `of`: the tenant of that key")]


def owner_of(principal: Principal, of: str | None, tenant: str | None) -> Owner:
    """Returns the caller, or with `of` another owner. Raises Forbidden for all but the operator."""
    if of is None and tenant is None:
        return Owner.of(principal)
    if not principal.is_operator:
        raise Forbidden(
            "memory.not_yours",
            "What others asked me to remember is shown to the operator alone.",
            "Leave out --of and --tenant, or use a key of the operator.",
        )
    return Owner(tenant or principal.tenant, of or principal.id)


class Deleted(BaseModel):
    """The number of deleted memories."""

    gone: int


Memory = Annotated[MemoryService, Depends(AppService("memory"))]
router = APIRouter(prefix="/api/memory", tags=["memory"])


@router.get("")
async def recall(
    memory: Memory,
    principal: Reader,
    about: Annotated[str, Query(max_length=MAX_CHARS, description="what it shall have to do with")] = "",
    persona: Annotated[str | None, Query(max_length=80, description="for this one and for all")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    of: Of = None,
    tenant: InTenant = None,
) -> Recalled:
    """Returns memories: with `about` the nearest first, else the newest first."""
    return await memory.recall(owner_of(principal, of, tenant), about, persona=persona, limit=limit)


@router.post("", status_code=201)
async def remember(request: RememberRequest, memory: Memory, principal: Creator) -> Remembered:
    """Stores a text. The same words are stored once."""
    return await memory.remember(
        Owner.of(principal), request.text, request.persona, keep_secret=request.keep_secret
    )


@router.get("/export")
async def export(memory: Memory, principal: Reader, of: Of = None, tenant: InTenant = None) -> Export:
    """Returns all memories as one document."""
    return await memory.export(owner_of(principal, of, tenant))


@router.delete("/{memory_id}")
async def forget(memory_id: str, memory: Memory, principal: Forgetter) -> Deleted:
    """Deletes one: the row, its index entry and its remains in the database file."""
    gone = await memory.forget(Owner.of(principal), [memory_id])
    if not gone:
        raise _no_memory(memory_id)
    return Deleted(gone=gone)


@router.delete("")
async def forget_several(
    memory: Memory,
    principal: Forgetter,
    ids: Annotated[list[str], Query(alias="id", max_length=500, description="these alone; repeatable")] = (),  # type: ignore[assignment]
    everything: Annotated[
        bool, Query(description="all of it, where no `id` is given: there is no way back")
    ] = False,
    of: Of = None,
    tenant: InTenant = None,
) -> Deleted:
    """Deletes the named memories, all or none of them; or all of the caller's."""
    if not ids and not everything:
        raise Invalid(
            "memory.say_everything",
            "This would forget everything, and it is not said that it shall.",
            "`soundstage memory forget --everything` forgets all, with ids instead it forgets those "
            "(REST: `everything=true`, or `id`).",
        )
    owner = owner_of(principal, of, tenant)
    known = {one.id for one in await memory.some(owner, ids)}
    for missing in sorted(set(ids) - known):
        raise _no_memory(missing)
    return Deleted(gone=await memory.forget(owner, None if everything else known))


def _no_memory(memory_id: str) -> NotFound:
    """Returns the error for a missing memory, or one of another user."""
    return NotFound(
        "memory.not_found", f"There is no memory {memory_id!r}.", "List them: `soundstage memory list`."
    )
