"""The tool that plans calls for a time or an event, and lists and cancels what is planned."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, model_validator

from agent.presentation import Blocks, StateLabel, page, table
from agent.tools.machines.runs import find_run
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.toolset import DirectToolset, ToolCall, prepare_call
from agent.triggers.schemas import LATEST, PREVIOUS, StoredCall, TriggerOut, When
from agent.triggers.service import Draft
from policy import Principal
from soundstage.database import utcnow
from soundstage.errors import Forbidden, Invalid

MOST_STEPS = 12
MOST_CALLS = 12
_NAME = "triggers"


class TriggerStep(BaseModel, extra="forbid", frozen=True):
    """Calls that are made together when it is time."""

    when: When
    calls: tuple[StoredCall, ...] = Field(min_length=1, max_length=MOST_CALLS)
    text: str = Field(default="", max_length=500, description="What people read.")


class TriggerRequest(ToolRequest):
    action: Literal["create", "list", "cancel"] = Field(description="One of create, list, cancel.")
    steps: tuple[TriggerStep, ...] = Field(
        default=(), max_length=MOST_STEPS, description="For create: calls, and when they are made."
    )
    trigger: str | None = Field(
        default=None,
        max_length=1000,
        description="For cancel: its id, its number in the list, words of it, “latest” or “all”.",
    )

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.action == "create" and not self.steps:
            raise ValueError("it is not said what shall be done when")
        return self


class TriggerLine(BaseModel, frozen=True):
    """One trigger in a few words."""

    trigger_id: str
    text: str
    state: str
    fires_at: str
    result: str


class TriggerAnswer(ToolResult):
    action: str
    triggers: tuple[TriggerLine, ...] = ()
    ended: tuple[TriggerLine, ...] = ()

    def presentation(self) -> Blocks:
        if self.action == "create":
            return page("Planned:", _table(self.triggers), "Say “list the triggers” to see what waits.")
        if self.action == "cancel":
            return page(*(f"Cancelled: {one.text}." for one in self.triggers))
        blocks: list[Any] = ["Nothing is planned."]
        if self.triggers:
            blocks = ["This is planned:", _table(self.triggers)]
        if self.ended:
            blocks.append(_table(self.ended, "Ended"))
        return page(*blocks)


async def _plan(context: ToolContext, request: TriggerRequest) -> Plan:
    service, principal = context.services.triggers, context.principal
    if request.action == "cancel":
        gone = await service.find_named(principal, request.trigger or LATEST)
        return Plan(changes=tuple(change("Cancel what is planned", one.text) for one in gone), seconds=0)
    drafts = await _drafts(context, request)
    times = await service.times(principal, drafts)
    return Plan(
        changes=tuple(
            change(
                f"Plan: {draft.text}",
                _moment(at) or f"when a {draft.condition.of} is {draft.condition.becomes}",
            )
            for draft, at in zip(drafts, times, strict=True)
        ),
        seconds=0,
    )


@tool(
    {
        "create": Act("write", "trigger:create"),
        "list": Act("read", "trigger:read"),
        "cancel": Act("write", "trigger:cancel"),
    },
    plan=_plan,
    undo="one that waits can be cancelled",
    redactable=("steps",),
)
async def triggers(context: ToolContext, request: TriggerRequest) -> TriggerAnswer:
    """Plan calls for a time or an event (a video is ready, a run ends), list or cancel what is planned."""
    service, principal = context.services.triggers, context.principal
    if request.action == "create":
        created = await service.create(principal, context.session_id, await _drafts(context, request))
        return TriggerAnswer(action="create", triggers=_lines(created))
    if request.action == "cancel":
        gone = await service.cancel(principal, request.trigger or LATEST)
        return TriggerAnswer(action="cancel", triggers=_lines(gone))
    return TriggerAnswer(
        action="list",
        triggers=_lines(await service.find(principal)),
        ended=_lines(await service.find(principal, ended=True)),
    )


async def _drafts(context: ToolContext, request: TriggerRequest) -> list[Draft]:
    return [await _draft(context, step, first=number == 0) for number, step in enumerate(request.steps)]


async def _draft(context: ToolContext, step: TriggerStep, *, first: bool) -> Draft:
    """Returns a step with valid calls, and with what “latest” means now in place of the word."""
    toolset = DirectToolset(context.services.triggers.toolset.tools.values())
    prepared = [prepare_call(toolset, call.tool, _bound(context, call.arguments)) for call in step.calls]
    for call in prepared:
        check_plannable(context.principal, call)
    when = await _bound_when(context, step.when, first=first)
    calls = [
        StoredCall(tool=call.tool.name, arguments=call.request.model_dump(mode="json", exclude_unset=True))
        for call in prepared
    ]
    labels = [call.tool.label(call.tool.action(call.request)) for call in prepared]
    return Draft(when, calls, step.text or ", ".join(labels))


def check_plannable(principal: Principal, call: ToolCall) -> None:
    """Raises for a call that may not be planned. The policy decides again when it is made."""
    if call.tool.name == _NAME:
        raise Invalid(
            "trigger.nested", f"{call.tool.name} cannot be planned ahead.", "Say it when the time has come."
        )
    if call.act.effect == "destructive":
        raise Invalid(
            "trigger.destructive",
            "That cannot be undone, or stops what runs, so it is not done without you.",
            "Say it again when the time has come.",
        )
    if not principal.may(call.act.permission):
        raise Forbidden(
            "trigger.not_allowed",
            f"You may not do this: {call.rule}.",
            f"It needs the permission {call.act.permission}.",
        )


def _bound(context: ToolContext, arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns arguments with the video or project of this conversation for “latest”."""
    latest = {"render": context.last_render_id, "project": context.last_project_id}
    return {
        name: latest[name] if value == LATEST and latest.get(name) else value
        for name, value in arguments.items()
    }


