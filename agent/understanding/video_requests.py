"""Understands what people say of a video that they want: who speaks, what it is about, several at once."""

from __future__ import annotations

import re
from datetime import datetime

from agent.understanding import changes
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord, Question
from agent.understanding.rewording import replace_words
from agent.understanding.sentence import quotations
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.versions import instead
from agent.understanding.when import conditions
from agent.understanding.world import SURE_NAME, World

MOST_ADDED_WORDS, MOST_TOPIC_WORDS, MOST_CHANGE_WORDS = 12, 20, 14
_SENTENCE_END = tuple(".!?…")


def video_request(turn: Turn, text: str) -> Decision | None:
    """Returns the decision on a wish for a video that says itself what it needs, or for several at once."""
    return (
        _line_of_speaker(turn, text)
        or _line_in_order(turn, text)
        or _several(turn, text)
        or _new_words_of_film(turn, text)
        or _rename(turn, text)
    )


def topic_as_answer(question: Question, text: str) -> Decision | None:
    """Returns the call that makes a film about what an answer names where its words were asked for: “it's
    about volcanoes”. None for any other answer.
    """
    found = changes.change_words().patterns["is_about"].match(text)
    if found is None or question.intent != "make_render" or "script" not in question.missing:
        return None
    if len(text.split()) > MOST_TOPIC_WORDS:
        return None
    topic = (
        changes.change_words().patterns["behind_topic"].sub("", next(one for one in found.groups() if one))
    )
    topic = topic.strip(" .!,;")
    looks = {name: value for name, value in question.arguments.items() if name not in ("project", "video")}
    return Decision(
        "calls", calls=(CallRecord("write_script.film", {**looks, "topic": topic}),), about="film"
    )


def with_added_words(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether the last video shall be made with more words in front of its own, or
    behind them, “add "My name is Nova" at the start”, or without some of them: “take out "Here is the news."”
    """
    film, quoted = turn.dialogue.film, quotations(text)
    script = str(film.arguments.get("script") or "") if film is not None else ""
    if film is None or not script or len(quoted) != 1:
        return None
    rest = changes.without_quotations(text)
    if len(rest.split()) > MOST_ADDED_WORDS:
        return None
    if changes.matches("removes_words", rest) and (shorter := replace_words(script, quoted[0].text, "")):
        return instead(CallRecord(film.intent, {**film.arguments, "script": " ".join(shorter.split())}))
    if not changes.matches("adds_words", rest):
        return None
    first, second = script, quoted[0].text.strip()
    if changes.matches("in_front", rest):
        first, second = second, first
    joint = " " if first.endswith(_SENTENCE_END) else ". "
    return instead(CallRecord(film.intent, {**film.arguments, "script": f"{first}{joint}{second}"}))


def _line_of_speaker(turn: Turn, text: str) -> Decision | None:
    """Returns the video of a line that begins with who speaks it: “Milo: No football on the front lawn.”"""
    name, colon, line = text.partition(":")
    personas = {one.name.lower(): one.name for one in turn.world.of_kind("persona") if one.name}
    speaker = personas.get(name.strip(" *-").lower())
    if not colon or speaker is None or not line[:1].isspace() or turn.dialogue.question is not None:
        return None
    script = line.strip().strip('"“”„')
    others = "|".join(map(re.escape, personas))
    if len(script.split()) < 2 or re.search(rf"(?<!\w)(?:{others})\s*:", script, re.IGNORECASE):
        return None
    call = CallRecord("make_render", {"persona": speaker, "script": script})
    return Decision("calls", calls=(call,), about="line")


def _line_in_order(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a line is the next video: “ok, first one: Our library opens at eight.”"""
    found = changes.change_words().patterns["next_video"].match(text)
    is_scene = turn.dialogue.recent_kind in ("project", "scene")
    if found is None or is_scene or turn.dialogue.question is not None:
        return None
    script = text[found.end() :].strip()
    return ask_about("confirm", [CallRecord("make_render", {"script": script})]) if script else None


def _several(turn: Turn, text: str) -> Decision | None:
    """Returns that videos are made one at a time, where several are wanted and none has its words yet."""
    if changes.text_after_colon(text) is not None or quotations(text):
        return None
    if not changes.matches("wants_videos", text) or turn.dialogue.question is not None:
        return None
    return Decision("refuse", about="one_video")


def _new_words_of_film(turn: Turn, text: str) -> Decision | None:
    """Returns the question what a video shall say instead: “change the text of the Museum video”."""
    if len(text.split()) > MOST_CHANGE_WORDS or not changes.matches("changes_words", text):
        return None
    named = [
        one.thing
        for one in turn.world.mentions(tokenize(text))
        if one.thing.kind == "render" and one.sureness >= SURE_NAME
    ]
    titles = {one.name for one in named}
    if len(titles) != 1 or changes.text_after_colon(text) is not None or quotations(text):
        return None
    film = named[0]
    arguments = {"title": film.name, **({"persona": film.personas[0]} if film.personas else {})}
    return Decision(
        "ask", about="missing", question=Question("missing", "make_render", arguments, ("script",))
    )


def _rename(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a video that is called by a compound shall get a title: “das Museumsvideo
    in „Museumstag“ umbenennen”.
    """
    found = changes.change_words().patterns["renames_compound"].search(text)
    if found is None:
        return None
    stem, title = (one for one in found.groups() if one)
    film = turn.world.film_of_compound(stem)
    if film is None:
        return None
    return ask_about("confirm", [CallRecord("make_render", {"video": film.id, "title": title.strip()})])


def renames_film(world: World, exact: CallRecord) -> Decision | None:
    """Returns the question whether a video shall be made once more under another title, where a rename names
    that and no project: “rename Tides to Ebb and flow”. A video has no name but the one it is made with.
    """
    name, title = exact.arguments.get("project"), exact.arguments.get("title")
    if exact.intent != "edit_project.rename" or not name or not title:
        return None
    kinds = {one.kind: one for one in world.things if one.name.lower() == str(name).lower()}
    if "project" in kinds or "render" not in kinds:
        return None
    film = kinds["render"]
    return ask_about("confirm", [CallRecord("make_render", {"video": film.id or film.name, "title": title})])


def with_time_first(text: str, world: World, now: datetime) -> str:
    """Returns an order whose time stands in front of a colon with that time first, as plans are read:
    “schedule a video for Friday 9am: Nova says hello”, “plan: every day at 7 Nova says hello”.
    """
    found = changes.change_words().patterns["plans_text"].match(text)
    if found is None:
        return text
    when, rest = ((found["when"] or found["when_de"]), text[found.end() :].strip())
    if not when:
        return rest if conditions(rest, now) else text
    if not rest or not conditions(when, now):
        return text
    names = "|".join(re.escape(one.name) for one in world.of_kind("persona") if one.name)
    says = changes.change_words().patterns["says"].pattern
    line = re.match(rf"(?P<name>{names})\s*(?:{says})?\s*[:,]?\s+", rest, re.IGNORECASE) if names else None
    is_german = found["when_de"] is not None
    if line is None:
        return f"{when} {'mach ein Video' if is_german else 'make a video'}: {rest}"
    lead = "mach ein Video, in dem {} sagt" if is_german else "make a video where {} says"
    return f"{when} {lead.format(line['name'])}: {rest[line.end() :]}"
