"""The tool that says whether the installation is well."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from agent.presentation import Blocks, Inline, StateLabel, page, table
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import NotFound
from soundstage.health import Check, Level

STATES = {Level.GREEN: "ok", Level.AMBER: "look at this", Level.RED: "broken"}


class ReadHealth(ToolRequest):
    part: str | None = Field(
        default=None, max_length=40, description="Only this part, such as backup or disk; left out: all."
    )


class HealthAnswer(ToolResult):
    """`overall` is the sentence over all checks; the worst of them come first."""

    level: Level
    overall: str
    checks: tuple[Check, ...]
    part: str | None = Field(default=None, description="The part that was asked for.")

    def presentation(self) -> Blocks:
        if self.part is not None:
            [check] = self.checks
            found = f"{check.name}: {check.found}."
            return page(found) if check.level is Level.GREEN else page(found, check.fix)
        rows: list[Sequence[Inline]] = [
            [
                check.name,
                StateLabel(state=str(check.level), text=STATES[check.level]),
                check.found,
                check.fix,
            ]
            for check in self.checks
            if check.level is not Level.GREEN
        ]
        shown = [table("What is not well", ("Part", "State", "What", "What to do"), rows)] if rows else []
        return page(self.overall, *shown)


@tool(Act("read", "system:read", label="Health of the installation"))
async def health(context: ToolContext, request: ReadHealth) -> HealthAnswer:
    """Say whether the whole installation is well, and what to do where it is not."""
    found = await context.services.health()
    if request.part is not None:
        checks = tuple(one for one in found.checks if one.name == request.part)
        if not checks:
            names = ", ".join(one.name for one in found.checks)
            raise NotFound("health.no_part", f"Nothing checks {request.part!r}.", f"There are: {names}.")
        return HealthAnswer(level=checks[0].level, overall=found.sentence, checks=checks, part=request.part)
    return HealthAnswer(level=found.level, overall=found.sentence, checks=found.checks)
