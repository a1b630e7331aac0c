"""Reads one wish for several videos or scenes: “3 videos: one with Nova, one with Milo, all say …”."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.understanding import changes, values
from agent.understanding.candidates import own, plain
from agent.understanding.decision import SURE_INTENT, Decision, ask_about
from agent.understanding.dialogue import CallRecord
from agent.understanding.groups import MOST
from agent.understanding.intents import READS, TEXTS_OF
from agent.understanding.reader import Candidate
from agent.understanding.slots import FIXED
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.world import SURE_NAME, Thing, World

SCENE_TEXTS = frozenset(
    {"edit_project.add_scene", "edit_project.change_scene", "make_render", "write_script.draft"}
)
OF_SCENES = frozenset({
    "edit_project.create", "edit_project.add_scene", "make_render", "write_script.film", "write_script.draft"
})  # fmt: skip
"""What a text asks for in front of what several presenters say."""
MOST_TITLE = 60
_ONE_MORE = (
    r"\b(?:and|und|plus)\s+(?:(?:also|then|auch|dann|noch)\s+)*"
    r"(?:another|one|eins|eine?n?)\b(?! (?:scene|shot|slide|szene|folie))"
    r"[^.!?:]{{0,40}}\b(?:{})"
)
"""What leads to another video, and not to another scene: “… And one with Vera”."""
MOST_BESIDE = 6
"""Words beside scenes and their presenters."""
_LINK = re.compile(r"[\s,;.]+(?:and|und|then|dann)?\s*\Z", re.IGNORECASE)


def several_things(best: Candidate, text: str, world: World, project: str = "") -> Decision | None:
    """Returns the question whether several calls of one kind shall be made, or the answer that it goes one at
    a time; None for a wish for one thing.
    """
    if best.intent in SCENE_TEXTS and len(numbered := changes.texts_by_number(text)) > 1 and project:
        return _ask(_scenes(numbered, project, world), best)
    slot = TEXTS_OF.get(best.intent)
    if slot is None:
        return None
    arguments = plain(best.arguments)
    script = str(arguments.get(slot) or "")
    if len(texts_of_others(whole := text.partition(": ")[2], world)) > 1 and whole.startswith(script):
        # The text ends where the next one begins, and not with its first sentence.
        script = whole
    if len(spoken_by := texts_of_others(script, world)) > 1:
        first, *others = spoken_by
        calls = [CallRecord(best.intent, {**arguments, slot: first[1]})]
        calls += [
            CallRecord(best.intent, {**arguments, "persona": name, slot: part}) for name, part in others
        ]
        return _ask(calls, best)
    parts = changes.parts_of_texts(script)
    if 1 < len(parts) <= MOST:
        return _ask([CallRecord(best.intent, {**arguments, slot: part}) for part in parts], best)
    if best.intent != "make_render":
        return None
    spoken = text.replace(script, " ") if script else text
    names = [
        one.thing.name
        for one in world.mentions(tokenize(spoken))
        if one.thing.kind == "persona" and one.sureness >= SURE_NAME
    ]
    presenters = list(dict.fromkeys(names))
    counted = changes.one_video_each(spoken)
    wants_each = counted is not None or (len(presenters) > 1 and changes.matches("each", spoken))
    if not wants_each or values.matches("negation", spoken):
        return None
    if (texts := _texts_by_presenter(text, presenters)) and len(texts) == len(presenters) > 1:
        calls = [
            CallRecord(best.intent, {**arguments, "persona": name, "script": script})
            for name, script in texts
        ]
        return _ask(calls, best)
    number = values.number(counted) if counted else None
    if script and len(presenters) > 1 and number in (None, len(presenters)):
        return _ask([CallRecord(best.intent, {**arguments, "persona": name}) for name in presenters], best)
    if counted is None:
        return None
    return Decision("refuse", about="one_video", candidates=(best,))


def scenes_of_speakers(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether scenes shall be made of what several presenters say: “a project Owls: Vera
    says …, Milo says …”; for a video it is made of them at once. None for any other text, and for one video
    each.
    """
    names = list(dict.fromkeys(one.name for one in turn.world.of_kind("persona") if one.name))
    texts = _texts_by_presenter(text, names)
    if len({name for name, _ in texts}) < 2 or len(texts) > MOST:
        return None
    if re.search(_ONE_MORE.format("|".join(map(re.escape, names))), text, re.IGNORECASE):
        return None
    head = text[: _speeches(text, names)[0].start()]
    if not any(map(str.isalnum, head)):
        return None
    found = [one for part in (head, text) if (one := turn.read(part)[0]).intent in OF_SCENES]
    best = max(found, key=lambda one: one.sureness, default=None)
    if best is None or best.sureness < SURE_INTENT:
        return None
    if changes.one_video_each(head) or values.matches("negation", head) or values.asks(head):
        return None
    named = plain(turn.fill_as("edit_project.create", head).arguments)
    title = str(named.get("title") or texts[0][1])[:MOST_TITLE]
    project = str(plain(best.arguments).get("project") or turn.dialogue.last.get("project", ""))
    is_there = best.intent == "edit_project.add_scene" and bool(project)
    project = project if is_there else title
    calls = [] if is_there else [CallRecord("edit_project.create", {"title": title})]
    calls += [
        CallRecord("edit_project.add_scene", {"project": project, "persona": name, "script": script})
        for name, script in texts
    ]
    if best.tool in ("make_render", "write_script"):
        looks = {name: value for name, value in plain(best.arguments).items() if name in FIXED}
        calls.append(CallRecord("make_render", {"project": title, **looks}))
    return _ask(calls, best)


