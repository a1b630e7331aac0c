"""`GET /api/status`: what the agent is, has and does at this moment, for pages and for monitoring."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from agent.mcp_servers import McpServers
from agent.mcp_servers.service import McpServerView
from agent.memory.sentence_files import is_installed
from agent.memory.service import MemoryService, Owner
from agent.sessions.service import SessionService
from agent.snapshots.service import SnapshotService
from policy import Principal, require_permission
from soundstage.database import utcnow
from studio.renders.service import RenderService
from studio.renders.states import TERMINAL, RenderState

MAX_LISTED = 100

Reader = Annotated[Principal, Depends(require_permission("event:read"))]


class Underway(BaseModel):
    """A video that is not done yet."""

    render_id: str
    title: str
    state: RenderState


class Status(BaseModel):
    """The state of the agent, as far as the principal may see it."""

    status: Literal["ok"] = "ok"
    version: str
    at: datetime
    answers: Literal["model", "sentences"] = Field(
        description="whether a language model answers what the fixed sentences do not"
    )
    tools: int
    conversations: int = Field(description="of the caller, at most 100 are counted")
    memories: int
    memory: Literal["meaning", "words"] = Field(description="how memories are found")
    snapshots: Sequence[str] = Field(description="names of the caller's own, the newest first")
    mcp_servers: Sequence[McpServerView] = Field(description="whose tools the agent may call")
    videos: Sequence[Underway] = Field(description="that are not done yet, the newest first")


def status_router(
    sessions: SessionService,
    memory: MemoryService,
    snapshots: SnapshotService,
    renders: RenderService,
    mcp_servers: McpServers,
    *,
    tools: int,
    has_model: bool,
) -> APIRouter:
    """`/api/status`; `has_model` is what the settings say, not whether the model is well."""
    router = APIRouter(prefix="/api", tags=["chat"])

    @router.get("/status")
    async def status(principal: Reader) -> Status:
        """Returns the state of the agent."""
        views = [
            view
            for state in RenderState
            if state not in TERMINAL
            for view in await renders.list(state, limit=MAX_LISTED)
        ]
        views.sort(key=lambda view: view.created_at, reverse=True)
        return Status(
            version=version("soundstage"),
            at=utcnow(),
            answers="model" if has_model else "sentences",
            tools=tools,
            conversations=len(await sessions.list(principal, MAX_LISTED)),
            memories=await memory.count(Owner.of(principal)),
            memory="meaning" if is_installed() else "words",
            snapshots=[one.name for one in await snapshots.list(principal)],
            mcp_servers=mcp_servers.views(),
            videos=[Underway(render_id=view.id, title=view.title, state=view.state) for view in views],
        )

    return router
