"""Validated tool calls and the set that runs them; called by the Brain, through tools/wrappers.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from agent.tools.record import Act, Tool, ToolContext, ToolRequest, ToolResult, rule_name
from soundstage.errors import Invalid, NotFound

AnyTool = Tool[Any, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool with arguments that are valid already: what policy, audit and approval look at."""

    tool: AnyTool
    request: ToolRequest

    @property
    def act(self) -> Act:
        """Returns the effect of this very call and the permission it needs."""
        return self.tool.acts[self.tool.action(self.request)]

    @property
    def token(self) -> str:
        """Returns what binds a person's yes to this very call: a hash of the tool and all arguments."""
        return hashlib.sha256(f"{self.tool.name}\n{self.request.model_dump_json()}".encode()).hexdigest()

    @property
    def rule(self) -> str:
        """The name of the rule that the policy has for it."""
        return rule_name(self.tool.name, self.tool.action(self.request))


class Toolset(Protocol):
    """Something that runs tool calls."""

    @property
    def tools(self) -> Mapping[str, AnyTool]: ...

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult: ...


class DirectToolset:
    """Runs tools as they are; the innermost of the wrappers."""

    def __init__(
        self, tools: Iterable[AnyTool], mcp_tools: Callable[[], Mapping[str, AnyTool]] = dict
    ) -> None:
        """`mcp_tools` returns the present tools of MCP servers; their names are never those of our own."""
        self._tools = {tool.name: tool for tool in tools}
        self._mcp_tools = mcp_tools

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        others = self._mcp_tools()
        return {**others, **self._tools} if others else self._tools

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        result: ToolResult = await call.tool.run(context, call.request)
        return result


@dataclass
class WrappedToolset:
    """A wrapper around every call: the same tools, and its own `run`."""

    inner: Toolset

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        return self.inner.tools


def prepare_call(toolset: Toolset, name: str, arguments: Mapping[str, Any]) -> ToolCall:
    """Look the tool up and validate its arguments; nothing has run when this fails."""
    found = toolset.tools.get(name)
    if found is None:
        raise NotFound(
            "tool.not_found", f"There is no tool named {name!r}.", hint="Say “help” to see what there is."
        )
    try:
        return ToolCall(found, found.request.model_validate(dict(arguments)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise Invalid("tool.bad_arguments", f"{where}: {message}", hint=_allowed(found, where)) from error


def _allowed(found: AnyTool, where: str) -> str:
    field = found.request.model_fields.get(where.partition(".")[0])
    if field is not None and field.description:
        return str(field.description)
    return f"{found.name} takes: {', '.join(found.request.model_fields)}."
