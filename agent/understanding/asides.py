"""Understands questions about the conversation itself: “how do I …?”, “what did you just do?”."""

from __future__ import annotations

import re

from agent.understanding import changes, values
from agent.understanding.calculations import calculation
from agent.understanding.changes import SHORT_WORDS
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord
from agent.understanding.groups import group_in
from agent.understanding.intents import SHOWS
from agent.understanding.reader import Candidate
from agent.understanding.references import is_bare
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.world import SURE_NAME

SURE_HOW = 0.15
"""From here on an intent is explained."""
MOST_HOW = 3
MOST_APPROVAL_WORDS, MOST_DROP_WORDS, MOST_HEADING_WORDS = 12, 8, 12
NO_VIDEOS = frozenset({"machine", "run", "job"})
"""Kinds of things that take time, too: of those that were spoken of last."""
_ADDRESSED = re.compile(r"\b(?:you|du|sie|ihr)\b", re.IGNORECASE)
HOW = "how:"
"""In front of the intents that an answer explains."""


def about_conversation(turn: Turn, text: str) -> Decision | None:
    """Returns the answer to a question about the conversation or how something is done; None for others."""
    if (subject := help_on(text)) is not None:
        return subject
    if changes.matches("what_did_you_do", text):
        return Decision("chat", about="did")
    if changes.matches("which_language", text):
        return Decision("chat", about="language")
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


def _is_explained(candidate: Candidate) -> bool:
    is_known = candidate.tool is not None or candidate.intent == "act.undo"
    return is_known and candidate.sureness >= SURE_HOW


def list_channels(turn: Turn, text: str) -> Decision | None:
    """Returns the answer which channels are connected, or how one is: nothing is published for that."""
    if not changes.matches("channels", changes.without_quotations(text)):
        return None
    names = [one.name for one in turn.world.of_kind("channel")]
    return Decision("chat", about="channels" if names else "no_channel", topic=", ".join(names))


def about_presenter(turn: Turn, text: str) -> Decision | None:
    """Returns the answer who a presenter is, how high the voice is, or what language is spoken."""
    if changes.matches("speaks_language", text) and not _ADDRESSED.search(text):
        return Decision("chat", about="speaks_language")
    about = next((one for one in ("voice_of", "who_is") if changes.matches(one, text)), None)
    if about is None:
        return None
    named = [one.thing for one in turn.world.mentions(tokenize(text)) if one.thing.kind == "persona"]
    is_one = len({one.name for one in named}) == 1
    return Decision("chat", about=about, topic=named[0].id) if is_one else None


def help_on(text: str) -> Decision | None:
    """Returns the answer what can be done about a subject: “Hilfe zu Videos”."""
    found = changes.change_words().patterns["help_on"].match(text)
    return None if found is None else Decision("chat", about="help", topic=found[1])


