"""Judges whether an utterance answers the open question, asks for something else, or may be either."""

from __future__ import annotations

import re
from enum import Enum

from agent.understanding import changes, values
from agent.understanding.changes import LEAST_TEXT_WORDS, SHORT_WORDS, text_after_colon
from agent.understanding.decision import SURE_INTENT, SURE_OTHER, SURE_WRITE
from agent.understanding.dialogue import Question
from agent.understanding.intents import READS
from agent.understanding.reader import Candidate
from agent.understanding.sentence import quotations
from agent.understanding.slots import FREE_TEXTS
from agent.understanding.tokens import tokenize
from agent.understanding.world import SURE_NAME, World

SPOKEN = frozenset({"script", "text"})
"""Texts that may be any sentence: a question, an order to those who watch, thanks."""
OF_CONVERSATION = ("what_do_you_mean", "what_did_you_do", "why_do_you_ask", "which_language")
SHORT_ACTS = frozenset({"act.thanks", "act.goodbye"})
TALK = frozenset({"act.help", "act.why", "act.undo", "act.correction", "act.more", "act.out_of_scope"})
SURE_QUESTION = 0.3
"""From here on a question that only reads is answered, and is no text."""
SURE_ACT = 0.3
MOST_THANKS_WORDS = 3
MOST_NAME_WORDS = 6
MOST_ORDER_WORDS = 14
"""Longer utterances are texts, unless they name something of the studio."""
_ASKS_OF_SPEAKER = re.compile(
    r"\W*(?:can|could|may|will|would|does|is|kann|könnte|darf|hat|trägt|ist) (?:he|she|er|sie)\b",
    re.IGNORECASE,
)
_OURS = frozenset({"render", "project", "scene", "machine", "job", "run", "snapshot"})


class Fit(Enum):
    """Tells what an utterance is to the open question."""

    ANSWER = "answer"
    OTHER = "other"
    UNCLEAR = "unclear"


def fit_of(question: Question, text: str, best: Candidate, world: World) -> Fit:
    """Returns what an utterance is to a question that asks for an argument.

    A free text is taken only where the utterance reads as nothing else: what takes back, thanks, asks,
    complains, or orders a change of what exists is no text; where both may be meant it is unclear.
    """
    free = [name for name in question.missing if name in FREE_TEXTS]
    if any(changes.matches(name, text) for name in OF_CONVERSATION) or changes.how_to(text) is not None:
        return Fit.OTHER
    if changes.matches("takes_back", text) or (best.intent == "act.undo" and best.sureness > SURE_OTHER):
        return Fit.OTHER
    if _is_talk(best, text, spoken=bool(SPOKEN & set(free))):
        return Fit.OTHER
    if (
        free
        and best.intent == "act.yes"
        and best.sureness > SURE_INTENT
        and len(text.split()) <= LEAST_TEXT_WORDS
    ):
        return Fit.OTHER
    if not free:
        is_other = best.tool is not None and best.intent != question.intent
        asks = values.asks(text) and best.intent in READS
        says_else = changes.matches("complains", text) or changes.replacement_in(text) is not None
        is_order = changes.matches("ours", text) or changes.matches("orders", text)
        least = SURE_WRITE if is_order else SURE_OTHER
        if asks or says_else or (is_other and best.sureness >= least):
            return Fit.OTHER
        look = changes.look_of(text).keys() - set(question.missing)
        return Fit.OTHER if look and not changes.says_only_look(text) else Fit.ANSWER
    if changes.replacement_in(text) is not None and not (SPOKEN & set(free) and _forbids(text, world)):
        return Fit.OTHER
    if quotations(text) or text_after_colon(text) is not None:
        return Fit.ANSWER
    if SPOKEN & set(free):
        return _fit_of_speech(question, text, best, world)
    return _fit_of_name(question, text, best, world)


def _forbids(text: str, world: World) -> bool:
    """Returns whether a text forbids something, and names nobody in another's place: “please do not run”."""
    named = any(one.thing.kind == "persona" for one in world.mentions(tokenize(text)))
    return values.matches("negation", text) and not named


