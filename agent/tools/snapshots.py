"""The tool that saves the state of a conversation under a name and goes on from one."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agent.presentation import Blocks, items, page
from agent.presentation.text import count
from agent.snapshots.schemas import Difference, Loaded, Name, SnapshotOut
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool


class SnapshotRequest(ToolRequest):
    action: Literal["save", "load", "list", "delete", "diff"] = Field(
        description="One of save, load, list, delete, diff."
    )
    name: Name | None = Field(default=None, description="How the snapshot is called.")
    other: Name | None = Field(
        default=None, description="For diff: another snapshot; left out, the conversation as it is now."
    )
    replace: bool = Field(default=False, description="For save: put it in the place of the one of that name.")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.action != "list" and self.name is None:
            raise ValueError("it is not said how the snapshot is called")
        return self


class SnapshotAnswer(ToolResult):
    action: str
    name: str = ""
    other: str = ""
    snapshots: tuple[SnapshotOut, ...] = ()
    differences: tuple[Difference, ...] = ()
    render_id: str | None = None
    project_id: str | None = None
    means: str = ""

    def presentation(self) -> Blocks:
        match self.action:
            case "save":
                [saved] = self.snapshots
                more = f"Say “load {saved.name}” to go on from here."
                return page(f"Saved as “{saved.name}”: {count(saved.turns, 'turn')}. {more}")
            case "load":
                [loaded] = self.snapshots
                return page(f"We go on from “{loaded.name}”: {count(loaded.turns, 'turn')}.{self.means}")
            case "delete":
                return page(f"The snapshot “{self.name}” is deleted.")
            case "diff":
                against = (
                    f"between “{self.name}” and “{self.other}”" if self.other else f"since “{self.name}”"
                )
                if not self.differences:
                    return page(f"Nothing has changed {against}.")
                return page(f"What has changed {against}:", *(one.sentence for one in self.differences))
        if not self.snapshots:
            return page("There are no snapshots yet. Say “save this as …” to make one.")
        return page("These are saved, the newest first:", items(map(_line, self.snapshots)))


async def _plan(context: ToolContext, request: SnapshotRequest) -> Plan:
    """Plans by name and age: a snapshot of the same name that was saved since is another."""
    service, principal, name = context.services.snapshots, context.principal, request.name or ""
    if request.action == "save":
        turns, before = await service.plan_save(principal, name, context.session_id, replace=request.replace)
        changes = [change(f"Save {count(turns, 'turn')} of this conversation", f"as “{name}”")]
        if before is not None:
            changes.append(change("Write over the snapshot of that name", _line(before), deletes=True))
        return Plan(changes=tuple(changes), seconds=0)
    found = await service.get(principal, name)
    if request.action == "delete":
        return Plan(changes=(change("Delete the snapshot for good", _line(found), deletes=True),), seconds=0)
    changes = [change("This conversation goes on from the snapshot", _line(found))]
    means = [one.title for one in (found.state.render, found.state.project) if one is not None]
    changes.append(change("“It” means what it meant there", ", ".join(means) or "nothing yet"))
    return Plan(changes=tuple(changes), seconds=0)


@tool(
    {
        "save": Act("write", "snapshot:create"),
        "load": Act("write", "snapshot:load"),
        "list": Act("read", "snapshot:read"),
        "delete": Act("destructive", "snapshot:delete", approvers=0),
        "diff": Act("read", "snapshot:read"),
    },
    undo="a saved one can be deleted; before loading, save what you may want to come back to",
    plan=_plan,
)
async def snapshots(context: ToolContext, request: SnapshotRequest) -> SnapshotAnswer:
    """Save the state of this conversation under a name, go on from one, list, compare or delete them."""
    service, principal, name = context.services.snapshots, context.principal, request.name or ""
    match request.action:
        case "save":
            saved = await service.save(principal, name, context.session_id, replace=request.replace)
            return SnapshotAnswer(action="save", name=saved.name, snapshots=(saved,))
        case "load":
            loaded = await service.load(principal, name, context.session_id)
            return SnapshotAnswer(
                action="load",
                name=loaded.snapshot.name,
                snapshots=(loaded.snapshot,),
                render_id=loaded.state.render.id if loaded.state.render else None,
                project_id=loaded.state.project.id if loaded.state.project else None,
                means=_means(loaded),
            )
        case "delete":
            gone = await service.delete(principal, name)
            return SnapshotAnswer(action="delete", name=gone.name)
        case "diff":
            found = await service.compare(principal, name, other=request.other, session_id=context.session_id)
            return SnapshotAnswer(
                action="diff", name=found.name, other=request.other or "", differences=found.differences
            )
    return SnapshotAnswer(action="list", snapshots=tuple(await service.list(principal)))


def _line(snapshot: SnapshotOut) -> str:
    return f"{snapshot.name}, {count(snapshot.turns, 'turn')}, {snapshot.saved_at:%Y-%m-%d %H:%M} UTC"


def _means(loaded: Loaded) -> str:
    video, project = loaded.state.render, loaded.state.project
    means = f" “It” is the video “{video.title}”." if video else ""
    return means + (f" The project is “{project.title}”." if project else "")
