"""The tool that deploys, scales and stops jobs of the farm, each with the plan that people agree to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from agent.presentation import Blocks, page
from agent.presentation.text import NUMBERS, name_hint
from agent.tools.cluster.nomad import job_named
from agent.tools.cluster.text import counts, of_a_video, why_not_placed
from agent.tools.plan import Change, Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from farm.nomad.client import Json
from farm.nomad.operating import OperatorClient
from farm.nomad.registration import JOB_FILE
from soundstage.errors import Conflict, NotFound
from soundstage.telemetry.masking import MASK, is_secret_name, mask_text

_MAX_FIELDS = 100
_ASSIGNMENT = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(?:=|\bto\b|\bis\b)\s*(.+?)\s*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_JOB_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


_SHORTEST = 6
"""A shorter text stands in many places by chance; it is hidden by its name alone."""
_NO_SECRET = re.compile(r"|-?[0-9]+(?:\.[0-9]+)?|true|false|null")
_REFERENCE = ("${", "{{")
"""What Nomad fills in when the task starts: the name of a secret and not the secret."""
_ASSIGNED = re.compile(r"""([A-Za-z_-][\w-]*)["']?(?:\s*=|:)\s*["']?([^\s"',;]+)""")


class Hidden:
    """Keeps the secret values of a job out of its plan, which many may read.

    Nomad's HCL has no mark for a secret variable, so names tell, as everywhere
    (soundstage/telemetry/masking.py). What a name calls secret is hidden in every other place too: as an
    argument of a command, in a template.
    """

    def __init__(self, *contents: object) -> None:
        found = {value for content in contents for value in _secrets("", content) if len(value) >= _SHORTEST}
        self._values = sorted(found, key=len, reverse=True)

    def named(self, name: str, value: str) -> str:
        """The value of a field or variable."""
        return MASK if is_secret_name(name) and _holds(value) else self.text(value)

    def text(self, text: str) -> str:
        """A text in which the values may stand."""
        for value in self._values:
            text = text.replace(value, MASK)
        return mask_text(text)


def _secrets(name: str, content: object) -> Iterator[str]:
    if isinstance(content, Mapping):
        for inner, value in content.items():
            yield from _secrets(str(inner), value)
    elif isinstance(content, list | tuple):
        # A command's arguments: `--api-key`, and then the key.
        for flag, value in pairwise(["", *content]):
            yield from _secrets(flag if isinstance(flag, str) and flag.startswith("-") else "", value)
    elif isinstance(content, str):
        if is_secret_name(name) and _holds(content):
            yield content
        for assigned in _ASSIGNED.finditer(content):
            if is_secret_name(assigned[1]) and _holds(assigned[2]):
                yield assigned[2]


def _holds(value: str) -> bool:
    return not value.startswith(_REFERENCE) and _NO_SECRET.fullmatch(value) is None


class ChangeJob(ToolRequest):
    action: Literal["deploy", "scale", "stop"] = Field(
        description="deploy: a job file by its name; scale: how many of it run; stop: end it."
    )
    job: str = Field(
        min_length=1, max_length=200, description="The job, or with deploy the job file, by name."
    )
    variables: dict[str, str | int | float | bool] = Field(
        default={}, max_length=40, description="With deploy: values of the job file's variables, by name."
    )
    count: int | None = Field(default=None, ge=0, le=1000, description="With scale: how many.")
    group: str | None = Field(
        default=None, max_length=100, description="With scale: which group, where the job has several."
    )

    @field_validator("variables", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        """`count = 2, vram_mib = 4096` as people say it."""
        if not isinstance(value, str):
            return value
        found: dict[str, Any] = {}
        for part in re.split(r",|\band\b", value):
            assignment = _ASSIGNMENT.fullmatch(part)
            if assignment is None:
                raise ValueError(f"{part.strip()!r} sets no variable; say for instance: count = 2")
            found[assignment[1]] = _value(assignment[2])
        return found

    @field_validator("variables")
    @classmethod
    def _named(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Names go into HCL as they are: none may bring a line of its own."""
        for name in value:
            if _VARIABLE.fullmatch(name) is None:
                raise ValueError(f"{name[:80]!r} is no name of a variable; a name is like vram_mib")
        return value

    @field_validator("count", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return NUMBERS.index(value) if isinstance(value, str) and value in NUMBERS else value

    @model_validator(mode="after")
    def _whole(self) -> ChangeJob:
        if self.action == "scale" and self.count is None:
            raise ValueError("say to how many: “scale tts to 2”")
        return self


class JobChanged(ToolResult):
    job: str
    done: str

    def presentation(self) -> Blocks:
        return page(self.done)


async def _plan(context: ToolContext, request: ChangeJob) -> Plan:
    """Returns what would change, as Nomad plans it."""
    async with context.services.cluster() as nomad:
        if request.action == "deploy":
            job = await _parsed(nomad, request)
            planned, there = await nomad.plan(job), await nomad.job(str(job["ID"]))
            return Plan(changes=tuple(_deployed(job, request, planned, there)))
        found = await _own_job(nomad, request.job)
        name = str(found["ID"])
        if request.action == "scale":
            group, now = await _group(nomad, name, request.group)
            what = f"{name} goes from {now} to {request.count}"
            return Plan(changes=(change(what, "" if group == name else f"group {group}"),))
        running, queued, starting = counts(found)
        parts = f"{running + starting} running and {queued} waiting parts of it end"
        return Plan(changes=(change(f"{name} is stopped: {parts}", str(found.get("Type") or "")),))


@tool(
    {
        "deploy": Act("write", "job:deploy", approvers=1, because="it runs on the machines of the farm"),
        "scale": Act("write", "job:scale", approvers=1, because="it takes or frees room on the farm"),
        "stop": Act("destructive", "job:stop", because="what the job does for others ends"),
    },
    undo="deploy the job again, or scale it back",
    plan=_plan,
)
async def change_job(context: ToolContext, request: ChangeJob) -> JobChanged:
    """Deploy a job file on the farm, scale a job, or stop it."""
    async with context.services.cluster() as nomad:
        if request.action == "deploy":
            job = await _parsed(nomad, request)
            planned = await nomad.plan(job)
            name = str(job["ID"])
            if any(_exactly(job, planned) not in plan.changes for plan in context.plans):
                raise Conflict(
                    "cluster.job_changed",
                    f"{name} is not as it was when its plan was made. Nothing was deployed.",
                    "Ask for it again: the plan is made anew.",
                )
            # Nomad refuses it when the job changes between this plan and the next line.
            await nomad.deploy(job, _index(planned))
            parts = f"{name} is deployed. “Why is the job {name} waiting?” tells how it is."
            return JobChanged(job=name, done=parts)
        name = str((await _own_job(nomad, request.job))["ID"])
        if request.action == "scale":
            group, _ = await _group(nomad, name, request.group)
            await nomad.scale(name, group, int(request.count or 0), f"asked for by {context.principal.name}")
            return JobChanged(job=name, done=f"{name} is scaled to {request.count}.")
        await nomad.end(name)
        return JobChanged(job=name, done=f"{name} is stopped.")


def job_files() -> list[str]:
    """Names of the job files that come with the program."""
    return sorted(path.name.removesuffix(".nomad.hcl") for path in JOB_FILE.parent.glob("*.nomad.hcl"))


async def _parsed(nomad: OperatorClient, request: ChangeJob) -> Json:
    name = request.job.strip().casefold().removesuffix(".nomad.hcl")
    known = job_files()
    if _JOB_NAME.fullmatch(name) is None or name not in known:
        raise NotFound(
            "cluster.no_job_file",
            f"There is no job file called {request.job.strip()!r}.",
            name_hint(name, known),
        )
    text = (JOB_FILE.parent / f"{name}.nomad.hcl").read_text(encoding="utf-8")
    return await nomad.parse_job(text, request.variables)


async def _own_job(nomad: OperatorClient, name: str) -> Json:
    job = await job_named(nomad, name)
    if of_a_video(job):
        raise Conflict(
            "cluster.step_of_a_video", f"{job['ID']} is a step of a video.", "Cancel the video instead."
        )
    if job.get("Stop"):
        raise Conflict("cluster.job_stopped", f"{job['ID']} is stopped.", "Deploy it again.")
    return job


async def _group(nomad: OperatorClient, name: str, group_name: str | None) -> tuple[str, int]:
    """The group that is meant, and how many of it there are; refuses while Nomad would."""
    if await nomad.deploying(name):
        raise Conflict(
            "cluster.deployment_open",
            f"{name} is still being deployed, and cannot be scaled meanwhile.",
            f"Wait until it runs: “why is the job {name} waiting?”. Or deploy it with another count.",
        )
    groups = {
        str(one["Name"]): int(one["Count"]) for one in (await nomad.job(name) or {}).get("TaskGroups") or ()
    }
    if group_name is None and len(groups) == 1:
        return next(iter(groups.items()))
    if group_name in groups:
        return str(group_name), groups[str(group_name)]
    raise Conflict(
        "cluster.which_group",
        f"{name} has the groups {', '.join(groups)}.",
        "Name one of them as `group`.",
    )


def _deployed(job: Json, request: ChangeJob, planned: Json, there: Json | None = None) -> Iterator[Change]:
    hidden = Hidden(request.variables, job, there)
    diff = planned.get("Diff") or {}
    kind = {"Added": "is new", "Edited": "is changed", "None": "stays as it is"}.get(
        str(diff.get("Type")), "is set"
    )
    yield change(f"The job {job['ID']} {kind}")
    for name, value in request.variables.items():
        # Each a line of its own: what people agree to is all that goes in.
        shown = hidden.named(name, value) if isinstance(value, str) else value
        yield change(f"with {name}", json.dumps(shown, ensure_ascii=False))
    if diff.get("Type") == "Edited":
        yield from _fields(diff, hidden)
    updates = (planned.get("Annotations") or {}).get("DesiredTGUpdates") or {}
    words = {
        "Place": "start",
        "Stop": "stop",
        "DestructiveUpdate": "are replaced",
        "InPlaceUpdate": "are changed in place",
        "Migrate": "move",
    }
    for group, numbers in sorted(updates.items()):
        parts = [f"{numbers[name]} {word}" for name, word in words.items() if numbers.get(name)]
        if parts:
            yield change(", ".join(parts), f"group {group}")
    if reason := why_not_placed(planned.get("FailedTGAllocs") or {}):
        yield change(f"It would wait, {reason}", str(job["ID"]))
    yield _exactly(job, planned)


def _exactly(job: Json, planned: Json) -> Change:
    """Binds a yes to all of the job, also to what is hidden, and to what it is put in the place of."""
    whole = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
    return change(f"Exactly this, in the place of what has the index {_index(planned)}", f"sha256:{whole}")


def _index(planned: Json) -> int:
    """Of the job that is there; 0: none is."""
    return int(planned.get("JobModifyIndex") or 0)


def _fields(diff: Json, hidden: Hidden) -> Iterator[Change]:
    """Yields what is edited, as `count: 1 → 2`, as far as people want to read it."""
    edited = [
        f"{path}{name}: {hidden.named(name, old) or 'nothing'} → {hidden.named(name, new) or 'nothing'}"
        for path, name, old, new in _edited(diff, "")
    ]
    yield from map(change, edited[:_MAX_FIELDS])
    if rest := edited[_MAX_FIELDS:]:
        whole = hashlib.sha256("\n".join(rest).encode()).hexdigest()
        yield change(f"and {len(rest)} more fields are edited", f"sha256 {whole}")


def _edited(diff: Json, path: str) -> Iterator[tuple[str, str, str, str]]:
    for field in diff.get("Fields") or ():
        if field.get("Type") != "None":
            yield path, str(field["Name"]), str(field.get("Old", "")), str(field.get("New", ""))
    for inner in ("TaskGroups", "Tasks", "Objects"):
        # Nomad tells of the constraints that it adds itself in any order, each time another.
        for one in sorted(diff.get(inner) or (), key=_content):
            if one.get("Type") != "None":
                yield from _edited(one, f"{path}{one.get('Name', '')}.")


def _content(diff: Json) -> tuple[str, str]:
    return str(diff.get("Name", "")), json.dumps(diff, sort_keys=True)


def _value(text: str) -> Any:
    """A number, true or false where it reads as one, else the text without its quotes."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip("\"'“”")
    return value if isinstance(value, str | int | float | bool) else text
