"""Describes tools to MCP clients: schemas of requests and results, and hints about the effect."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from mcp import types
from pydantic import BaseModel, Field, TypeAdapter

from agent.tools.record import STRENGTH
from agent.tools.toolset import AnyTool
from agent.tools.wrappers import PlannedResult
from policy import Principal

DRY_RUN = "soundstage/dryRun"
"""Key in `_meta` of a call for its plan alone."""
TRACE = "soundstage/traceId"
"""Key in `_meta` of a result: `soundstage trace` shows the audit trail of the call."""


class WaitsForPeople(BaseModel, frozen=True):
    """The answer of a call that people have to agree to first. Nothing has happened yet.

    It runs by itself when they agree; the same call again meanwhile gets the same id.
    """

    status: Literal["waiting_for_approval"] = "waiting_for_approval"
    approval_id: str
    message: str
    hint: str


class Refused(BaseModel, frozen=True):
    """The answer of a call that failed: a stable code, what happened, what to do next."""

    status: Literal["error"] = "error"
    code: str
    message: str
    hint: str = Field(default="")


class CallRunning(BaseModel, frozen=True):
    """The answer of a call that takes long, a ticket: it goes on, and its result can be asked for later."""

    status: Literal["working"] = "working"
    call_id: str
    tool: str
    seconds: float = Field(description="For how long it has been running.")
    hint: str = "Ask for its result with show_call; cancel_call ends it."


class CallCancelled(BaseModel, frozen=True):
    """The answer for a call that was ended before it had a result. What had happened stays."""

    status: Literal["cancelled"] = "cancelled"
    call_id: str
    tool: str


class CallTicket(BaseModel, frozen=True, extra="forbid"):
    """The request of the tools about calls."""

    call_id: str = Field(max_length=100, description="Of the ticket, as `call_…`.")


SHOW_CALL, CANCEL_CALL = "show_call", "cancel_call"
ABOUT_CALLS: Mapping[str, types.Tool] = MappingProxyType(
    {
        SHOW_CALL: types.Tool(
            name=SHOW_CALL,
            title="Show call",
            description="The result of a call that was answered with a ticket, or that it still runs.",
            input_schema=CallTicket.model_json_schema(),
            annotations=types.ToolAnnotations(
                read_only_hint=True, destructive_hint=False, open_world_hint=False
            ),
        ),
        CANCEL_CALL: types.Tool(
            name=CANCEL_CALL,
            title="Cancel call",
            description="End a call that was answered with a ticket. What had happened stays.",
            input_schema=CallTicket.model_json_schema(),
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=False, open_world_hint=False
            ),
        ),
    }
)
"""They belong to the protocol and not to the tools: they need no right but that of the call itself. Their
results are those of any tool, so they declare no schema of it.
"""


def describe(tool: AnyTool, principal: Principal) -> types.Tool | None:
    """Returns the tool as this caller may use it; None without any permitted action."""
    acts = {action: act for action, act in tool.acts.items() if principal.may(act.permission)}
    if not acts:
        return None
    strongest = max((act.effect for act in acts.values()), key=STRENGTH.index)
    more = f" Undo: {tool.undo}." if tool.undo else ""
    result: type[BaseModel] = tool.result
    return types.Tool(
        name=tool.name,
        title=tool.name.replace("_", " ").capitalize(),
        description=f"{tool.purpose}{more}",
        input_schema=_input(tool, set(acts)),
        output_schema=_result_schema(result),
        annotations=types.ToolAnnotations(
            read_only_hint=strongest == "read",
            destructive_hint=strongest == "destructive",
            open_world_hint=False,
        ),
    )


def _input(tool: AnyTool, actions: set[str]) -> dict[str, Any]:
    """Returns the schema of the request, with the permitted actions alone."""
    request: type[BaseModel] = tool.request
    schema = deepcopy(_request_schema(request))
    action = schema.get("properties", {}).get("action")
    if isinstance(action, dict) and "" not in tool.acts:
        action.pop("const", None)
        action["enum"] = [name for name in tool.acts if name in actions]
    return schema


# Clients are answered with the schemas of all tools at each call: to build them takes 50 ms.
@cache
def _request_schema(request: type[BaseModel]) -> dict[str, Any]:
    return request.model_json_schema()


@cache
def _result_schema(result: type[BaseModel]) -> dict[str, Any]:
    """Returns the schema of a result, a wait for approval, a ticket, or (in a dry run) a plan."""
    answers: Any = result | WaitsForPeople | CallRunning | PlannedResult
    return {"type": "object", **TypeAdapter(answers).json_schema(mode="serialization")}
