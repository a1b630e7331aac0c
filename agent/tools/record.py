"""What a tool is: a typed function and one record about it; `@tool` joins the two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from agent.tools.doors import StudioDoors
from agent.tools.plan import Plan
from policy import Principal
from policy.decisions import Decision

Effect = Literal["read", "write", "destructive"]
Request = TypeVar("Request", bound="ToolRequest")
Result = TypeVar("Result", bound="ToolResult")


class ToolRequest(BaseModel):
    """Arguments of a tool. Unknown ones are errors, so that a misspelt option is never dropped silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class ToolResult(BaseModel):
    """What a tool returns: data for programs and a sentence for people."""

    model_config = ConfigDict(frozen=True)

    def sentence(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who asks, in which conversation, and the doors a tool may use. Nothing else is in reach of a tool."""

    principal: Principal
    session_id: str
    doors: StudioDoors
    last_render_id: str | None = None
    local_files: bool = False
    """Whether paths in arguments mean files of the asker: only at this machine's prompt."""
    dry_run: bool = False
    """Whether only the plan is wanted."""
    decision: Decision | None = None
    """What the policy says of this call; set by the wrapper that asks it."""
    approval_id: str | None = None
    """Set when the call is made because people have agreed to it: then it runs on that yes or not at all."""


@dataclass(frozen=True, slots=True)
class Tool(Generic[Request, Result]):
    """A callable tool with its record."""

    name: str
    purpose: str
    effect: Effect
    permission: str
    undo: str
    request: type[Request]
    result: type[Result]
    run: Callable[[ToolContext, Request], Awaitable[Result]]
    plan: Callable[[ToolContext, Request], Awaitable[Plan]] | None = None
    """Says what a call would change, and changes nothing; what people approve. None: the arguments say it."""


def tool(
    *,
    effect: Effect,
    permission: str,
    undo: str = "",
    plan: Callable[[ToolContext, Any], Awaitable[Plan]] | None = None,
) -> Callable[[Callable[[ToolContext, Request], Awaitable[Result]]], Tool[Request, Result]]:
    """Declare a tool. Its name is the function's, its purpose the first line of the docstring."""

    def declare(function: Callable[[ToolContext, Request], Awaitable[Result]]) -> Tool[Request, Result]:
        hints: dict[str, Any] = get_type_hints(function)
        return Tool(
            name=function.__name__,
            purpose=cleandoc(function.__doc__ or "").partition("\n")[0],
            effect=effect,
            permission=permission,
            undo=undo,
            request=hints["request"],
            result=hints["return"],
            run=function,
            plan=plan,
        )

    return declare
