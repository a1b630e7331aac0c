"""The tools of the agent: typed verbs with one record each; called by the Brain through `tools.wrappers`."""

from agent.tools.catalogue import ALL_TOOLS
from agent.tools.record import ToolContext, ToolResult, tool
from agent.tools.toolset import DirectToolset, ToolCall, Toolset

__all__ = [
    "ALL_TOOLS",
    "DirectToolset",
    "ToolCall",
    "ToolContext",
    "ToolResult",
    "Toolset",
    "tool",
]
