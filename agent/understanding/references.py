"""Says what “it” stands for, by the thing that was spoken of last: “stop it” after words about a job."""

from __future__ import annotations

from collections.abc import Mapping

from agent.understanding import changes, values
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.intents import DESTRUCTIVE, READS

KINDS_OF_SLOT: Mapping[str, frozenset[str]] = {
    "render": frozenset({"render"}),
    "project": frozenset({"project", "scene"}),
}
"""Arguments that a call may leave out, and what has to be spoken of for “it” to be them."""
OF_VIDEOS = frozenset({"cancel_render", "retry_render", "publish_render"})
OF_QUEUE = frozenset({"queue.front", "queue.back"})
OF_FARM = frozenset({"machine", "job", "run"})
KIND_OF_TOOL: Mapping[str, str] = {
    "show_runs": "run",
    "cancel_run": "run",
    "ansible": "run",
    "change_job": "job",
    "job_logs": "job",
    "ssh": "machine",
    "change_machine": "machine",
}
"""What a call was about, also where it came to nothing: “show me the run. Stop it”."""
LATEST = (None, "", "latest")
LIKE: tuple[Mapping[str, tuple[str, str]], ...] = (
    {
        "render": ("cancel_render.cancel", "render"),
        "job": ("change_job.stop", "job"),
        "run": ("cancel_run", "run"),
    },
    {
        "render": ("cancel_render.delete", "render"),
        "project": ("edit_project.delete", "project"),
        "scene": ("edit_project.delete_scene", "scene"),
    },
)
"""Intents that the same words ask for of things of several kinds: “stop it”, “delete it”."""


def _points(text: str) -> bool:
    """Returns whether a text points at something by a pronoun, and does not say its kind."""
    return values.says_pronoun(text) and not changes.matches("names_kind", text)


def is_bare(text: str) -> bool:
    """Returns whether a text points at something by a pronoun alone, and says neither its kind nor its place
    in a list.
    """
    return _points(text) and changes.place_in_list(text) is None and values.ordinal(text) is None


def is_of_other_kind(intent: str, text: str, dialogue: Dialogue) -> bool:
    """Returns whether “it” may be something of the farm, and no video or project that a change leaves out."""
    last = dialogue.calls[-1].intent.partition(".")[0] if dialogue.calls else ""
    # A project has its video, and the tools say which.
    is_farm = dialogue.recent_kind in OF_FARM or last in KIND_OF_TOOL
    return intent not in READS and is_farm and is_bare(text)


def slot_of_latest(call: CallRecord) -> str | None:
    """Returns the argument of a call that is the newest thing for want of a name."""
    tool = call.intent.partition(".")[0]
    if tool in OF_VIDEOS:
        return "render" if call.arguments.get("render") in LATEST else None
    return "project" if call.arguments.get("project") == "latest" else None


def with_referent(call: CallRecord, text: str, dialogue: Dialogue) -> CallRecord | None:
    """Returns a call of the exact grammar about who and what was spoken of last, where its words name no
    other one; None where a change may be about something of another kind.
    """
    persona = dialogue.last.get("persona")
    if persona and values.says("person_pronouns", str(call.arguments.get("persona") or "")):
        call = CallRecord(call.intent, {**call.arguments, "persona": persona})
    elif str(call.arguments.get("persona") or "").lower() in values.words().groups["pronouns"]:
        # “Make it say …” names nobody.
        return None
    slot = slot_of_latest(call)
    is_video = call.intent == "show_render" and call.arguments.get("render") in LATEST
    if is_video and dialogue.recent_kind in OF_FARM and _points(text):
        # “How is it going?”, after a run.
        return None
    if call.intent in OF_QUEUE and dialogue.recent_kind in KINDS_OF_SLOT["project"] and _points(text):
        # “Move it to the end”, after a scene.
        return None
    if call.intent == "edit_project.rename" and slot and dialogue.recent_kind == "render":
        # “Rename it”, after a video: no project is meant.
        return None
    if (
        call.intent in READS
        or slot is None
        or changes.place_in_list(text) is not None
        or changes.matches("says_newest", text)
    ):
        return call
    if is_of_other_kind(call.intent, text, dialogue):
        return None
    last = dialogue.last.get(slot)
    is_meant = is_bare(text) or (call.intent == "edit_project.add_scene" and values.says_pronoun(text))
    changes_it = call.intent in DESTRUCTIVE or call.intent.startswith("edit_project.")
    if not last and changes_it and is_meant:
        # “Delete it”, of which nothing was spoken.
        return None
    if not last or last == "latest" or dialogue.recent_kind not in KINDS_OF_SLOT[slot]:
        return call
    return CallRecord(call.intent, {**call.arguments, slot: last})


def same_of(kind: str, intent: str) -> tuple[str, str] | None:
    """Returns the intent, and its argument, that the words of another intent ask for of things of a kind."""
    family = next((one for one in LIKE if intent in {name for name, _ in one.values()}), {})
    found = family.get(kind)
    return None if found is None or found[0] == intent else found
