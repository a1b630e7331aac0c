"""Turns the calls of a decision into arguments of tools: ids for names, times with a zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.answering.replies import Replies
from agent.colours import nearest_colour
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.understanding.dialogue import CallRecord
from agent.understanding.intents import reverse_of
from agent.understanding.slots import kinds_named
from agent.understanding.world import Thing, World, fold

_BY_ID: Mapping[str, str] = {"render": "render", "video": "render", "account": "channel"}
"""Arguments that a tool takes by id, and the kind of thing that each names."""


_KIND_OF_LATEST: Mapping[str, str] = {"render": "render", "video": "render", "project": "project"}
LAST = "last"
_VERSION = "version_before"
_NEW_PROJECT = "project_made"
"""Of an edited project: the version that was kept before the edit."""
NEW_SCENES = frozenset({"edit_project.add_scene", "edit_project.duplicate_scene"})
LOOK = frozenset(
    {"quality", "shape", "captions", "caption_size", "caption_place", "persona", "background", "pace"}
)
"""Arguments of a video that are its project's, where it has one."""


def prepare_record(toolset: Toolset, call: CallRecord, world: World) -> ToolCall:
    """Returns the validated call. Raises as `prepare_call`."""
    tool, _, action = call.intent.partition(".")
    arguments = {name: value for name, value in call.arguments.items() if value is not None}
    numbers = arguments.pop("scene_numbers", {})
    arguments |= {name: str(number) for name, number in numbers.items() if name in arguments}
    for name, kind in _BY_ID.items():
        if name in arguments:
            kinds = kinds_named(call.intent, name) if name == "render" else (kind,)
            arguments[name] = _id(world, kinds, str(arguments[name]))
    if (
        call.intent != "trash.restore_project"
        and "project" in arguments
        and len(_named(world, ("project",), str(arguments["project"]))) > 1
    ):
        arguments["project"] = _id(world, ("project",), str(arguments["project"]))
    if "publish_at" in arguments:
        arguments["publish_at"] = (
            datetime.fromisoformat(str(arguments["publish_at"])).astimezone().isoformat()
        )
    if action:
        arguments["action"] = action
    if (found := toolset.tools.get(tool)) is not None:
        arguments = {name: value for name, value in arguments.items() if name in found.request.model_fields}
    return prepare_call(toolset, tool, arguments)


def record_of(call: ToolCall) -> CallRecord:
    """Returns a call that was made as the dialogue keeps it."""
    arguments = call.request.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    action = arguments.pop("action", "") if call.tool.action(call.request) else ""
    return CallRecord(f"{call.tool.name}.{action}" if action else call.tool.name, arguments)


def with_ids(call: CallRecord, result: Mapping[str, Any]) -> CallRecord:
    """Returns a call with the ids of what it made or changed, so that it can be taken back later."""
    arguments = dict(call.arguments)
    tool, _, action = call.intent.partition(".")
    if isinstance(render := result.get("render_id"), str):
        arguments["render"] = render
    if tool == "edit_project" and action != "create":
        arguments["project"] = result.get("project_id")
        if action == "delete":
            arguments["project"] = result.get("trashed_project_id")
        arguments[_VERSION] = result.get("version")
        if call.intent in NEW_SCENES and isinstance(scene := result.get("scene_id"), str):
            arguments["scene"] = scene
    if call.intent == "write_script.draft" and "project" not in arguments:
        arguments[_NEW_PROJECT] = result.get("project_id")
    if call.intent == "trash.restore_project":
        arguments["project"] = result.get("project_id")
    if call.intent == "triggers.create":
        arguments["trigger"] = ",".join(one["trigger_id"] for one in result.get("triggers", ()))
    if tool == "ansible":
        arguments["run"] = result.get("run_id", "latest")
    return CallRecord(call.intent, arguments)


def undo_of(call: CallRecord) -> list[CallRecord]:
    """Returns the calls that take one of `with_ids` back; none where it cannot be taken back."""
    reversed_calls = reverse_of(call)
    if call.intent == "write_script.draft" and call.arguments.get(_NEW_PROJECT):
        return [CallRecord("edit_project.delete", {"project": call.arguments[_NEW_PROJECT]})]
    if call.intent == "ansible":
        return [CallRecord("cancel_run", {"run": call.arguments["run"]})]
    if call.intent in NEW_SCENES and "scene" in call.arguments:
        names = ("project", "scene")
        return [CallRecord("edit_project.delete_scene", {name: call.arguments[name] for name in names})]
    if [one.intent for one in reversed_calls] != ["edit_project.restore"]:
        return reversed_calls
    if (version := call.arguments.get(_VERSION)) is None:
        return []
    return [CallRecord("edit_project.restore", {"project": call.arguments["project"], "version": version})]


def change_project_first(call: CallRecord) -> tuple[CallRecord, ...]:
    """Returns the calls that film a project with a look that its owner names: the look is the project's."""
    look = {name: value for name, value in call.arguments.items() if name in LOOK and value}
    project = call.arguments.get("project")
    if call.intent != "make_render" or not project or call.arguments.get("script") or not look:
        return (call,)
    rest = {name: value for name, value in call.arguments.items() if name not in LOOK}
    change = CallRecord("edit_project.change", {"project": project, **look})
    return change, CallRecord(call.intent, rest)


def words_of(call: CallRecord, world: World, replies: Replies) -> str:
    """Returns what a call does, with names in place of ids."""
    if call.intent == "triggers.create" and call.arguments.get("steps"):
        return "; ".join(str(step.get("text") or "") for step in call.arguments["steps"])
    names = {thing.id: thing.name for thing in world.things if thing.id and thing.name}
    arguments: dict[str, Any] = {}
    for name, value in call.arguments.items():
        arguments[name] = names.get(value, value) if isinstance(value, str) else value
        if value == "latest":
            newest = world.of_kind(_KIND_OF_LATEST.get(name, ""))
            arguments[name] = newest[0].name if newest else ""
        if name == "scene" and str(value).startswith("scn_"):
            arguments[name] = ""
        if name == "scene" and value == LAST:
            latest = next((one.name for one in world.of_kind("project")), "")
            count = len(world.scenes_of(str(call.arguments.get("project") or latest)))
            arguments[name] = str(count) if count else ""
        if name == "publish_at" and value:
            arguments[name] = replies.time(datetime.fromisoformat(str(value)))
        if name == "background" and str(value).startswith("#"):
            arguments[name] = nearest_colour(str(value))
    projects = world.of_kind("project")
    if call.intent == "edit_project.rename" and not arguments.get("project") and len(projects) == 1:
        # The only one is meant where none is named.
        arguments["project"] = projects[0].name
    return replies.call(CallRecord(call.intent, arguments))


def words_of_thing(thing: Thing, replies: Replies) -> str:
    """Returns a thing with what tells it from others of its name."""
    more = thing.parent or ", ".join(filter(None, (replies.state(thing.state), thing.id[-6:])))
    name = thing.name or str(thing.number)
    return f"{name} ({more})" if more else name


def _named(world: World, kinds: Sequence[str], name: str) -> list[Thing]:
    """Returns the things of that name, those in the trash last."""
    found = [thing for thing in world.of_kind(*kinds) if fold(thing.name) == fold(name)]
    return sorted(found, key=lambda one: one.is_trashed)


def _id(world: World, kinds: Sequence[str], name: str) -> str:
    """Returns the id of the newest thing of that name; the name itself where it is an id or unknown."""
    named = _named(world, kinds, name) if fold(name) else []
    return named[0].id if named else name
