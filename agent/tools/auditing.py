"""The tool that shows the audit log: its last lines, the story of one id, and whether it is whole."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from agent.presentation import Blocks, page, table
from agent.sessions.service import UTTERANCE
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import LATEST, render_of
from policy.audit import AuditLineOut, AuditVerdict
from soundstage.errors import NotFound

_QUIET = frozenset({"tool", "principal", "arguments_sha256", "tenant", "cached", "revision"})
_NOT_SHOWN = "(what somebody said; `soundstage trace` shows it)"
"""Words can be forgotten; what the answer of another conversation repeats could not."""


class ReadAudit(ToolRequest):
    action: Literal["list", "story", "verify"] = Field(
        description="list: the last lines; story: all that has to do with one id; verify: whether no line "
        "was changed or removed."
    )
    about: str = Field(
        default=LATEST,
        min_length=1,
        max_length=80,
        description="With story: the id of a trace, session, render or approval; “latest” is the last video.",
    )
    limit: int = Field(default=20, ge=1, le=200, description="How many lines at most, the newest.")


class AuditAnswer(ToolResult):
    """`lines` oldest first; `more` lines before them are left out. `verdict` with verify alone."""

    about: str = ""
    lines: tuple[AuditLineOut, ...] = ()
    more: int = 0
    verdict: AuditVerdict | None = None

    def presentation(self) -> Blocks:
        if self.verdict is not None:
            return page(_verification_text(self.verdict))
        if not self.lines:
            return page("The audit log is empty.")
        return page(
            f"The story of {self.about}:" if self.about else "The last lines of the audit log:",
            f"  ({self.more} earlier lines; `soundstage trace {self.about}` shows all)" if self.more else "",
            table(
                "Lines of the audit log",
                ("When", "What", "Who", "On what", "With"),
                map(_row, self.lines),
                maximum=None,
            ),
        )


@tool(
    {
        "list": Act("read", "audit:read"),
        "story": Act("read", "audit:read"),
        "verify": Act("read", "audit:read"),
    },
    reveals=True,
)
async def audit(context: ToolContext, request: ReadAudit) -> AuditAnswer:
    """Show the last lines of the audit log, tell the story of one id, or check that the log is whole."""
    log, tenant = context.services.audit, context.principal.tenant
    match request.action:
        case "verify":
            return AuditAnswer(verdict=await log.verify())
        case "story":
            about, found = await _trail_of(context, request.about)
            shown = found[-request.limit :]
            return AuditAnswer(
                about=about, lines=_without_words(context, shown), more=len(found) - len(shown)
            )
        case _:
            lines = await log.newest(request.limit, tenant)
            return AuditAnswer(lines=_without_words(context, lines))


async def _trail_of(context: ToolContext, about: str) -> tuple[str, list[AuditLineOut]]:
    """A video of which no line tells yet has the story of the sentence that asked for it."""
    log, tenant = context.services.audit, context.principal.tenant
    if about == LATEST:
        context.principal.require("render:read")
        about = (await render_of(context, LATEST)).id
    try:
        return about, (await log.trail(about, tenant)).lines
    except NotFound:
        if not about.startswith("rnd_") or not (trace := await _requesting_trace(context, about)):
            raise
        return about, (await log.trail(trace, tenant)).lines


async def _requesting_trace(context: ToolContext, render_id: str) -> str | None:
    """The trace of the sentence that asked for a video; None for one that is not there."""
    context.principal.require("render:read")
    try:
        return (await context.studio.renders.get(render_id)).trace_id
    except NotFound:
        return None


def _without_words(context: ToolContext, lines: list[AuditLineOut]) -> tuple[AuditLineOut, ...]:
    """What others have said stays in the log, where it can be forgotten."""
    requester = context.principal.id
    return tuple(
        line.model_copy(update={"data": {**line.data, "text": _NOT_SHOWN}})
        if line.kind == UTTERANCE and line.data.get("principal") != requester
        else line
        for line in lines
    )


def _verification_text(verdict: AuditVerdict) -> str:
    if verdict.broken_at is None:
        return f"All {verdict.lines} lines are as they were written."
    return f"The audit log is broken at line {verdict.broken_at}: {verdict.reason}."


def _details(line: AuditLineOut) -> str:
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in line.data.items()
        if name not in _QUIET and value not in (None, "", [], {}, 0)
    )


def _row(line: AuditLineOut) -> list[str]:
    return [f"{line.at:%Y-%m-%d %H:%M:%S}", line.kind, line.actor, line.subject, _details(line)]
