"""Says whether a call that the exact grammar found may be made as it is, or the reader decides."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from rapidfuzz import fuzz

from agent.understanding import changes, values
from agent.understanding.candidates import SENTENCE_END, plain
from agent.understanding.changes import parts_of_texts
from agent.understanding.decision import SURE_INTENT, SURE_OTHER, Decision, ask_about
from agent.understanding.dialogue import YES_OR_NO, CallRecord, Question
from agent.understanding.intents import READS, TEXTS_OF, change_anything
from agent.understanding.reader import Reader
from agent.understanding.several_things import texts_of_others
from agent.understanding.slots import NUMBERS, Focus, kinds_named
from agent.understanding.when import asks_to_wait, waits_for_event
from agent.understanding.wording import EMPTY_LINE
from agent.understanding.world import World, fold

NAMED = ("persona", "render", "project")
"""Arguments that name something which has to exist."""
OF_SNAPSHOTS = frozenset({"snapshots.diff", "snapshots.load", "snapshots.delete"})
"""Intents whose name is that of a snapshot that exists."""
ENDLESS = ("script", "text", "topic", "title", "name")
"""Free texts, which may take in words of the wish."""
LIKE_NAME = 70.0
"""From here on, of 100, the spelling of a name is near enough to be meant."""
SURE_NO_REQUEST = 0.4
"""From here on a text asks for nothing, although the grammar finds a change in it."""
MOST_PRONOUN_WORDS = 3
ID = re.compile(r"\b[a-z]{2,4}_[0-9A-Za-z]{3,}")
ASSIGNMENT = re.compile(r"(?<!\S)[\w.-]+ *= *\S")
"""Where the variables of a job begin: “command = /bin/sleep, gpus = 0”; their commas part no wishes."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Says what speaks for a call that the grammar found."""

    is_single: bool
    is_named: bool
    is_likely: bool
    has_odd_name: bool
    has_same_text: bool = True
    """Whether the reader finds the same intent, and the same texts where nothing marks their ends."""

    @property
    def is_whole(self) -> bool:
        """Returns whether nothing speaks against it."""
        return (
            self.is_single
            and self.is_named
            and self.is_likely
            and self.has_same_text
            and not self.has_odd_name
        )


def agreement(reader: Reader, exact: CallRecord, text: str, world: World) -> Agreement:
    """Returns what speaks for the call that the grammar found: that it is one wish, about things that
    exist, and that the reader does not take the sentence for something else.
    """
    arguments = exact.arguments
    # A text or code after a colon, and a text after an empty line, is no second wish.
    spoken = EMPTY_LINE.split(text.strip(), maxsplit=1)[0]
    spoken = ASSIGNMENT.split(spoken, maxsplit=1)[0] or spoken
    for literal in (str(arguments.get(name) or "") for name in ("script", "text", "code")):
        before = text[: text.find(literal)] if literal else ""
        spoken = before if before.rstrip().endswith(":") else spoken
    return Agreement(
        is_single=len(reader.divide(spoken, world)) == 1 and not _has_several_texts(exact, world),
        is_named=all(_is_there(exact, slot, world) for slot in NAMED)
        and (exact.intent not in OF_SNAPSHOTS or exists("snapshot", arguments.get("name"), world)),
        is_likely=_is_likely(reader, exact, text, spoken, world),
        has_odd_name=any(_is_odd(str(arguments.get(name) or ""), text) for name in ("title", "name")),
        has_same_text=exact.intent in READS or _is_same_text(reader, exact, spoken, world),
    )


def _is_there(exact: CallRecord, slot: str, world: World) -> bool:
    return any(exists(kind, exact.arguments.get(slot), world) for kind in kinds_named(exact.intent, slot))


def _has_several_texts(exact: CallRecord, world: World) -> bool:
    script = str(exact.arguments.get("script") or "")
    several = len(parts_of_texts(script)) > 1 or len(texts_of_others(script, world)) > 1
    return exact.intent in TEXTS_OF and several


def _is_likely(reader: Reader, exact: CallRecord, text: str, spoken: str, world: World) -> bool:
    """Returns whether a text asks for the call now, and the reader does not take it for something else.
    `spoken`: the text without the script after its colon.
    """
    intent = exact.intent
    if asks_to_wait(text, intent, datetime.now(), reads=intent in READS):
        return False
    if intent in READS:
        return True
    if changes.spares(spoken) or waits_for_event(text, exact.arguments.values(), datetime.now()):
        return False
    if _unread_number(exact) is not None:
        return False
    if values.asks(text):
        # “Who says these?” orders nothing.
        return False
    if values.asks_ability(spoken) and str(exact.arguments.get("script", "")).endswith("?"):
        # “Can you read web pages that need a password?” asks what is possible.
        return False
    if values.says("repairs", spoken):
        # “At ten, uh, half past ten”: the words are not what is meant.
        return False
    if ID.search(text):
        return True
    if intent == "memory.forget" and changes.one_by_name(text) is not None:
        # “Forget the Nova one” is about a video.
        return False
    if reader.probability("act.nothing", text, world) >= SURE_NO_REQUEST:
        return False
    probabilities = reader.probabilities(text, world)
    best = int(probabilities.argmax())
    other = reader.classifier.labels[best]
    return probabilities[best] < SURE_OTHER or other not in READS


