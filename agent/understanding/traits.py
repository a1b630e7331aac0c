"""Finds a video by what it is, and not by its title: “the broken one can go”, “show me the one with Leo”."""

from __future__ import annotations

import re

from agent.understanding import changes, values
from agent.understanding.changes import text_after_colon
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord
from agent.understanding.groups import LISTED, STATES, state_in
from agent.understanding.sentence import quotations
from agent.understanding.turn import Turn
from agent.understanding.world import IN_WORK, Thing, fold

MOST_WORDS, MOST_LISTED_WORDS, MOST_CHOICES = 10, 8, 5


def video_by_trait(turn: Turn, text: str) -> Decision | None:
    """Returns the question whether a video that is named by its state or its presenter shall be deleted, or
    the call that shows it; None where a text names none so, or wants something else of it.
    """
    if len(text.split()) > MOST_WORDS or text_after_colon(text) is not None or quotations(text):
        return None
    unwanted = changes.change_words().patterns["unwanted"].search(text)
    if unwanted is None and not changes.matches("to_see", text):
        return None
    rest = text if unwanted is None else text.replace(unwanted[0], " ")
    if values.matches("negation", rest) or changes.matches("stops_if", text):
        return None
    found = _with_trait(turn, text)
    if unwanted is None:
        if len(found) != 1:
            return None
        return Decision("calls", calls=(CallRecord("show_render", {"render": found[0].id}),), about="trait")
    calls = [
        CallRecord(
            "cancel_render.cancel" if one.state in IN_WORK else "cancel_render.delete", {"render": one.id}
        )
        for one in found[:MOST_CHOICES]
    ]
    return ask_about("confirm" if len(calls) == 1 else "which", calls) if calls else None


def videos_of_presenter(turn: Turn, text: str) -> Decision | None:
    """Returns the call that lists the videos of a presenter, where videos were listed before: “and those with
    Vera?”
    """
    calls = turn.dialogue.calls
    if not calls or calls[-1].intent != "list_renders" or len(text.split()) > MOST_LISTED_WORDS:
        return None
    if (speaker := turn.speaker_in(text)) is None:
        return None
    name = speaker.name
    if not changes.matches("of_presenter", re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "PRESENTER", text)):
        return None
    state = {key: value for key, value in calls[-1].arguments.items() if key == "state"}
    call = CallRecord("list_renders", {**state, "persona": name})
    return Decision("calls", calls=(call,), about="trait")


def speakers_of_last(turn: Turn) -> list[str]:
    """Returns the names of who speaks in the video that was spoken of last, or else in the newest one."""
    films = turn.world.of_kind("render")
    last = turn.dialogue.last.get("render")
    film = next((one for one in films if last in (one.id, one.name)), films[0] if films else None)
    names = {one.id: one.name for one in turn.world.of_kind("persona")}
    return [] if film is None else [names.get(one, one) for one in film.personas]


def _with_trait(turn: Turn, text: str) -> list[Thing]:
    """Returns the videos of the state, or of the presenter, that a text names."""
    films = turn.world.of_kind("render")
    by_state = changes.change_words().patterns["by_state"].search(text)
    if by_state is not None and (state := state_in(by_state[0])) is not None:
        states = STATES[next(name for name, listed in LISTED.items() if listed == state)]
        return [one for one in films if one.state in states]
    personas = {fold(one.name): one.id for one in turn.world.of_kind("persona") if one.name}
    for match in changes.change_words().patterns["by_persona"].finditer(text):
        named = personas.get(fold(next(one for one in match.groups() if one)))
        if named is not None:
            return [one for one in films if named in one.personas]
    return []
