"""Understands questions about the conversation itself: “how do I …?”, “what did you just do?”."""

from __future__ import annotations

import re

from agent.understanding import changes
from agent.understanding.calculations import calculation
from agent.understanding.changes import SHORT_WORDS
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord
from agent.understanding.intents import SHOWS
from agent.understanding.reader import Candidate
from agent.understanding.references import is_bare
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.world import SURE_NAME

SURE_HOW = 0.15
"""From here on an intent is explained."""
MOST_HOW = 3
MOST_APPROVAL_WORDS = 12
NO_VIDEOS = frozenset({"machine", "run", "job"})
"""Kinds of things that take time, too: of those that were spoken of last."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_ADDRESSED = re.compile(r"\b(?:you|du|sie|ihr)\b", re.IGNORECASE)
HOW = "how:"
"""In front of the intents that an answer explains."""
_LISTS = {"playbooks": ("asks_playbooks", "playbook"), "job_files": ("asks_job_files", "job")}
"""The answer that lists names, by its pattern and the kind of things."""
_ANSWERS = {
    "jokes": Decision("chat", about="nothing"),
    "which_language": Decision("chat", about="language"),
    "downloads_it": Decision("chat", about="help", topic=f"{HOW}file"),
    "asks_formats": Decision("chat", about="formats"),
    "new_machine": Decision("chat", about="new_machine"),
}
"""The answers that are always the same, by their pattern."""


def about_conversation(turn: Turn, text: str) -> Decision | None:
    """Returns the answer to a question about the conversation or how something is done; None for others."""
    if (subject := help_on(text)) is not None:
        return subject
    if changes.matches("what_did_you_do", text):
        return Decision("chat", about="did")
    last = _SENTENCE.split(text.strip())[-1]
    if not turn.dialogue.calls and changes.matches("what_is_this", last):
        return Decision("chat", about="help")
    if (beside := _request_and_question(turn, text)) is not None:
        return beside
    for pattern, answer in _ANSWERS.items():
        if changes.matches(pattern, text):
            return answer
    if changes.matches("why_do_you_ask", text):
        return Decision("chat", about="why_asked", question=turn.dialogue.question)
    if (request := changes.how_to(text)) is not None:
        if (name := changes.cannot_do(request)) is not None:
            return Decision("refuse", about=name)
        found = [one.intent for one in turn.read(request) if _is_explained(one)]
        if (topic := changes.topic_of(request)) is not None:
            found = [topic]
        elif changes.look_of(request) or changes.matches("background_words", request):
            found = ["edit_project.change"]
        return Decision("chat", about="help", topic=HOW + ",".join(found[:MOST_HOW])) if found else None
    return None


def _request_and_question(turn: Turn, text: str) -> Decision | None:
    """Returns how a wish is put into words, where somebody asks behind it what is possible: “I need a clip
    about volcanoes, what can you do?”
    """
    found = changes.change_words().patterns["what_else"].search(text)
    if found is None or changes.text_after_colon(text) is not None:
        return None
    best = turn.read(text[: found.start()])[0]
    if not _is_explained(best):
        return None
    return Decision("chat", about="help", topic=f"{HOW}{best.intent}")


def _is_explained(candidate: Candidate) -> bool:
    is_known = candidate.tool is not None or candidate.intent == "act.undo"
    return is_known and candidate.sureness >= SURE_HOW


def list_names(turn: Turn, text: str) -> Decision | None:
    """Returns the answer which channels are connected, or how one is: nothing is published for that. The same
    for playbooks and for jobs that can be started.
    """
    spoken = changes.without_quotations(text)
    if changes.matches("channels", spoken):
        names = [one.name for one in turn.world.of_kind("channel")]
        return Decision("chat", about="channels" if names else "no_channel", topic=", ".join(names))
    for about, (pattern, kind) in _LISTS.items():
        if changes.matches(pattern, spoken):
            names = list(dict.fromkeys(one.name for one in turn.world.of_kind(kind)))
            return Decision("chat", about=about if names else f"no_{about}", topic=", ".join(names))
    return None


def about_presenter(turn: Turn, text: str) -> Decision | None:
    """Returns the answer who a presenter is, how high the voice is, or what language is spoken."""
    if changes.matches("speaks_language", text) and not _ADDRESSED.search(text):
        return Decision("chat", about="speaks_language")
    about = next((one for one in ("voice_of", "who_is") if changes.matches(one, text)), None)
    if about is None:
        return None
    speaker = turn.speaker_in(text)
    return None if speaker is None else Decision("chat", about=about, topic=speaker.id)


def help_on(text: str) -> Decision | None:
    """Returns the answer what can be done about a subject: “Hilfe zu Videos”."""
    found = changes.change_words().patterns["help_on"].match(text)
    return None if found is None else Decision("chat", about="help", topic=found[1])


def read_installation(turn: Turn, text: str) -> Decision | None:
    """Returns the call that answers a question about backups, the disk, who changed something, what is
    remembered, or whether the machine that was spoken of is empty.
    """
    machine = turn.dialogue.last.get("machine") if turn.dialogue.recent_kind == "machine" else None
    calls = {
        "asks_backup": CallRecord("health", {"part": "backup"}),
        "asks_disk": CallRecord("health", {"part": "disk"}),
        "asks_who": CallRecord("audit.list", {}),
        "asks_memories": CallRecord("memory.recall", {}),
        "asks_made": CallRecord("list_renders", {}),
        "asks_empty": CallRecord("cluster_status", {"node": machine}) if machine else None,
    }
    found = next((call for name, call in calls.items() if call and changes.matches(name, text)), None)
    return None if found is None else Decision("calls", calls=(found,), about="installation")


def calculate(text: str) -> Decision | None:
    """Returns the call that calculates what a text asks for in words: “rechne 3 hoch 10”."""
    code = calculation(text) if changes.matches("calculates", text) else None
    if code is None:
        return None
    return Decision("calls", calls=(CallRecord("code_runner", {"code": code}),), about="calculation")


def show_last(turn: Turn, text: str) -> Decision | None:
    """Returns the call that shows what was spoken of last: “let me see it”."""
    kind = turn.dialogue.recent_kind
    kind = "project" if kind == "scene" else kind
    name = turn.dialogue.last.get(kind)
    if not name or kind not in ("render", "project") or not changes.matches("lets_see", text):
        return None
    intent, slot = SHOWS[kind]
    return Decision("calls", calls=(CallRecord(intent, {slot: name}),), about="spoken_of")


def retry_last(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a video that has failed shall be made again: “can you fix it?”"""
    last = turn.dialogue.last.get("render")
    film = next((one for one in turn.world.of_kind("render") if last in (one.id, one.name)), None)
    if film is None or film.state != "failed" or not changes.matches("fixes_it", text):
        return None
    return ask_about("confirm", [CallRecord("retry_render", {"render": film.id})])