def _unread_number(exact: CallRecord) -> str | None:
    """Returns the argument that should be a number and is none: “scale it to many”."""
    return next(
        (
            name
            for name, value in exact.arguments.items()
            if name in NUMBERS and isinstance(value, str) and values.number(value) is None
        ),
        None,
    )


def _is_same_text(reader: Reader, exact: CallRecord, text: str, world: World) -> bool:
    """Returns whether the reader takes a sentence for the same, and ends texts that are neither quoted nor
    after a colon or “that” as the grammar does.
    """
    loose = {
        name: str(value)
        for name, value in exact.arguments.items()
        if name in ENDLESS
        and value
        and str(value) in text
        and not (name == "name" and exact.intent in OF_SNAPSHOTS)
        and not text[: text.find(str(value))].rstrip().endswith((":", *'"“„«'))
    }
    if not loose:
        return True
    is_loose = all(name in loose for name in ENDLESS if exact.arguments.get(name))
    if is_loose and not any(
        changes.matches("ends_with_that", text[: text.find(value)]) for value in loose.values()
    ):
        probabilities = reader.probabilities(text, world)
        best = int(probabilities.argmax())
        tool = reader.classifier.labels[best].partition(".")[0]
        if tool != exact.intent.partition(".")[0] and probabilities[best] >= SURE_INTENT:
            # “Read in the manual as a new project” is no text for a video.
            return False
    if any(changes.without_courtesy(value) != value for value in loose.values()):
        return False
    if any(_is_pronoun(loose[name]) for name in ("script", "text") if name in loose):
        return False
    found = plain(reader.fill_as(exact.intent, text, world, Focus(), datetime.min).arguments)
    for name, value in loose.items():
        rest = value.removeprefix(str(found.get(name) or value))
        if rest != value and values.matches("negation", rest):
            # “A script about fire exits, don't film it yet”.
            return False
    return all(
        fold(str(found.get(name, value))) == fold(value)
        or exact.intent.startswith("create_persona.")
        # “Grace Brewster” may begin with the name of somebody who is there.
        or (name == "name" and value.endswith(str(found.get(name))))
        for name, value in loose.items()
        if not changes.matches("ends_with_that", text[: text.find(value)])
    )


def _is_pronoun(script: str) -> bool:
    """Returns whether a short text begins with what stands for another: “it in German”."""
    spoken = script.split()
    return 0 < len(spoken) <= MOST_PRONOUN_WORDS and spoken[0].lower() in values.words().groups["pronouns"]


def choose(exact: CallRecord, agreement: Agreement, decision: Decision) -> Decision | None:
    """Returns what an exact call that is doubtful leads to, by the reader's decision; None for itself."""
    same = len(decision.calls) == 1 and decision.calls[0].intent == exact.intent
    name = _unread_number(exact)
    if agreement.is_single and name is not None and not same and decision.kind != "plan":
        arguments = {key: value for key, value in exact.arguments.items() if key != name}
        question = Question("missing", exact.intent, arguments, (name,))
        return Decision("ask", about="missing", question=question, candidates=decision.candidates)
    if agreement.is_single and not agreement.is_likely:
        return decision
    if agreement.is_single and not agreement.has_same_text:
        if not same and decision.kind == "calls" and change_anything(decision.calls):
            choices = (exact, *decision.calls) if len(decision.calls) == 1 else (exact,)
            return ask_about("unsure", choices)
        return decision
    if same and agreement.has_odd_name:
        return ask_about("unsure", decision.calls)
    if not agreement.is_single:
        return None if same else decision
    return _with_known_names(decision, exact)


def exists(kind: str, name: object, world: World) -> bool:
    """Returns whether something of a kind has this name or id end; true for no name and the latest."""
    spoken = str(name or "").strip()
    if not spoken or spoken.casefold() in ("latest", "finished"):
        return True
    return any(
        fold(thing.name) == fold(spoken)
        or (thing.id != "" and thing.id.casefold().endswith(spoken.casefold()))
        for thing in world.of_kind(kind)
    )


def _is_odd(name: str, text: str) -> bool:
    """Returns whether a new name goes on as if with another wish or sentence, and is not quoted."""
    place = text.find(name)
    if not name or (place > 0 and text[place - 1] in "\"“„«'"):
        return False
    return values.says("goes_on", name) or SENTENCE_END.search(name) is not None or name[0] in "'\"“„«"


def _with_known_names(decision: Decision, exact: CallRecord) -> Decision | None:
    """Returns the decision with another name for the grammar's unknown one; a change waits for a yes.
    None where it leaves the name out: then the tool says best that there is no such thing.
    """
    calls = decision.calls
    if not calls and decision.question is not None and decision.question.about in YES_OR_NO:
        calls = decision.question.choices
    arguments, pronouns = exact.arguments, values.words().groups["pronouns"]
    slots = (*NAMED, "name") if exact.intent in OF_SNAPSHOTS else NAMED
    remaining = [slot for slot in slots
            if arguments.get(slot) and str(arguments[slot]).lower() not in pronouns
            # “Make a video that” in front of “says” is no name.
            and not changes.matches("orders", str(arguments[slot]))
            and values.ordinal(str(arguments[slot])) is None]  # fmt: skip
    if len(calls) != 1 or not all(
        fuzz.WRatio(str(arguments[slot]), str(calls[0].arguments.get(slot, ""))) >= LIKE_NAME
        for slot in remaining
    ):
        return None
    if decision.kind != "calls" or calls[0].intent in READS or not remaining:
        return decision
    return replace(decision, calls=calls).as_question("confirm")
