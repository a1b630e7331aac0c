"""The tool that says whether the installation is well."""

from __future__ import annotations

from agent.presentation import Blocks, page, table
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.health import Check, Level

STATES = {Level.GREEN: "ok", Level.AMBER: "look at this", Level.RED: "broken"}


class ReadHealth(ToolRequest):
    pass


class HealthAnswer(ToolResult):
    """`overall` is the sentence over all checks; the worst of them come first."""

    level: Level
    overall: str
    checks: tuple[Check, ...]

    def presentation(self) -> Blocks:
        rows = [
            [check.name, STATES[check.level], check.found, check.fix]
            for check in self.checks
            if check.level is not Level.GREEN
        ]
        shown = [table("What is not well", ("Part", "State", "What", "What to do"), rows)] if rows else []
        return page(self.overall, *shown)


@tool(Act("read", "system:read", label="Health of the installation"))
async def health(context: ToolContext, request: ReadHealth) -> HealthAnswer:
    """Say whether the whole installation is well, and what to do where it is not."""
    found = await context.services.health()
    return HealthAnswer(level=found.level, overall=found.sentence, checks=found.checks)
