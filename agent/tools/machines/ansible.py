"""The tool that runs a playbook or a role on machines, through the provisioning API."""

from __future__ import annotations

import re

from pydantic import Field

from agent.presentation import Blocks, page
from agent.presentation.text import count, join_names, name_hint
from agent.tools.machines.api import (
    Machine,
    MachinesClient,
    Playbook,
    Run,
    all_machines,
    find_machine,
    parse_answer,
)
from agent.tools.plan import Plan, change
from agent.tools.record import Act, Ask, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.views import read_view

_CONFIGURABLE = ("enrolled", "configuring", "ready", "failed")
_SEVERAL = re.compile(r"\s*(?:,|\band\b)\s*")
_ALL = "all"


class RunAnsible(ToolRequest):
    machines: str = Field(
        min_length=1,
        max_length=2000,
        description="Names of machines by commas, the name of a pool or tag, “gpu” or “all”.",
    )
    playbook: str | None = Field(
        default=None,
        max_length=200,
        description="A playbook by name, such as site or verify; left out: what configures them.",
    )
    role: str | None = Field(default=None, max_length=80, description="Only this role of the playbook.")
    check: bool = Field(default=False, description="Only try: say what would change, and change nothing.")


class RunBegun(ToolResult):
    run_id: str
    state: str
    playbook: str
    machines: tuple[str, ...]
    check: bool

    def presentation(self) -> Blocks:
        tries = "tries" if self.check else "runs"
        name = self.playbook.rpartition("/")[2]
        more = f"“Show the run {self.run_id}” tells how far it is."
        return page(f"{name} {tries} on {join_names(self.machines)} now ({self.run_id}). {more}")


class _Order:
    """The playbook, tags and machines of a run; the same for its plan."""

    def __init__(self, playbook: Playbook, tags: list[str], machines: list[Machine]) -> None:
        self.playbook = playbook
        self.tags = tags
        self.names = [machine.name for machine in machines]


async def _plan(context: ToolContext, request: RunAnsible) -> Plan:
    async with context.services.machines(context.principal) as api:
        order = await _order(api, request)
        runs = parse_answer(list[Run], await api.get("/api/runs", limit=200, state=["succeeded"]))
    only = f", only the role {request.role} (tags {' '.join(order.tags)})" if request.role else ""
    does = "is tried without changing anything" if request.check else "runs"
    number = count(len(order.names), "machine")
    changes = (
        change(f"{order.playbook.path} ({order.playbook.title}) {does}{only}", number),
        # What is in it may change between the yes and the run, under the same name.
        change("With its content and that of all roles as they are now", f"SHA-256 {order.playbook.sha256}"),
        *(change("On", ", ".join(order.names[at : at + 10])) for at in range(0, len(order.names), 10)),
    )
    same = [
        (run.ended_at - run.started_at).total_seconds()
        for run in runs
        if run.playbook == order.playbook.path
        and run.tags == tuple(order.tags)
        and run.check == request.check
        if run.ended_at is not None and run.started_at is not None
    ]
    # The last one tells most: machines and playbook were most like those of now.
    return Plan(changes=changes, seconds=same[0] if same else None)


@tool(
    Act("write", "run:create", label="Run Ansible", ask=(Ask("check", (False,), 1, "it changes machines"),)),
    undo="cancel_run stops it; what it has changed is changed back by another run",
    plan=_plan,
)
async def ansible(context: ToolContext, request: RunAnsible) -> RunBegun:
    """Run a playbook or a role of Ansible on machines, or only try what it would change."""
    async with context.services.machines(context.principal) as api:
        order = await _order(api, request)
        body = {
            "machines": order.names,
            "playbook": order.playbook.path,
            "tags": order.tags,
            "check": request.check,
        }
        run = parse_answer(Run, await api.post("/api/runs", body))
    return read_view(RunBegun, run, run_id=run.id, machines=tuple(one.name for one in run.machines))


async def _order(api: MachinesClient, request: RunAnsible) -> _Order:
    playbooks = parse_answer(list[Playbook], await api.get("/api/playbooks"))
    playbook = _playbook(playbooks, request.playbook)
    return _Order(playbook, _tags(playbook, request.role), await _machines(api, request.machines))


def _playbook(playbooks: list[Playbook], target: str | None) -> Playbook:
    """The named one; without a name `playbook.yaml`, which configures machines."""
    folded = (
        "playbook" if target is None else target.strip().casefold().removesuffix(".yaml").removesuffix(".yml")
    )
    by_path = {one.path.rpartition(".")[0].casefold(): one for one in playbooks}
    by_name = {path.rpartition("/")[2]: one for path, one in by_path.items()}
    found = by_path.get(folded) or by_name.get(folded) or by_name.get(folded.replace(" ", "-"))
    if found is None and folded == "site":
        # What configures machines is called so everywhere.
        found = by_name.get("playbook")
    if found is None:
        hint = name_hint(folded, sorted(by_name))
        raise NotFound("ansible.no_playbook", f"There is no playbook called {target or 'playbook'!r}.", hint)
    return found


def _tags(playbook: Playbook, role: str | None) -> list[str]:
    if role is None:
        return []
    folded = role.strip().casefold().replace(" ", "_")
    tagged = {one.name.casefold(): list(one.tags) for one in playbook.roles if one.tags}
    if folded in tagged:
        return tagged[folded]
    names = ", ".join(sorted(tagged)) or "none"
    raise Invalid(
        "ansible.no_role",
        f"{playbook.path} has no role {role.strip()!r} that can run alone.",
        f"There are: {names}.",
    )


async def _machines(api: MachinesClient, target: str) -> list[Machine]:
    """In the order of their names; each once. Raises when one of them cannot be configured."""
    all_found = await all_machines(api)
    members = [machine for machine in all_found if machine.state in _CONFIGURABLE]
    chosen: dict[str, Machine] = {}
    for word in (part for part in _SEVERAL.split(target.strip()) if part):
        group = await _group(api, members, word.casefold())
        for machine in group or [await find_machine(api, word)]:
            chosen[machine.name] = machine
    wrong = [machine for machine in chosen.values() if machine.state not in _CONFIGURABLE]
    if wrong:
        raise Conflict(
            "ansible.not_members",
            f"{wrong[0].name} is {wrong[0].state}, and cannot be configured.",
            f"“Why is {wrong[0].name} waiting?” tells what is missing.",
        )
    if not chosen:
        raise NotFound("ansible.nobody", "There are no machines to run it on.", "Say “list the machines”.")
    return [chosen[name] for name in sorted(chosen)]


async def _group(api: MachinesClient, members: list[Machine], word: str) -> list[Machine]:
    """The machines of a pool, a tag, or with cards; empty when the word is no group."""
    if word == _ALL:
        return members
    if any(machine.name == word for machine in members):
        return []
    group = [one for one in members if word == one.pool or word in one.tags]
    if group or word != "gpu":
        return group
    full = [parse_answer(Machine, await api.get(f"/api/machines/{one.id}")) for one in members]
    return [machine for machine in full if machine.hardware is not None and machine.hardware.gpus]