def cancel_plans(turn: Turn, text: str) -> Decision | None:
    """Returns the call that cancels all that is planned; while a plan waits for a yes, that is a no."""
    if not changes.matches("cancels_plans", text):
        return None
    question = turn.dialogue.question
    if question is not None and {one.intent for one in question.choices} == {"triggers.create"}:
        return Decision("decline", about="no")
    return Decision("calls", calls=(CallRecord("triggers.cancel", {"trigger": "all"}),), about="plans")


def list_approvals(turn: Turn, text: str) -> Decision | None:
    """Returns the call that shows what waits for approval, where nothing else is named that might."""
    spoken = changes.without_quotations(text)
    if changes.matches("asks_approver", spoken):
        return Decision("calls", calls=(CallRecord("list_approvals", {}),), about="approvals")
    if len(text.split()) > MOST_APPROVAL_WORDS or not changes.matches("waiting_approvals", spoken):
        return None
    if changes.matches("decided", spoken) or changes.matches("names_kind", spoken) or ":" in text:
        return None
    if any(one.sureness >= SURE_NAME for one in turn.world.mentions(tokenize(text))):
        return None
    return Decision("calls", calls=(CallRecord("list_approvals", {}),), about="approvals")


def how_much_longer(turn: Turn, text: str) -> Decision | None:
    """Returns the call that shows how long the last video still takes."""
    if turn.dialogue.recent_kind in NO_VIDEOS or not changes.matches("how_much_longer", text):
        return None
    call = CallRecord("show_render", {"render": turn.dialogue.last.get("render", "latest")})
    return Decision("calls", calls=(call,), about="progress")


def restart_of_machine(turn: Turn, text: str) -> Decision | None:
    """Returns that a machine is not restarted here: what sounds like it would write it anew, or only switch
    it on.
    """
    if not changes.matches("restarts", changes.without_quotations(text)) or len(text.split()) > SHORT_WORDS:
        return None
    if changes.text_after_colon(text) is not None:
        return None
    named = {one.thing.kind for one in turn.world.mentions(tokenize(text)) if one.sureness >= SURE_NAME}
    is_last = not named and turn.dialogue.recent_kind == "machine" and is_bare(text)
    return Decision("refuse", about="restart_machine") if is_last or named == {"machine"} else None
