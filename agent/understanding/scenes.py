"""Understands sentences about the scenes of the project that was spoken of last, by patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.understanding import changes, values
from agent.understanding.candidates import plain
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord, Question
from agent.understanding.groups import MOST, group_in
from agent.understanding.intents import MAKES_VIDEOS
from agent.understanding.several_things import MOST_TITLE
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.world import SURE_NAME

MOST_DROP_WORDS, MOST_HEADING_WORDS, MOST_TITLE_WORDS = 8, 12, 4
MOST_SPEAKER_WORDS, MOST_COPY_WORDS = 10, 14
ADD_SCENE, MOVE_SCENE = "edit_project.add_scene", "edit_project.move_scene"
LEAST_CREATES = 0.2
"""From here on words in front of the names of scenes ask for a project or a film."""
TAKES_SCENES = MAKES_VIDEOS | {"write_script.draft", "edit_project.create", ADD_SCENE}
"""Intents that numbered texts, or names of scenes, may answer or be the rest of."""
SCENE_TITLES = "scene_titles"
"""Of a project whose title is asked for: the names of its scenes. No argument of the tool."""
_ENDS = {"to_end": "last", "to_start": "first"}
_QUOTATION = ' "“”„«»'
_LINK = re.compile(r"\s*[,;]\s*(?:(?:and|und)\s+)?|\s+(?:and|und)\s+", re.IGNORECASE)


def about_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the decision on a short sentence about scenes of the last project: the words of one, “scene 2:
    …”, that some shall go, who speaks in one, or a heading. None for any other text.
    """
    if not turn.dialogue.last.get("project"):
        return None
    of_project = turn.dialogue.recent_kind in ("project", "scene") and changes.matches("who_spoke", text)
    if of_project or changes.matches("who_in_scene", text) or changes.matches("asks_scenes", text):
        call = CallRecord("list_projects", {"project": turn.dialogue.last["project"]})
        return Decision("calls", calls=(call,), about="scenes")
    return (
        _words_of_scene(turn, text)
        or _drop_scenes(turn, text)
        or _head_scene(turn, text)
        or _place_scene(turn, text)
        or _speaker_of_scene(turn, text)
        or _change_of_last(turn, text)
    )