def speaker_of_each(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether scenes get their own presenters: “the first scene with Milo and the second
    with Zuri”.
    """
    project, lower = turn.dialogue.last.get("project", ""), text.lower()
    # The pattern has the names that are there, and not those of all presenters.
    there = (one.name for one in turn.world.of_kind("persona") if one.name and one.name.lower() in lower)
    names = {name.lower(): name for name in there} if project else {}
    ordinals = values.words().ordinals
    if not names or changes.text_after_colon(text):
        return None
    place, named = ("|".join(map(re.escape, some)) for some in (ordinals, names))
    nouns = "|".join(word for word, kind in values.words().values["kind"].items() if kind == "scene")
    scene = rf"(?:(?P<place>{place})(?: \w+)?|(?:{nouns}) (?P<number>\d+))"
    by = r"(?:should be |is |soll |wird )?(?:\w+ )?(?:with|by|to|for|mit|von)"
    pattern = rf"(?<!\w){scene} {by} (?P<name>{named})(?!\w)"
    found = list(re.finditer(pattern, lower))
    rest = re.sub(pattern, " ", lower).split()
    if len(found) < 2 or len(rest) > MOST_BESIDE:
        return None
    best = turn.read(text)[0]
    if best.intent not in ("edit_project.change_scene", "edit_project.change", "make_render"):
        return None
    calls = [
        CallRecord(
            "edit_project.change_scene",
            {
                "project": project,
                "scene": one["number"] or values.place_argument(ordinals[one["place"]]),
                "persona": names[one["name"]],
            },
        )
        for one in found[:MOST]
    ]
    return _ask(calls, best)


def all_but(best: Candidate, text: str, world: World) -> Decision | None:
    """Returns the question whether all others shall be stopped, where a change spares what it names: “cancel
    all but the Welcome clip”; None where it spares nothing.
    """
    if best.tool is None or best.intent in READS or not changes.spares(own(best, text)):
        return None
    spared = {one for one in best.arguments.values() if isinstance(one, Thing)}
    others = [one.id or one.name for one in world.films_in_work() if one not in spared]
    if best.intent == "cancel_render.cancel" and others:
        return _ask([CallRecord(best.intent, {"render": name}) for name in others[:MOST]], best)
    return ask_about("unsure", (), (best,))


def _scenes(numbered: Sequence[tuple[int, str]], project: str, world: World) -> list[CallRecord]:
    """Returns a call for each numbered text: the scenes that are there are changed, the others are new."""
    title = world.title_of(project)
    there = {one.number for one in world.scenes_of(project)}
    return [
        CallRecord("edit_project.change_scene", {"project": title, "scene": str(number), "script": text})
        if number in there
        else CallRecord("edit_project.add_scene", {"project": title, "script": text})
        for number, text in numbered[:MOST]
    ]


def texts_of_others(script: str, world: World) -> list[tuple[str, str]]:
    """Returns the parts of a text that goes on with what another presenter says: “… By Vera: Hello.”; each
    with its presenter, the first one with none.
    """
    names = [one.name for one in world.of_kind("persona") if one.name]
    if ":" not in script or not names:
        return [("", script)]
    says = changes.change_words().patterns["says"].pattern
    named = "|".join(map(re.escape, names))
    pattern = rf"(?<=[.!?])\s+[^.!?:]{{0,40}}?(?<!\w)({named})\s*(?:{says})?\s*:\s+"
    found = list(re.finditer(pattern, script, re.IGNORECASE))
    ends = [*(match.start() for match in found), len(script)]
    parts = [("", script[: ends[0]].strip())]
    canonical = {name.lower(): name for name in names}
    return parts + [
        (canonical[match[1].lower()], script[match.end() : end].strip())
        for match, end in zip(found, ends[1:], strict=True)
    ]


def _texts_by_presenter(text: str, presenters: Sequence[str]) -> list[tuple[str, str]]:
    """Returns who says what, where each says something else: “Vera says hello and Milo says goodbye”."""
    found = _speeches(text, presenters)
    if not found:
        return []
    ends = [*(match.start() for match in found[1:]), len(text)]
    canonical = {name.lower(): name for name in presenters}
    lead = changes.change_words().patterns["leads_scene"]
    parts = [lead.sub("", text[match.end() : end]) for match, end in zip(found, ends, strict=True)]
    return [
        (canonical[match[1].lower()], _LINK.sub("", part).strip(' "“”„,;'))
        for match, part in zip(found, parts, strict=True)
    ]


def _speeches(text: str, presenters: Sequence[str]) -> list[re.Match[str]]:
    """Returns what stands before the words of each presenter: “Vera says”, “Milo:”."""
    lower = text.lower()
    names = "|".join(re.escape(one) for one in presenters if one.lower() in lower)
    if not names:
        return []
    says = changes.change_words().patterns["says"].pattern
    pattern = rf"(?<!\w)({names})(?: (?:{says})[:,]?|\s?:) *"
    return list(re.finditer(pattern, text, re.IGNORECASE))


def _ask(calls: list[CallRecord], best: Candidate) -> Decision:
    return ask_about("confirm", calls, (best,), question="confirm_all")
