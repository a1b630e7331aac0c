"""REST of other MCP servers: `GET /api/mcp-servers` lists them with the tools that the operator allowed."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends

from agent.mcp_servers.service import McpServerDetails, McpServers
from policy import Principal, require_permission
from soundstage.routers import AppService

Reader = Annotated[Principal, Depends(require_permission("event:read"))]
Servers = Annotated[McpServers, Depends(AppService("mcp_servers"))]
router = APIRouter(prefix="/api/mcp-servers", tags=["mcp servers"])


@router.get("")
async def list_mcp_servers(servers: Servers, principal: Reader) -> Sequence[McpServerDetails]:
    """The MCP servers of the settings, whether they answer, and their allowed tools. Starts none."""
    return servers.details()