def scenes_by_name(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a project shall be made, or filled, with scenes that are only named: “a
    project Science fair with three scenes: Welcome, Rules, Prizes”. None for any other text.
    """
    match = changes.change_words().patterns["named_scenes"].search(text)
    if match is None:
        return None
    spoken = next(one for one in match.groups() if one)
    titles = [one.strip(_QUOTATION) for one in _LINK.split(spoken.strip(" .!"))]
    if not 1 < len(titles) <= MOST or any(not 0 < len(one.split()) <= MOST_TITLE_WORDS for one in titles):
        return None
    if any(changes.change_words().patterns["says"].search(one) for one in titles):
        return None
    head = text[: match.start()]
    count = values.number(match[0].partition(spoken)[0])
    if count not in (None, len(titles)) or values.matches("negation", head) or values.asks(head):
        return None
    best = next((one for one in turn.read(head) if one.intent in TAKES_SCENES), None)
    if best is None or best.sureness < LEAST_CREATES:
        return None
    named = plain(best.arguments)
    project = str(named.get("project") or "")
    if best.intent == ADD_SCENE:
        project = project or turn.dialogue.last.get("project", "")
        calls: list[CallRecord] = []
    else:
        title = plain(turn.fill_as("edit_project.create", head).arguments).get("title")
        project = str(title or named.get("title") or named.get("topic") or "").strip(_QUOTATION)
        if not project:
            question = Question(
                "missing", "edit_project.create", {SCENE_TITLES: "\n".join(titles)}, ("title",)
            )
            return Decision("ask", about="missing", question=question, candidates=(best,))
        calls = [CallRecord("edit_project.create", {"title": project})]
    if not project:
        return None
    calls += _added(project, "title", titles)
    return ask_about("confirm", calls, (best,), question="confirm_all")


def with_named_scenes(call: CallRecord) -> Decision | None:
    """Returns the question whether a project shall be made with the scenes named before its title."""
    titles = str(call.arguments.get(SCENE_TITLES) or "").split("\n")
    project = call.arguments.get("title")
    if titles == [""] or not project:
        return None
    calls = [CallRecord(call.intent, {"title": project}), *_added(project, "title", titles)]
    return ask_about("confirm", calls, question="confirm_all")


def scenes_as_answer(turn: Turn, question: Question, text: str) -> Decision | None:
    """Returns the question whether numbered texts shall be the scenes of what was asked about: “scene 1: …
    scene 2: …” where a film has no words yet. None for any other answer.
    """
    numbered = changes.texts_by_number(text)
    if question.intent not in TAKES_SCENES or len(numbered) < 2 or len(numbered) > MOST:
        return None
    texts = [part.strip(_QUOTATION) for _, part in numbered]
    arguments = question.arguments
    project = str(arguments.get("project") or "")
    calls: list[CallRecord] = []
    if not project:
        title = str(arguments.get("title") or arguments.get("topic") or texts[0])
        title = title.strip(" .!?")[:MOST_TITLE]
        project = f"{title[:1].upper()}{title[1:]}"
        calls = [CallRecord("edit_project.create", {"title": project})]
    calls += _added(project, "script", texts)
    if question.intent in MAKES_VIDEOS:
        calls.append(CallRecord("make_render", {"project": project}))
    return ask_about("confirm", calls, question="confirm_all")


def _added(project: str, slot: str, texts: Sequence[str]) -> list[CallRecord]:
    """Returns the calls that add a scene for each text. `slot`: “title” or “script”."""
    return [CallRecord(ADD_SCENE, {"project": project, slot: one}) for one in texts]


def _place_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the call that puts the scene that is offered, or was spoken of last, between two others or to
    an end: “put it between the other two”, “schieb sie dazwischen”, “move it to the end”.
    """
    question, project = turn.dialogue.question, turn.dialogue.last["project"]
    offered = question.choices[0] if question is not None and question.choices else None
    is_offered = offered is not None and offered.intent == ADD_SCENE
    moved = turn.dialogue.last.get("scene", "last")
    end = next((to for name, to in _ENDS.items() if changes.matches(name, text)), None)
    if end is not None and turn.dialogue.recent_kind in ("project", "scene") and not is_offered:
        call = CallRecord(MOVE_SCENE, {"project": project, "scene": moved, "to": end})
        return Decision("calls", calls=(call,), about="scenes")
    match = changes.change_words().patterns["between"].match(text)
    if match is None:
        return None
    count = len(turn.world.scenes_of(project)) - (0 if is_offered else 1)
    places = [place for one in match.groups() if one and (place := _place(one, count))]
    after = min(places) if len(places) == 2 else count // 2
    if count < 2 or (len(places) == 2 and max(places) - min(places) != 1):
        return None
    if is_offered and question is not None:
        choices = tuple(
            CallRecord(one.intent, {**one.arguments, "after": str(after)}) for one in question.choices
        )
        about = "confirm" if len(choices) == 1 else question.about
        return ask_about("confirm", choices, question=about)
    call = CallRecord(MOVE_SCENE, {"project": project, "scene": moved, "to": str(after + 1)})
    return Decision("calls", calls=(call,), about="scenes")


def _speaker_of_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the call that gives a scene another presenter: “let Vera do the last one”."""
    if len(text.split()) > MOST_SPEAKER_WORDS:
        return None
    if (speaker := turn.speaker_in(text)) is None:
        return None
    rest = re.sub(rf"(?<!\w){re.escape(speaker.name)}(?!\w)", "PRESENTER", text, flags=re.IGNORECASE)
    if not changes.matches("speaks_scene", rest):
        return None
    place = values.scene_number(rest) or changes.place_in_list(rest)
    if place is None:
        return None
    arguments = {"project": turn.dialogue.last["project"], "scene": values.place_argument(place)}
    call = CallRecord("edit_project.change_scene", {**arguments, "persona": speaker.name})
    return Decision("calls", calls=(call,), about="scenes")


def _change_of_last(turn: Turn, text: str) -> Decision | None:
    """Returns the call that gives the scene that was spoken of last other words or another presenter: “change
    its text to See you”, “and the presenter to Leo”.
    """
    scene = turn.dialogue.last.get("scene")
    if turn.dialogue.recent_kind != "scene" or not scene or len(text.split("\n")) > 1:
        return None
    arguments = {"project": turn.dialogue.last["project"], "scene": scene}
    if (found := changes.change_words().patterns["its_text"].match(text)) is not None:
        script = next(one for one in found.groups() if one).strip(_QUOTATION)
        call = CallRecord("edit_project.change_scene", {**arguments, "script": script})
        return Decision("calls", calls=(call,), about="scenes")
    if (found := changes.change_words().patterns["its_presenter"].match(text)) is None:
        return None
    if (speaker := turn.speaker_in(next(one for one in found.groups() if one))) is None:
        return None
    call = CallRecord("edit_project.change_scene", {**arguments, "persona": speaker.name})
    return Decision("calls", calls=(call,), about="scenes")


def _place(word: str, count: int) -> int:
    """Returns the place that a number or an ordinal names; 0 for none."""
    place = values.number(word) or values.words().ordinals.get(word.lower(), 0)
    return count + 1 + place if place < 0 else int(place)


def copy_scene(turn: Turn, text: str) -> Decision | None:
    """Returns the call that makes a copy of a scene: “dupliziere Szene 2”."""
    match = changes.change_words().patterns["copies_scene"].match(text)
    if match is None:
        return None
    named = [one.thing for one in turn.world.mentions(tokenize(text)) if one.sureness >= SURE_NAME]
    titles = [one.name for one in named if one.kind == "project"]
    project = titles[0] if titles else turn.dialogue.last.get("project")
    if not project:
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


def copy_project(turn: Turn, text: str) -> Decision | None:
    """Returns the call that copies a project, or the question which one: “mach eine Kopie vom Projekt”."""
    match = changes.change_words().patterns["copies_project"].match(text)
    if match is None or len(text.split()) > MOST_COPY_WORDS:
        return None
    named = [one.thing for one in turn.world.mentions(tokenize(text)) if one.sureness >= SURE_NAME]
    titles = list(dict.fromkeys(one.name for one in named if one.kind == "project"))
    project = titles[0] if len(titles) == 1 else turn.dialogue.last.get("project", "")
    found = changes.change_words().patterns["copy_title"].search(text)
    arguments = {} if found is None else {"title": next(one for one in found.groups() if one)}
    if not project:
        there = [one.name for one in turn.world.of_kind("project")][:MOST]
        return ask_about(
            "which", [CallRecord("edit_project.copy", {"project": one, **arguments}) for one in there]
        )
    call = CallRecord("edit_project.copy", {"project": project, **arguments})
    return Decision("calls", calls=(call,), about="copy")


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
        CallRecord(MOVE_SCENE, {"project": project, "scene": str(scene), "to": str(to)})
        for scene, to in moves
    )
    return Decision("calls", calls=calls, about="swap")


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
