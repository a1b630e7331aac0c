"""The tool that runs an allowed command on a machine; keys, list and limits are the provisioning API's."""

from __future__ import annotations

import re
import shlex
from typing import Any

from pydantic import BaseModel, Field, field_validator

from agent.presentation import Blocks, Preformatted, page
from agent.presentation.text import aligned, duration, last_lines
from agent.tools.machines.api import MachinesClient, find_machine, parse_answer
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import Forbidden, SoundstageError
from soundstage.views import read_view

_MAX_LINES = 200
_PLACE = re.compile(r"\{[a-z]+\}")


class RunCommand(ToolRequest):
    machine: str = Field(min_length=1, max_length=80, description="Its name.")
    command: str = Field(
        min_length=1,
        max_length=2000,
        description="An allowed command, such as: uptime, df -h, free -m, nvidia-smi, "
        "systemctl status --no-pager UNIT, journalctl --no-pager -n LINES -u UNIT.",
    )

    @field_validator("command")
    @classmethod
    def _words(cls, value: str) -> str:
        if not shlex.split(value):
            raise ValueError("there is no command in it")
        return value


class CommandOutput(ToolResult):
    machine: str
    command: str
    exit_code: int | None
    seconds: float
    output: str

    def presentation(self) -> Blocks:
        if self.exit_code is None:
            took = duration(self.seconds)
            head = f"`{self.command}` on {self.machine} took too long and was ended after {took}"
        elif self.exit_code:
            head = f"`{self.command}` on {self.machine} failed with code {self.exit_code}"
        else:
            head = f"{self.machine}: `{self.command}`"
        if not self.output:
            return page(f"{head} said nothing.")
        return page(f"{head}:", Preformatted(text=self.output))


class _Ran(BaseModel):
    machine: str
    argv: tuple[str, ...]
    exit_code: int | None
    output: str
    truncated: bool
    seconds: float


class _Allowed(BaseModel):
    argv: tuple[str, ...]
    sentence: str


class _Planned(BaseModel):
    machine: str
    argv: tuple[str, ...]
    sentence: str
    timeout_s: float


async def _plan(context: ToolContext, request: RunCommand) -> Plan:
    """Refuses as the act does: a machine that is none of ours, or not enrolled; what is not on the list."""
    async with context.services.machines(context.principal) as api:
        planned = parse_answer(_Planned, await _posted(api, request, "/plan"))
    changes = (
        change(f"Run `{shlex.join(planned.argv)}` ({planned.sentence})", planned.machine),
        change(f"End it after {planned.timeout_s:.0f} s at the latest; the commands on the list only look"),
    )
    return Plan(changes=changes)


@tool(
    Act("write", "machine:command", label="Run command", at_most={"command": 2000}),
    undo="nothing is to undo: the commands on the list only look",
    plan=_plan,
)
async def ssh(context: ToolContext, request: RunCommand) -> CommandOutput:
    """Run an allowed command on a machine and show what it says."""
    async with context.services.machines(context.principal) as api:
        ran = parse_answer(_Ran, await _posted(api, request))
    output = last_lines(ran.output, _MAX_LINES)
    more = "\n(the rest was cut)" if ran.truncated else ""
    return read_view(CommandOutput, ran, command=shlex.join(ran.argv), output=output + more)


async def _posted(api: MachinesClient, request: RunCommand, rest: str = "") -> Any:
    """The answer about the command on the machine that is meant."""
    machine = await find_machine(api, request.machine)
    try:
        return await api.post(
            f"/api/machines/{machine.id}/commands{rest}", {"argv": shlex.split(request.command)}
        )
    except SoundstageError as error:
        if error.code == "command.not_allowed":
            raise await _not_allowed(api, request.command) from error
        raise


async def _not_allowed(api: MachinesClient, command: str) -> Forbidden:
    """With what may be run instead."""
    allowed = parse_answer(list[_Allowed], await api.get("/api/commands"))
    rows = [[_PLACE.sub("…", " ".join(one.argv)), one.sentence] for one in allowed]
    return Forbidden(
        "ssh.not_allowed",
        f"The command {command[:100]!r} is not on the list. What changes a machine is a run of Ansible.",
        "\n".join(["These may be run:", *aligned(rows)]),
    )