def _fit_of_speech(question: Question, text: str, best: Candidate, world: World) -> Fit:
    ours = refers_to_ours(text, world)
    is_other = best.intent != question.intent
    if best.intent in READS and is_other:
        if best.sureness >= SURE_OTHER:
            return Fit.OTHER
        if best.sureness >= SURE_QUESTION and (text.rstrip().endswith("?") or values.asks(text)):
            return Fit.OTHER if ours else Fit.UNCLEAR
    if changes.matches("complains", text):
        return Fit.OTHER if ours or len(text.split()) <= MOST_ORDER_WORDS else Fit.UNCLEAR
    if changes.look_of(text) and (ours or changes.matches("requests", text)):
        # Of the video that is asked about, it is noted by the caller.
        return Fit.ANSWER if changes.says_only_look(text) else Fit.OTHER
    if not ours and changes.matches("orders", text) and changes.matches("film_words", text):
        return Fit.UNCLEAR
    is_request = text.rstrip().endswith("?") and changes.matches("requests", text)
    if is_request and is_other and best.tool is not None and best.sureness >= SURE_QUESTION:
        # “Could one publish it on Monday?” is said to us, and not to those who watch.
        return Fit.OTHER if best.sureness >= SURE_INTENT else Fit.UNCLEAR
    if not ours and values.text_after_lead(text) is None and _ASKS_OF_SPEAKER.match(text):
        # “Can he wear a hat?” is about the presenter, and hardly what that one says.
        return Fit.UNCLEAR
    if not ours or values.text_after_lead(text) is not None:
        return Fit.ANSWER
    if text.rstrip().endswith("?") and (values.asks(text) or changes.matches("requests", text)):
        return Fit.OTHER
    if is_other and best.tool is not None and best.sureness >= SURE_WRITE:
        orders = changes.matches("orders", text) and len(text.split()) <= SHORT_WORDS
        return Fit.OTHER if orders or best.sureness >= SURE_OTHER else Fit.UNCLEAR
    likely = best.intent in TALK and best.sureness > SURE_ACT
    orders = changes.matches("requests", text) or changes.matches("orders", text)
    return Fit.UNCLEAR if likely or orders else Fit.ANSWER


def _fit_of_name(question: Question, text: str, best: Candidate, world: World) -> Fit:
    """Returns the same for a name or a topic: that is no whole sentence that says something to the agent."""
    ours = refers_to_ours(text, world)
    is_topic = "topic" in question.missing or "about" in question.missing
    asks = text.rstrip().endswith("?") or values.asks(text)
    if changes.matches("complains", text) or changes.look_of(text):
        return Fit.ANSWER if changes.says_only_look(text) and not ours else Fit.OTHER
    if asks and (ours or best.intent in READS):
        return Fit.OTHER
    if changes.matches("requests", text) and best.intent != question.intent:
        return Fit.OTHER
    if best.tool is not None and best.intent != question.intent and best.sureness >= SURE_WRITE:
        orders = ours or changes.matches("orders", text)
        if orders:
            return Fit.OTHER
        return Fit.UNCLEAR if best.sureness >= SURE_OTHER and not is_topic else Fit.ANSWER
    if asks and not is_topic:
        return Fit.UNCLEAR
    return Fit.UNCLEAR if changes.matches("orders", text) else Fit.ANSWER


def _is_talk(best: Candidate, text: str, *, spoken: bool) -> bool:
    """Returns whether an utterance is talk with the agent, as thanks and a call for help are."""
    words = len(text.split())
    if best.intent == "act.thanks" and not spoken and words <= MOST_NAME_WORDS:
        return best.sureness > SURE_OTHER
    if best.intent in SHORT_ACTS:
        return words < MOST_THANKS_WORDS and best.sureness > SURE_INTENT and (not spoken or _is_thanks(best))
    if best.intent == "act.greeting":
        return words < LEAST_TEXT_WORDS and best.sureness > SURE_INTENT
    if best.intent in ("act.help", "act.why"):
        return best.sureness > SURE_ACT
    if best.intent in ("act.correction", "act.more"):
        return best.sureness > SURE_INTENT
    return False


def _is_thanks(best: Candidate) -> bool:
    return best.intent == "act.thanks" or len(best.text.split()) < LEAST_TEXT_WORDS


def refers_to_ours(text: str, world: World) -> bool:
    """Returns whether a text points at something of the studio or the farm: “the last one”, “publish it”,
    “scene 2”, a project by its name.
    """
    if changes.matches("ours", text):
        return True
    if not (values.asks(text) or changes.matches("orders", text) or changes.matches("requests", text)):
        # Scripts have the words of titles.
        return False
    return any(
        one.thing.kind in _OURS and one.sureness >= SURE_NAME and len(one.thing.name) > 3
        for one in world.mentions(tokenize(text))
    )


def is_bare_choice(text: str) -> bool:
    """Returns whether an utterance only names a place in a list: “the second one, please”."""
    table, chooses = values.words(), changes.change_words().patterns["chooses"]
    rest = [
        word
        for word in re.findall(r"[^\W_]+", text.lower())
        if word not in table.ordinals
        and word not in table.numbers
        and not re.fullmatch(r"\d+(?:st|nd|rd|th)?", word)
    ]
    return all(chooses.fullmatch(word) for word in rest)
