"""The agent's tools over the Model Context Protocol: same calls, same guards, other callers.

The modules beside `http` import the SDK, which is large: a server loads them for its first MCP request.
"""

from agent.mcp.http import McpEndpoint, mcp_router

__all__ = ["McpEndpoint", "mcp_router"]
