"""Reads a clause by similarity: the most probable intents, and the arguments of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.understanding import changes, values
from agent.understanding.classifier import Classifier, hashes
from agent.understanding.clauses import PERHAPS, SURE, Boundary, Divider, boundaries, features_at, parts_of
from agent.understanding.corpus import SLOT_KINDS
from agent.understanding.labels import Field, fields
from agent.understanding.recent import Recent
from agent.understanding.sentence import Literal, Sentence, quotations, tails, text_features
from agent.understanding.slots import FREE_TEXTS, Filled, Focus, SlotFiller, kinds_named
from agent.understanding.spelling import Spelling
from agent.understanding.tagger import OUTSIDE, Tagger, spans
from agent.understanding.tokens import tokenize
from agent.understanding.world import SURE_NAME, TRASHED, Thing, World

if TYPE_CHECKING:
    # Few installations switch the encoder on.
    from agent.understanding.encoder import EncoderOutput, SentenceEncoder

COMMAND = re.compile(
    r"(?:uptime|df|free|nvidia-smi|systemctl|journalctl|ls\w*|uname|date|who|ps|ping|cat|ip|dmesg)\b"
)
SURE_COMMAND = 0.25
MOST_LINES = 1000
SERVICES = frozenset({
    "docker", "nomad", "consul", "sshd", "ssh", "chrony", "chronyd", "nginx", "containerd", "ntp", "cron",
    "postgresql", "journald"
})  # fmt: skip

MISFIT = 0.1
SPOKEN_OF = 5.0
"""For intents about the kind of thing that was spoken of last, where a sentence says “it”."""
IMPOSSIBLE = 0.001
"""Of the trash, where a thing that is named is not in it."""
RECENT = 64
"""Results that are ready, such as the reading of a text in a world."""
TEXT_MARGIN = 2.0
"""Between the scores of two arguments that a quotation may be; below it is unsure which."""
OWN_TAIL_CHARS = 30
NAMES_ANYTHING = frozenset({
    "memory.remember", "memory.recall", "memory.forget", "audit.story", "code_runner", "write_script.draft",
    "write_script.film", "list_renders", "list_machines", "cluster_status"
})  # fmt: skip

LIKE_RESTORING = frozenset({"edit_project.restore", "snapshots.load", "memory.recall"})
"""What “bring back” may mean beside taking something out of the trash."""
LEAST_WORDS = 2
LEAST_MISSPELT = 5
MOST_CHARS = 1200
"""The beginning of a sentence says what is wanted."""
LONGEST_QUOTATION = 4000
CANDIDATES = 3
LEAST_FILLED = 0.02
"""Intents that are less probable are never offered: their arguments are not looked for."""
TAIL_BONUS = 0.05
MEANING_SHARE = 0.4
"""How much the encoder counts in the weighted geometric mean of the probabilities of an intent."""
TAG_SHARE = 12.0
"""How much the encoder's scores of tags count beside those of the n-grams."""
TEXT_SLOTS = FREE_TEXTS - {"command"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One call that a clause may ask for. `sureness`: the probability of its intent, 0..1."""

    intent: str
    arguments: Mapping[str, Any]
    sureness: float
    text: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)
    ambiguous: Mapping[str, tuple[Thing, ...]] = field(default_factory=dict)
    rest: str = ""
    """The words that are no argument."""
    unread: Collection[str] = ()
    loose: Collection[str] = ()
    gaps: Sequence[float] = ()
    """See `Filled`."""

    @property
    def tool(self) -> str | None:
        """Returns the tool; None for an act of the dialogue."""
        tool = self.intent.partition(".")[0]
        return None if tool in ("act", "plan") else tool

    @property
    def action(self) -> str:
        return self.intent.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a sentence's colons and quotation marks. All probabilities are those of the intents, in
    the order of the classifier.
    """

    sentence: Sentence
    probabilities: NDArray[np.float32]
    """Of n-grams and encoder together."""
    by_words: NDArray[np.float32]
    encoded: EncoderOutput | None = None
    by_meaning: NDArray[np.float32] | None = None
    """Without the encoder None."""


@dataclass(frozen=True)
class Reader:
    """The trained parts. `slots`: the arguments that the corpus marks, by intent."""

    classifier: Classifier
    tagger: Tagger
    slots: Mapping[str, Collection[str]]
    lexicon: Mapping[str, Mapping[str, str]]
    common_words: Collection[str]
    divider: Divider | None = None
    spelling: Spelling | None = None
    commands: Classifier | None = None
    """Which command of `ssh` a question means."""
    text_slots: Classifier | None = None
    """Which argument a quotation is; see `text_features`."""
    encoder: SentenceEncoder | None = field(default=None, compare=False)
    """Where the sentence model is installed."""
    _recent: Recent = field(default_factory=lambda: Recent(RECENT), init=False, repr=False, compare=False)
    """Of this reader alone: a copy with another encoder finds other things."""

    @cached_property
    def by_words(self) -> Reader:
        """Returns the reader without encoder, which judges answers to questions: the encoder has learned from
        single sentences, and is sure of what a bare name or “it should say: …” asks for.
        """
        return self if self.encoder is None else replace(self, encoder=None)

    def read(self, text: str, world: World, focus: Focus, now: datetime) -> list[Candidate]:
        """Returns what a clause may ask for, the most probable first."""
        reading = self.reading(text, world)
        probabilities = self._by_focus(self.probabilities(text, world), reading.sentence, focus)
        order = probabilities.argsort()[::-1][:CANDIDATES]
        filler = SlotFiller(reading.sentence, world, focus, now, self.lexicon)
        candidates = []
        for rank, place in enumerate(order):
            intent = self.classifier.labels[place]
            is_filled = rank == 0 or probabilities[place] >= LEAST_FILLED
            filled = self._fill(filler, intent, reading.encoded) if is_filled else Filled()
            candidates.append(
                Candidate(
                    intent,
                    filled.arguments,
                    float(probabilities[place]),
                    text,
                    filled.unknown,
                    filled.ambiguous,
                    filled.rest,
                    frozenset(filled.unread),
                    frozenset(filled.loose),
                    filled.gaps,
                )
            )
        return candidates

    def divide(self, text: str, world: World) -> list[str]:
        """Returns the clauses that each ask for something; quotations and what follows a colon stay whole."""
        if self.divider is None or len(text) > MOST_CHARS:
            return [text]
        named = changes.name_in_sentence(text)
        if named is not None and self._asks(named[1], world):
            return [*self.divide(named[0], world), *self.divide(named[1], world)]
        sentence = self.best_sentence(text, text, world)
        return parts_of(sentence, [place for place, sure in self.cuts(text, world) if sure > SURE])

    def _asks(self, text: str, world: World) -> bool:
        """Returns whether a sentence is a wish of its own."""
        probabilities = self.probabilities(text, world)
        best = int(probabilities.argmax())
        is_call = not self.classifier.labels[best].startswith(("act.", "plan."))
        return is_call and float(probabilities[best]) > PERHAPS

    def may_divide(self, text: str, world: World) -> bool:
        """Returns whether a clause perhaps has a second wish, although `divide` left it whole."""
        if self.divider is None or len(text) > MOST_CHARS:
            return False
        return any(sure > PERHAPS for _, sure in self.cuts(text, world))

    def cuts(self, text: str, world: World) -> list[tuple[Boundary, float]]:
        """Returns where a text may be divided, and how surely."""

        def find() -> list[tuple[Boundary, float]]:
            assert self.divider is not None  # noqa: S101
            sentence = self.best_sentence(text, text, world)
            places = boundaries(sentence.tokens)
            found = features_at(sentence, places, self.classifier, self.tagger)
            return list(zip(places, map(self.divider.probability, found), strict=True))

        return self._recent.get(("cuts", text), world, find)

    def probability(self, intent: str, text: str, world: World) -> float:
        """Returns how probable an intent is for a text; 0 for one that the corpus does not have."""
        if intent not in self.classifier.labels:
            return 0.0
        return float(self.probabilities(text, world)[self.classifier.labels.index(intent)])

    def probabilities(self, text: str, world: World) -> Any:
        """Returns how probable each intent is, by n-grams, the encoder and the things named."""

        def find() -> Any:
            reading = self.reading(text, world)
            return self._fitting(reading.probabilities, reading.sentence)

        return self._recent.get(("intents", text), world, find)

    def _fitting(self, probabilities: Any, sentence: Sentence) -> Any:
        """Returns the probabilities, lower for intents that have no argument for a thing that is named."""
        named = [one for one in sentence.mentions if one.sureness >= SURE_NAME]
        weights = np.ones(len(probabilities), np.float32)
        for span in {(one.start, one.end) for one in named}:
            kinds = {one.thing.kind for one in named if (one.start, one.end) == span}
            weights *= np.array([self._fit(one, kinds) for one in self.classifier.labels], np.float32)
        return _weighted(probabilities, weights)

    def _fit(self, intent: str, kinds: Set[str]) -> float:
        """Returns the weight of an intent where something of one of these kinds is named."""
        # Texts and new things may well be called as what somebody has deleted.
        is_trashed = all(kind.startswith(TRASHED) for kind in kinds) and intent not in LIKE_RESTORING
        if is_trashed or intent.startswith(("act.", "plan.")) or kinds & self.kinds_of(intent):
            return 1.0
        return IMPOSSIBLE if intent.startswith("trash.") else MISFIT

    def _by_focus(self, probabilities: Any, sentence: Sentence, focus: Focus) -> Any:
        """Returns the probabilities, higher for intents about the kind of thing that was spoken of last where
        a sentence names nothing and says “it”.
        """
        if not focus.recent or sentence.mentions or not values.says_pronoun(sentence.text):
            return probabilities
        fits = [
            intent not in NAMES_ANYTHING and focus.recent in self.kinds_of(intent)
            for intent in self.classifier.labels
        ]
        return _weighted(probabilities, np.where(fits, np.float32(SPOKEN_OF), np.float32(1.0)))

    def kinds_of(self, intent: str) -> set[str]:
        """Returns the kinds of things that an intent may name; free texts may name any."""
        slots = self.slots.get(intent, ())
        kinds = {kind for slot in slots for kind in kinds_named(intent, slot)}
        return kinds | (set(SLOT_KINDS.values()) if intent in NAMES_ANYTHING else set())

    def fill_as(self, intent: str, text: str, world: World, focus: Focus, now: datetime) -> Filled:
        """Returns the arguments of a clause whose intent is known, such as the answer to a question."""
        sentence = self._sentence(text, _quotations(text, world), world)
        encoded = None if self.encoder is None else self.encoder.read([sentence])[0]
        return self._fill(SlotFiller(sentence, world, focus, now, self.lexicon), intent, encoded)

    def _fill(self, filler: SlotFiller, intent: str, encoded: EncoderOutput | None) -> Filled:
        added = None if encoded is None else TAG_SHARE * self.tag_scores(encoded, intent)
        tags, gaps = self.tagger.tag(filler.sentence.views(), intent, added)
        found, unsure = self._with_texts(filler.sentence, intent, spans(tags))
        found, unsure = _with_fields(filler.sentence, found, unsure, self.slots.get(intent, ()))
        filled = filler.fill(intent, found, sorted(self.slots.get(intent, ())))
        filled.unread |= unsure
        filled.gaps = gaps
        if intent == "ssh" and self.commands is not None:
            self._fill_command(filled, filler.sentence)
        return filled

    def tag_scores(self, encoded: EncoderOutput, intent: str) -> NDArray[np.float32]:
        """Returns the encoder's score of each tag of the tagger: (tokens, tags)."""
        assert self.encoder is not None  # noqa: S101
        return self.encoder.tag_scores(encoded, intent, self.tagger.tags)

    def _with_texts(
        self, sentence: Sentence, intent: str, found: Sequence[tuple[str, int, int]]
    ) -> tuple[list[tuple[str, int, int]], set[str]]:
        """Returns the spans, with quotations as the argument that the words around them say, and the
        arguments for which another one was nearly as probable.
        """
        result = list(found)
        unsure: set[str] = set()
        slot_names = self.slots.get(intent, ())
        for place, token in enumerate(sentence.tokens):
            if token.text != "<text>" or self.text_slots is None:
                continue
            features = text_features(sentence.words_before(place), sentence.words(), intent)
            scores = self.text_slots.scores(hashes(features))
            order = [
                at
                for at in scores.argsort()[::-1]
                if self.text_slots.labels[at] in slot_names or self.text_slots.labels[at] == OUTSIDE
            ]
            slot = self.text_slots.labels[order[0]] if order else OUTSIDE
            if (len(order) > 1 and scores[order[0]] - scores[order[1]] < TEXT_MARGIN) or _has_own_tail(
                sentence, place
            ):
                unsure.add(slot)
            tagged = next((one for one in result if one[1] <= place < one[2]), None)
            if slot == OUTSIDE or (tagged is not None and tagged[0] == slot):
                continue
            result = [one for one in result if one is not tagged and one[0] != slot]
            result.append((slot, place, place + 1))
        return result, unsure

    def _fill_command(self, filled: Filled, sentence: Sentence) -> None:
        """Sets the command that a question about a machine means: “how full is the disk” is `df -h`."""
        lower_words = str(filled.arguments.get("command", ""))
        if COMMAND.match(lower_words):
            return
        assert self.commands is not None  # noqa: S101
        probabilities = self.commands.probabilities(sentence.words())
        best = int(probabilities.argmax())
        command = self.commands.labels[best]
        filled.arguments.pop("command", None)
        if probabilities[best] < SURE_COMMAND:
            return
        if "UNIT" in command:
            unit = self._unit(sentence)
            if unit is None:
                return
            command = command.replace("UNIT", unit)
        if command.startswith("journalctl") and (lines := values.count_of("lines", sentence.text)):
            command = command.replace("-n 50", f"-n {min(lines, MOST_LINES)}")
        filled.arguments["command"] = command

    def _unit(self, sentence: Sentence) -> str | None:
        """Returns the service that a sentence names: the one word that neither is frequent nor a machine."""
        words = [
            token.text
            for place, token in enumerate(sentence.tokens)
            if token.text[0].isalpha() and "machine" not in sentence.kinds_at(place)
        ]
        rare = [word for word in words if word.lower() not in self.common_words]
        jobs = [one.thing.name for one in sentence.mentions if one.thing.kind == "job"]
        services = [word for word in words if word.lower() in SERVICES]
        found = services or jobs or rare
        return found[0].lower() if len(found) == 1 or services else None

    def best_sentence(self, head: str, text: str, world: World) -> Sentence:
        """Returns the sentence with colons and quotation marks read as the n-grams find surest."""
        return self._surest(head, text, world)[0]

    def reading(self, text: str, world: World) -> Reading:
        """Returns the best sentence of a text with what n-grams and encoder make of it."""

        def find() -> Reading:
            sentence, by_words = self._surest(text[:MOST_CHARS], text, world)
            if self.encoder is None:
                return Reading(sentence, by_words, by_words)
            encoded = self.encoder.read([sentence])[0]
            by_meaning = self.encoder.intents_as(self.classifier.labels, encoded, by_words)
            both = by_words ** (1 - MEANING_SHARE) * by_meaning**MEANING_SHARE
            return Reading(sentence, both / both.sum(), by_words, encoded, by_meaning)

        return self._recent.get(("reading", text), world, find)

    def knows_no_word(self, text: str, world: World) -> bool:
        """Returns whether a text of several words has none of the vocabulary, and names no thing."""
        tokens = tokenize(text)
        words = [one.lower for one in tokens if one.text.isalpha()]
        if self.spelling is None or len(words) < LEAST_WORDS or len(words) < len(tokens):
            return False
        # In a short word a single error is as likely another word.
        spelt = (self.spelling.correct(one) if len(one) >= LEAST_MISSPELT else one for one in words)
        return not any(one in self.spelling.counts for one in spelt) and not world.mentions(tokens)

    def prepare(self, texts: Sequence[str], world: World) -> None:
        """Encodes several texts that are about to be read: together they take little longer than one."""
        if self.encoder is not None:
            self.encoder.read([self.best_sentence(text[:MOST_CHARS], text, world) for text in texts])

    def _surest(self, head: str, text: str, world: World) -> tuple[Sentence, NDArray[np.float32]]:
        return self._recent.get(
            ("sentence", head, text), world, lambda: self._best_sentence(head, text, world)
        )

    def _sentence(self, text: str, literals: Sequence[Literal], world: World) -> Sentence:
        sentence = Sentence.of(text, literals)
        return sentence.with_mentions(world.mentions(sentence.tokens), self.spelling)

    def _best_sentence(self, head: str, text: str, world: World) -> tuple[Sentence, NDArray[np.float32]]:
        plain = _quotations(text, world)
        listed = [one for one in fields(text[:MOST_CHARS]) if TEXT_SLOTS & set(one.slots)]
        if listed:
            plain = [one for one in plain if not any(each.start <= one.start < each.end for each in listed)]
            plain += [_literal_of(one, text) for one in listed]
            plain.sort(key=lambda one: one.start)
        readings: list[Sequence[Literal]] = [plain]
        for cut in () if listed else tails(text[:MOST_CHARS])[:3]:
            tail = Literal(cut.start, len(text), text[cut.text_start :].strip(), cut.text_start)
            readings.append([*(one for one in plain if one.end <= tail.start), tail])
        best: tuple[float, Sentence, NDArray[np.float32]] | None = None
        for number, literals in enumerate(readings):
            shown = text if any(one.end > MOST_CHARS for one in literals) else head
            sentence = self._sentence(shown, literals, world)
            probabilities = self.classifier.probabilities(sentence.words()[:120])
            intent = self.classifier.labels[int(probabilities.argmax())]
            if number and not TEXT_SLOTS & set(self.slots.get(intent, ())):
                continue
            score = float(probabilities.max()) + (TAIL_BONUS if number else 0)
            if best is None or score > best[0]:
                best = (score, sentence, probabilities)
        assert best is not None  # noqa: S101
        return best[1:]


def _weighted(probabilities: Any, weights: NDArray[np.float32]) -> Any:
    weighted = probabilities * weights
    return weighted / weighted.sum()


def _quotations(text: str, world: World) -> list[Literal]:
    """Returns the quotations that begin where the reader looks, but for names of what exists."""
    near = quotations(text[: MOST_CHARS + LONGEST_QUOTATION])
    return [one for one in near if one.start < MOST_CHARS and not world.has(one.text)]


def _with_fields(
    sentence: Sentence, found: Sequence[tuple[str, int, int]], unsure: set[str], slot_names: Collection[str]
) -> tuple[list[tuple[str, int, int]], set[str]]:
    """Returns the spans and the unsure arguments, with labelled fields as what their labels say."""
    result, left = list(found), set(unsure)
    for field_ in fields(sentence.text[:MOST_CHARS]):
        slot = field_.slot_of(slot_names)
        places = [
            place for place, token in enumerate(sentence.tokens) if field_.start <= token.start < field_.end
        ]
        if slot is None or not places:
            continue
        start, end = places[0], places[-1] + 1
        result = [one for one in result if one[0] != slot and (one[2] <= start or one[1] >= end)]
        result.append((slot, start, end))
        left.discard(slot)
    return result, left


def _literal_of(one: Field, text: str) -> Literal:
    value = text[one.start : one.end].strip()
    return Literal(one.start, one.end, value.strip("\"“”„«»'") if value[0] in "\"“„«'" else value, one.start)


def _has_own_tail(sentence: Sentence, place: int) -> bool:
    """Returns whether a text begins with words and a colon of its own, as in “new copy: Lunch is on us”."""
    text = sentence.span_text(place, place + 1)
    return any(one.start < OWN_TAIL_CHARS for one in tails(text[: 2 * OWN_TAIL_CHARS]))
