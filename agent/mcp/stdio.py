"""MCP over standard input and output, for a client on this machine; `soundstage mcp` calls it."""

from __future__ import annotations

from mcp.server.stdio import stdio_server

from agent.mcp.calls import McpCalls
from agent.mcp.server import mcp_server
from policy import Principal


async def serve_stdio(calls: McpCalls, principal: Principal) -> None:
    """Until standard input ends."""
    server = mcp_server(calls, lambda _: principal)
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await calls.close()
