"""Wire types of runs and failures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from provisioning_api.machines.identity import MachineName
from provisioning_api.machines.schemas import Tag
from provisioning_api.runs.states import RunState

MAX_MACHINES = 1000


def _inside(path: str) -> str:
    """A file below the project's folder: no way up, nothing absolute, nothing that looks like an option."""
    parts = path.split("/")
    if path.startswith(("/", "-")) or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError("must be a path below the folder of the playbooks")
    return path


Playbook = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_./-]+\.ya?ml$", max_length=200), AfterValidator(_inside)
]


class RunRequest(BaseModel, extra="forbid"):
    """Machines by name: there are no patterns, so `all` matches none. `check` changes nothing."""

    machines: list[MachineName] = Field(min_length=1, max_length=MAX_MACHINES)
    playbook: Playbook | None = Field(default=None, description="None: the one that configures machines")
    tags: list[Tag] = Field(default=[], max_length=40)
    check: bool = False


class RunMachineView(BaseModel):
    name: str
    result: str
    changed: int


class RunView(BaseModel):
    id: str
    state: RunState
    playbook: str
    machines: list[RunMachineView]
    tags: list[str]
    check: bool
    reason: str
    requested_by: str
    retry_of: str | None
    cause: str
    hint: str
    trace_id: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class FailureView(BaseModel):
    id: str
    run_id: str
    name: str
    task: str
    cause: str
    hint: str
    at: datetime
    solved_at: datetime | None


class Line(BaseModel):
    """One event of Ansible, cut to what people and plans need; one line of a run's `events.jsonl`."""

    kind: str
    host: str = ""
    play: str = ""
    task: str = ""
    action: str = ""
    changed: bool = False
    ignored: bool = False
    seconds: float | None = None
    ended_at: datetime | None = None
    """When Ansible was done with it; the line itself is read some moments later, often with others."""
    message: str = ""
    output: str = ""
    stats: dict[str, Any] | None = None


class End(BaseModel):
    """The result that the process of a run writes when it ends by itself."""

    status: str
    rc: int
    reason: str = ""
