"""Tools of other MCP servers, under our policy: the client side of the Model Context Protocol.

The modules `connection`, `stdio` and `http` import the SDK, which is large: the first call loads them.
"""

from agent.mcp_servers.service import McpServers

__all__ = ["McpServers"]