def read_installation(turn: Turn, text: str) -> Decision | None:
    """Returns the call that answers a question about backups, the disk, who changed something, or whether the
    machine that was spoken of is empty.
    """
    machine = turn.dialogue.last.get("machine") if turn.dialogue.recent_kind == "machine" else None
    calls = {
        "asks_backup": CallRecord("health", {"part": "backup"}),
        "asks_disk": CallRecord("health", {"part": "disk"}),
        "asks_who": CallRecord("audit.list", {}),
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


def copy_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the call that makes a copy of a scene: “dupliziere Szene 2”."""
    match = changes.change_words().patterns["copies_scene"].match(text)
    named = [one.thing for one in turn.world.mentions(tokenize(text)) if one.sureness >= SURE_NAME]
    titles = [one.name for one in named if one.kind == "project"]
    project = titles[0] if titles else turn.dialogue.last.get("project")
    if match is None or not project:
        return None
    to = next((value.lower() for name, value in match.groupdict().items() if value), "")
    spoken = match[0].lower().removesuffix(to) if to else match[0].lower()
    for title in titles:
        spoken = spoken.replace(title.lower(), " ")
    place = values.scene_number(spoken) or changes.place_in_list(spoken)
    if place is None:
        return None
    arguments = {"project": project, "scene": values.place_argument(place)}
    if to:
        arguments["to"] = "last" if to in ("end", "ende") else "first"
    return Decision("calls", calls=(CallRecord("edit_project.duplicate_scene", arguments),), about="copy")


def about_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the decision on a short sentence about scenes of the last project: the words of one, “scene 2:
    …”, that some shall go, who speaks in one, or a heading. None for any other text.
    """
    if not turn.dialogue.last.get("project"):
        return None
    if changes.matches("who_in_scene", text):
        call = CallRecord("list_projects", {"project": turn.dialogue.last["project"]})
        return Decision("calls", calls=(call,), about="scenes")
    return _words_of_scene(turn, text) or _drop_scenes(turn, text) or _head_scene(turn, text)


def _words_of_scene(turn: Turn, text: str) -> Decision | None:
    order, colon, words = text.partition(":")
    project = turn.dialogue.last["project"]
    number, count = values.scene_number(order), len(turn.world.scenes_of(project))
    if not colon or not words.strip() or not number or not changes.matches("words_of_scene", order.strip()):
        return None
    if len(changes.texts_by_number(text)) > 1:
        # “Scene 1: … scene 2: …” has words for each.
        return None
    if number == count + 1:
        call = CallRecord("edit_project.add_scene", {"project": project, "script": words.strip()})
    elif number <= count:
        scene = values.place_argument(number)
        arguments = {"project": project, "scene": scene, "script": words.strip()}
        call = CallRecord("edit_project.change_scene", arguments)
    else:
        return None
    return Decision("calls", calls=(call,), about="scenes")


def _head_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a scene shall have a heading: “a title on scene 1: Welcome”."""
    order, colon, heading = text.partition(": ")
    scene = values.scene_number(order)
    if not scene or not colon or len(heading.split()) > MOST_HEADING_WORDS:
        return None
    if not changes.matches("heads_scene", order) or not changes.matches("orders", order):
        return None
    arguments = {
        "project": turn.dialogue.last["project"],
        "scene": values.place_argument(scene),
        "heading": heading.strip(),
    }
    return ask_about("confirm", [CallRecord("edit_project.change_scene", arguments)])


def _drop_scenes(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether scenes shall be deleted: “scene 2 can go”, “Szene 3 brauch ich nicht”."""
    if len(text.split()) > MOST_DROP_WORDS or ":" in text or changes.look_of(text):
        return None
    group = group_in(text, turn.world, turn.dialogue)
    texts = group.texts if group is not None and group.kind == "scene" else (text,)
    scenes = [one for one in map(values.scene_number, texts) if one]
    if not scenes:
        return None
    if changes.matches("heads_scene", text) or changes.matches("background_words", text):
        # Something of it ends, and not the scene.
        return None
    if any(one.thing.kind == "persona" for one in turn.world.mentions(tokenize(text))):
        # “Let Finn speak scene 2” has a word for an end.
        return None
    ends = values.matches("ends", text) and not values.matches("negation", text)
    if not ends and not changes.matches("drops_scenes", text):
        return None
    project = turn.dialogue.last["project"]
    calls = [
        CallRecord("edit_project.delete_scene", {"project": project, "scene": values.place_argument(one)})
        for one in sorted(scenes, reverse=True)
    ]
    return ask_about("confirm", calls, question="confirm_all")


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


def swap_scenes(turn: Turn, text: str) -> Decision | None:
    """Returns the calls that swap two scenes: “swap the two scenes”, “swap the first and the last scene”."""
    match = changes.change_words().patterns["swaps"].match(text)
    project = turn.dialogue.last.get("project")
    if match is None or not project or turn.dialogue.recent_kind not in ("project", "scene"):
        return None
    count = len(turn.world.scenes_of(project))
    ordinals = values.words().ordinals
    places = [
        int(word) if word.isdigit() else ordinals[word]
        for word in re.findall(r"\w+", match[0].lower())
        if word.isdigit() or word in ordinals
    ]
    numbers = sorted({count + 1 + one if one < 0 else one for one in places}) or [1, 2]
    is_clear = bool(places) or count == len(numbers)
    if len(numbers) != 2 or numbers[0] < 1 or numbers[1] > count or not is_clear:
        return None
    first, second = numbers
    moves = [(second, first)]
    if second - first > 1:
        # The first one stands one place further now.
        moves.append((first + 1, second))
    calls = tuple(
        CallRecord("edit_project.move_scene", {"project": project, "scene": str(scene), "to": str(to)})
        for scene, to in moves
    )
    return Decision("calls", calls=calls, about="swap")
