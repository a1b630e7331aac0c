"""The tool that runs Python code in the sandbox; nothing of the installation is in its reach."""

from __future__ import annotations

import asyncio
import re

from pydantic import Field, field_validator

from agent.presentation import Blocks, Preformatted, page
from agent.sandbox import LimitHit, SandboxRun
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool

CODE_CHARS = 20_000
LONGEST_S = 60
SHOWN_CHARS = 2000
SHOWN_FILES = 5
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
"""Code as chats write it, between fences (CommonMark §4.5)."""

_LIMITS: dict[LimitHit, str] = {
    "time": "it took longer than it may",
    "cpu": "it used more of the processor than it may",
    "memory": "it wanted more memory than it may have",
    "processes": "it started more processes than it may",
    "disk": "it wrote more than it may",
    "file_size": "it wrote a larger file than it may",
    "output": "it printed more than it may",
}


class RunCode(ToolRequest):
    code: str = Field(
        max_length=CODE_CHARS,
        description="Python, standard library only. The value of the last line is the result; there is no "
        "network, and files stay in the folder that it starts in.",
    )
    time_limit_s: int = Field(
        default=10, ge=1, le=LONGEST_S, description="After so many seconds it is ended."
    )

    @field_validator("code")
    @classmethod
    def _something(cls, value: str) -> str:
        code = fenced[1] if (fenced := _FENCED.fullmatch(value.strip())) else value
        if not code.strip():
            raise ValueError("there is no code; write some Python")
        return code


class CodeRan(SandboxRun, ToolResult):
    """The output and files of the code: its own statements, not ours."""

    def presentation(self) -> Blocks:
        shown, failed = self.files[:SHOWN_FILES], self.exit != 0 and self.stderr.strip()
        return page(
            self._ending(),
            Preformatted(text=_cut(self.stdout.rstrip())) if self.stdout.strip() else None,
            Preformatted(text=_cut(self.stderr.strip(), end=True)) if failed else None,
            *(f"File {file.path} ({file.bytes} bytes)" for file in shown),
            f"and {len(self.files) - len(shown)} files more." if len(self.files) > len(shown) else "",
        )

    def _ending(self) -> str:
        if self.limit is not None:
            return f"The code was ended: {_LIMITS[self.limit]}."
        if self.exit < 0:
            return f"The code was ended by signal {-self.exit}."
        if self.exit > 0:
            return f"The code failed (status {self.exit})."
        if self.result is not None:
            return f"The result is {_cut(self.result)}"
        return "The code ran." if self.stdout.strip() or self.files else "The code ran and printed nothing."


async def _plan(context: ToolContext, request: RunCode) -> Plan:
    """Refuses where there is no sandbox. The code is not read: one that is no Python runs, and says so."""
    longest_s = await asyncio.to_thread(context.services.sandbox.ready, wall_s=request.time_limit_s)
    changes = (
        change("Run Python in the sandbox, without a network and with files of its own alone", request.code),
        change(f"End it after {longest_s:.0f} s at the latest; nothing is kept of it"),
    )
    return Plan(changes=changes)


@tool(
    Act("write", "code:run", label="Run code", at_most={"code": 20000, "time_limit_s": 60}),
    undo="nothing is kept of it",
    plan=_plan,
)
async def code_runner(context: ToolContext, request: RunCode) -> CodeRan:
    """Run Python code in a sandbox: no network, no files but its own, limits on time and memory."""
    run = await context.services.sandbox.run(request.code, wall_s=request.time_limit_s)
    return CodeRan.model_validate(run.model_dump())


def _cut(text: str, *, end: bool = False) -> str:
    """The beginning of a long text, or its end: where a traceback says what happened."""
    if len(text) <= SHOWN_CHARS:
        return text
    return f"…{text[-SHOWN_CHARS:]}" if end else f"{text[:SHOWN_CHARS]}…"