async def _bound_when(context: ToolContext, when: When, *, first: bool) -> When:
    """Returns a condition with a zone, and with the id of what it waits for."""
    if when.every is not None:
        time = when.time or f"{utcnow():%H:%M}"
        return when.model_copy(update={"time": time, "zone": when.zone or _local_zone()})
    if when.at is not None:
        return when if when.at.tzinfo else when.model_copy(update={"at": when.at.astimezone()})
    name = LATEST if first and when.name == PREVIOUS else when.name
    if name == PREVIOUS:
        return when
    if when.of == "render":
        reference = context.last_render_id if name == LATEST else name
        if reference is None:
            raise Invalid("trigger.no_video", "It is not clear which video is meant.", "Name the video.")
        name = (await context.studio.renders.get(reference)).id
    elif when.of == "run":
        async with context.services.machines(context.principal) as api:
            name = (await find_run(api, name)).id
    elif name == LATEST:
        raise Invalid("trigger.no_name", f"It is not clear which {when.of} is meant.", "Name it.")
    return when.model_copy(update={"name": name})


def _lines(found: Sequence[TriggerOut]) -> tuple[TriggerLine, ...]:
    return tuple(
        TriggerLine(
            trigger_id=one.id,
            text=one.text,
            state=one.state,
            fires_at=_moment(one.fires_at),
            result=" ".join(one.result.split())[:200],
        )
        for one in found
    )


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M}"


def _table(lines: Sequence[TriggerLine], title: str = "Triggers") -> Any:
    rows = [
        (str(number), one.text, one.fires_at, StateLabel(state=one.state, text=one.state), one.result)
        for number, one in enumerate(lines, 1)
    ]
    return table(title, ("No.", "What", "At", "State", "Result"), rows)


@cache
def _local_zone() -> str:
    """Returns the name of the zone: that of `TZ`, else of /etc/localtime, else UTC."""
    names = [os.environ.get("TZ", "")]
    if (link := Path("/etc/localtime")).is_symlink():
        names.append(str(link.resolve()).rpartition("zoneinfo/")[2])
    for name in names:
        try:
            if name:
                return ZoneInfo(name.removeprefix(":")).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
