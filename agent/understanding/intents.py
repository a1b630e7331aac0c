"""Lists needed arguments of intents, which ones only read, and how to undo one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.understanding.dialogue import CallRecord

REQUIRED: Mapping[str, Sequence[Sequence[str]]] = {
    "make_render": (("script", "project"),),
    "edit_project.create": (("title",),),
    "edit_project.rename": (("title",),),
    "edit_project.add_scene": (("script", "title"),),
    "edit_project.change_scene": (
        ("scene",),
        ("script", "title", "persona", "heading", "background", "pace"),
    ),
    "edit_project.change": (
        (
            "shape",
            "quality",
            "captions",
            "caption_size",
            "caption_place",
            "background",
            "persona",
            "pace",
        ),
    ),
    "edit_project.move_scene": (("scene",), ("to", "before", "after")),
    "edit_project.duplicate_scene": (("scene",),),
    "edit_project.delete_scene": (("scene",),),
    "edit_project.delete": (("project",),),
    "cancel_render.delete": (("render",),),
    "trash.restore_video": (("render",),),
    "trash.restore_project": (("project",),),
    "queue.front": (("render",),),
    "queue.back": (("render",),),
    "import_document": (("url",),),
    "write_script.draft": (("topic", "text", "from_memory"),),
    "write_script.film": (("topic", "text", "from_memory"),),
    "create_persona.create": (("photo",), ("person", "name")),
    "create_persona.change": (("persona",), ("name", "title", "description")),
    "create_persona.delete": (("persona",),),
    "change_machine.choose_key": (("machine",), ("code",)),
    "ansible": (("machines",),),
    "ssh": (("machine",), ("command",)),
    "job_logs": (("job",),),
    "change_job.deploy": (("job",),),
    "change_job.scale": (("job",), ("count",)),
    "change_job.stop": (("job",),),
    "code_runner": (("code",),),
    "memory.remember": (("text",),),
    "memory.forget": (("about", "everything"),),
    "snapshots.save": (("name",),),
    "snapshots.load": (("name",),),
    "snapshots.delete": (("name",),),
    "snapshots.diff": (("name",),),
    "vision": (("image", "video"),),
    **{
        f"change_machine.{act}": (("machine",),)
        for act in ("reinstall", "drain", "undrain", "switch_on", "switch_off", "retire")
    },
}
"""Of each intent, groups of arguments of which one is needed."""

READS = frozenset({
    "health", "list_renders", "show_render", "publish_render.show", "list_personas", "list_projects",
    "vision", "list_machines", "show_runs", "ssh", "cluster_status", "job_logs", "audit.list",
    "audit.story", "audit.verify", "memory.recall", "snapshots.list", "snapshots.diff", "triggers.list",
    "trash.list", "queue.show", "list_approvals"
})  # fmt: skip

SHOWS: Mapping[str, tuple[str, str]] = {
    "render": ("show_render", "render"),
    "project": ("list_projects", "project"),
    "machine": ("list_machines", "machine"),
    "job": ("cluster_status", "job"),
    "scene": ("list_projects", "scene"),
    "run": ("show_runs", "run"),
}
"""The intent that shows one thing of a kind, and its argument for it."""

TEXTS_OF: Mapping[str, str] = {"make_render": "script", "edit_project.add_scene": "script"}
"""The argument that is spoken, of intents that make one thing of one text."""
MAKES_VIDEOS = frozenset({"make_render", "write_script.film"})

DESTRUCTIVE = frozenset({
    "cancel_render.delete", "edit_project.delete", "create_persona.delete", "change_machine.retire",
    "change_machine.reinstall", "snapshots.delete", "memory.forget", "edit_project.delete_scene",
    "queue.cancel_waiting"
})  # fmt: skip

NEEDS_YES = frozenset({"queue.cancel_waiting"})
"""What ends several things that are not named: a yes is needed even where the words are exact."""

NEEDS_WORD: Mapping[str, str] = {
    "cancel_render.cancel": "ends",
    "cancel_render.delete": "ends",
    "cancel_run": "ends",
    "edit_project.delete": "ends",
    "edit_project.delete_scene": "ends",
    "create_persona.delete": "ends",
    "snapshots.delete": "ends",
    "memory.forget": "ends",
    "change_job.stop": "ends",
    "change_machine.retire": "retires",
    "change_machine.reinstall": "reinstalls",
    "queue.cancel_waiting": "ends",
}
"""The pattern of the language files of which a sentence has a word that asks for the intent."""


def change_anything(calls: Iterable[CallRecord]) -> bool:
    """Returns whether one of the calls does more than read."""
    return any(call.intent not in READS for call in calls)


_REVERSED: Mapping[str, str] = {
    "change_machine.drain": "change_machine.undrain",
    "change_machine.undrain": "change_machine.drain",
    "change_machine.switch_on": "change_machine.switch_off",
    "change_machine.switch_off": "change_machine.switch_on",
    "change_job.deploy": "change_job.stop",
    "cancel_render.cancel": "retry_render",
    "snapshots.save": "snapshots.delete",
    "make_render": "cancel_render.cancel",
    "retry_render": "cancel_render.cancel",
    "write_script.film": "cancel_render.cancel",
    "memory.remember": "memory.forget",
    "ansible": "cancel_run",
    "edit_project.create": "edit_project.delete",
    # With the ids of what it made, its project is the copy.
    "edit_project.copy": "edit_project.delete",
    "triggers.create": "triggers.cancel",
    "cancel_render.delete": "trash.restore_video",
    "edit_project.delete": "trash.restore_project",
    "trash.restore_video": "cancel_render.delete",
    "trash.restore_project": "edit_project.delete",
}
_CARRIED: Mapping[str, Sequence[str]] = {
    "change_machine": ("machine",),
    "change_job": ("job",),
    "cancel_render": ("render",),
    "edit_project": ("project",),
    "snapshots": ("name",),
    "trash": ("render", "project"),
    "triggers": ("trigger",),
}


def reverse_of(call: CallRecord) -> list[CallRecord]:
    """Returns the call that takes another back; none where there is no such call."""
    tool, _, action = call.intent.partition(".")
    if tool == "edit_project" and action not in ("create", "copy", "delete"):
        # After a renaming the project is found by its new title.
        project = call.arguments.get("title" if action == "rename" else "project")
        return [CallRecord("edit_project.restore", {"project": project} if project else {})]
    if call.intent == "write_script.draft" and not call.arguments.get("project"):
        # It made the project that it filled.
        return [CallRecord("edit_project.delete", {"project": call.arguments.get("title", "latest")})]
    intent = _REVERSED.get(call.intent)
    if intent is None or call.arguments.get("forever"):
        return []
    if call.intent == "memory.remember":
        return [CallRecord(intent, {"about": call.arguments.get("text", "")})]
    if call.intent == "edit_project.create":
        return [CallRecord(intent, {"project": call.arguments.get("title", "latest")})]
    if intent == "cancel_render.cancel":
        return [CallRecord(intent, {"render": call.arguments.get("render", "latest")})]
    if intent == "cancel_run":
        return [CallRecord(intent, {"run": "latest"})]
    return [
        CallRecord(
            intent, {name: call.arguments[name] for name in _CARRIED.get(tool, ()) if name in call.arguments}
        )
    ]
