"""Validated tool calls and the set that runs them; called by the Brain, through tools/wrappers.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from agent.tools.record import Tool, ToolContext, ToolRequest, ToolResult
from soundstage.errors import Invalid, NotFound

AnyTool = Tool[Any, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool with arguments that are valid already: what policy, audit and approval look at."""

    tool: AnyTool
    request: ToolRequest


class Toolset(Protocol):
    """Something that runs tool calls."""

    @property
    def tools(self) -> Mapping[str, AnyTool]: ...

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult: ...


class DirectToolset:
    """Runs tools as they are; the innermost of the wrappers."""

    def __init__(self, tools: Iterable[AnyTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        return self._tools

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        result: ToolResult = await call.tool.run(context, call.request)
        return result


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
