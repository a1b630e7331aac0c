"""The tools of the agent: typed verbs with one record each; called by the Brain."""

from agent.tools.catalogue import ALL_TOOLS
from agent.tools.record import Tool, ToolContext, ToolResult, tool
from agent.tools.toolset import DirectToolset, ToolCall, Toolset
from agent.tools.wrappers import AuditedToolset, PermittedToolset, standard_toolset

__all__ = [
    "ALL_TOOLS",
    "AuditedToolset",
    "DirectToolset",
    "PermittedToolset",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolResult",
    "Toolset",
    "standard_toolset",
    "tool",
]
