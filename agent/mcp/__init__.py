"""The agent's tools over the Model Context Protocol: same calls, same guards, other callers."""

from agent.mcp.calls import McpCalls
from agent.mcp.http import McpEndpoint, mcp_router
from agent.mcp.server import mcp_server
from agent.mcp.stdio import serve_stdio

__all__ = ["McpCalls", "McpEndpoint", "mcp_router", "mcp_server", "serve_stdio"]
