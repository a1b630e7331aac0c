"""Trains the reader on the corpus; see `trained` for the file that it is kept in."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agent.understanding import classifier, tagger
from agent.understanding.clauses import Divider, boundaries, features_at
from agent.understanding.corpus import (
    NEW_NAMES,
    SLOT_KINDS,
    Corpus,
    Example,
    Several,
    lexicon_of,
    slots_of,
)
from agent.understanding.reader import Reader
from agent.understanding.sentence import Literal, Sentence, quotations, text_features
from agent.understanding.spelling import Spelling
from agent.understanding.tagger import OUTSIDE, Tagged
from agent.understanding.tokens import Token, tokenize
from agent.understanding.world import Mention, Thing

FROM_TRASH = {
    ("trash.restore_video", "render"): "trashed_render",
    ("trash.restore_project", "project"): "trashed_project",
}
"""Arguments that name what is in the trash."""
COMMON_FROM = 3
FREE = frozenset(
    {"title", "name", "script", "topic", "text", "about", "description", "heading", "purpose", "person"}
)
"""Arguments whose words may be any; those of code and of questions are the words of wishes."""
UNMARKED = frozenset({"act.nothing", "act.out_of_scope"})
"""Intents whose sentences have no marked arguments."""
ALSO_KIND = {"render": "project", "project": "render"}
SEEN = 3
"""Each sentence is learned from twice; a feature of one sentence alone is left out."""
JOINED = 1500
"""Sentences with several wishes that are made of phrasings."""
WHOLE = 5000
"""Phrasings from which the divider learns where not to divide."""
LONGEST_PART = 110


def train_reader(corpus: Corpus, *, seen: int = SEEN) -> Reader:
    """Returns a reader of the corpus; the same one each time."""
    examples = corpus.examples
    tagged = [one for one in examples if not one.intent.startswith(("act.nothing", "plan."))]
    reader = Reader(
        train_intents(examples, seen),
        train_tagger(tagged, seen),
        slots_of(examples),
        lexicon_of(examples),
        common_words(examples),
        spelling=Spelling(word_counts(examples)),
        commands=train_commands(examples),
        text_slots=train_text_slots(examples),
    )
    some = random.Random(2).sample(examples, min(WHOLE, len(examples)))  # noqa: S311
    several = [*corpus.several, *corpus.several, *join_examples(corpus, JOINED)]
    return replace(reader, divider=train_divider(reader, several, some))


def join_examples(corpus: Corpus, count: int, seed: int = 4) -> Iterator[Several]:
    """Yields sentences of two or three phrasings of a language; the more it has, the more often."""
    chance = random.Random(seed)  # noqa: S311
    plain = [
        one
        for one in corpus.examples
        if corpus.joints.get(one.language)
        and not one.intent.startswith(("act.", "plan."))
        and len(one.text) < LONGEST_PART
        and ":" not in one.text
        and "\n" not in one.text
    ]
    by_language: dict[str, list[Example]] = {}
    for example in plain:
        by_language.setdefault(example.language, []).append(example)
    for _ in range(count if plain else 0):
        some = by_language[chance.choice(plain).language]
        text = ""
        parts: list[str] = []
        for _ in range(2 if chance.random() < 0.8 else 3):
            part = chance.choice(some)
            joint = chance.choice(corpus.joints[part.language]) if parts else ""
            words = part.text.strip().rstrip(".!?,")
            parts.append(words[:1].lower() + words[1:] if joint and not joint.startswith(".") else words)
            text += joint + parts[-1]
        yield Several(text, tuple(parts))


def kind_of(example: Example, slot: str) -> str | None:
    """Returns the kind of thing that an argument of the phrasing names."""
    if slot == "name" and example.intent in NEW_NAMES:
        return None
    return FROM_TRASH.get((example.intent, slot)) or SLOT_KINDS.get(slot)


def training_sentence(example: Example, chance: random.Random | None) -> Sentence:
    """Returns the sentence with mentions for marked names. `chance` leaves some out, as the world does."""
    literals = [*quotations(example.text)]
    for span in example.spans:
        head = example.text[: span.start].rstrip()
        if span.end >= len(example.text.rstrip(' .!?"”“»')) and head[-1:] in (":", "："):
            literals = [one for one in literals if one.end <= len(head)]
            literals.append(
                Literal(len(head) - 1, len(example.text), example.text[span.start : span.end], span.start)
            )
    sentence = Sentence.of(example.text, literals)
    mentions: list[Mention] = []
    for span in example.spans:
        kind = kind_of(example, span.slot)
        if kind is None or span.value is not None:
            continue
        places = [
            place for place, token in enumerate(sentence.tokens) if span.start <= token.start < span.end
        ]
        if not places or sentence.tokens[places[0]].text == "<text>":
            continue
        draw = 0.0 if chance is None else chance.random()
        if draw > 0.65:
            continue
        sureness = 1.0 if draw < 0.5 else 0.6
        name = example.text[span.start : span.end]
        mentions.append(Mention(Thing(kind, name), places[0], places[-1] + 1, sureness))
        if kind in ALSO_KIND and chance is not None and chance.random() < 0.15:
            mentions.append(Mention(Thing(ALSO_KIND[kind], name), places[0], places[-1] + 1, sureness))
    return sentence.with_mentions(mentions)


def tags_of(example: Example, sentence: Sentence) -> list[str]:
    """Returns the right tag of each token."""
    tags = []
    before = None
    for token in sentence.tokens:
        span = next((one for one in example.spans if _covers(one.start, one.end, token, sentence)), None)
        tags.append(OUTSIDE if span is None else f"{'I' if span is before else 'B'}-{span.slot}")
        before = span
    return tags


def _covers(start: int, end: int, token: Token, sentence: Sentence) -> bool:
    if token.text == "<text>":
        literal = next(one for one in sentence.literals if one.start == token.start)
        return start < literal.end and literal.text_start < end
    return start <= token.start < end


def common_words(examples: Iterable[Example]) -> frozenset[str]:
    """Returns words that are frequent outside names. Sentences without marks name things, too."""
    counts: Counter[str] = Counter()
    for example in examples:
        if example.intent in UNMARKED:
            continue
        named = [span for span in example.spans if span.slot in SLOT_KINDS or span.slot in FREE]
        counts.update(
            {
                token.lower
                for token in tokenize(example.text)
                if not any(span.start <= token.start < span.end for span in named)
            }
        )
    return frozenset(word for word, count in counts.items() if count >= COMMON_FROM)


def samples(examples: Sequence[Example], seed: int = 3) -> Iterator[tuple[Example, Sentence]]:
    """Yields each phrasing with and without its names recognised."""
    chance = random.Random(seed)  # noqa: S311
    for example in examples:
        if example.text.strip():
            yield example, training_sentence(example, None)
            yield example, training_sentence(example, chance)


def train_intents(examples: Sequence[Example], seen: int = SEEN) -> classifier.Classifier:
    found = [(sentence.words(), example.intent) for example, sentence in samples(examples)]
    return classifier.train(found, seen=seen)


def train_tagger(examples: Sequence[Example], seen: int = SEEN) -> tagger.Tagger:
    found = [
        Tagged(sentence.views(), example.intent, tags_of(example, sentence))
        for example, sentence in samples(examples)
    ]
    return tagger.train(found, seen=seen)


def train_divider(
    reader: Reader, several: Sequence[Several], examples: Sequence[Example], seed: int = 5
) -> Divider:
    """Returns a divider of sentences with several wishes, and of phrasings, which have one each."""
    found: list[tuple[set[str], str]] = []
    for one in several:
        sentence = _of_parts(one.text)
        starts = _starts(one.text, one.parts)
        places = boundaries(sentence.tokens)
        features = features_at(sentence, places, reader.classifier, reader.tagger)
        for boundary, some in zip(places, features, strict=True):
            found.append((some, "yes" if sentence.tokens[boundary.start].start in starts else "no"))
    chance = random.Random(seed)  # noqa: S311
    for example in examples:
        if example.intent.startswith("plan.") or chance.random() > 0.5:
            continue
        sentence = training_sentence(example, chance)
        places = boundaries(sentence.tokens)
        features = features_at(sentence, places, reader.classifier, reader.tagger)
        found += ((some, "no") for some in features)
    return Divider(classifier.train_features(found))


def _of_parts(text: str) -> Sentence:
    return Sentence.of(text, quotations(text))


def _starts(text: str, parts: Sequence[str]) -> list[int]:
    starts, at = [], 0
    for part in parts:
        at = text.find(part, at)
        starts.append(at)
        at += len(part)
    return starts[1:]


def word_counts(examples: Iterable[Example]) -> dict[str, int]:
    """Returns how often words stand outside marked names, for the spelling; rare ones are left out."""
    counts: Counter[str] = Counter()
    for example in examples:
        named = [
            span
            for span in example.spans
            if span.slot in SLOT_KINDS or span.slot in ("title", "name", "script", "person")
        ]
        counts.update(
            {token.lower for token in tokenize(example.text)
             if not any(span.start <= token.start < span.end for span in named)}
        )  # fmt: skip
    return {word: count for word, count in counts.items() if count > 2}


def train_commands(examples: Sequence[Example]) -> classifier.Classifier | None:
    """Returns which command of `ssh` a sentence means; `UNIT` stands for the service that it names.

    None where no command is frequent.
    """
    found = []
    for example, sentence in samples([one for one in examples if one.intent == "ssh"]):
        span = next((one for one in example.spans if one.slot == "command"), None)
        if span is not None:
            command = span.value or example.text[span.start : span.end]
            found.append((sentence.words(), _template(command)))
    counts = Counter(label for _, label in found)
    frequent = [(words, label) for words, label in found if counts[label] > 3]
    return classifier.train(frequent) if frequent else None


def _template(command: str) -> str:
    words = command.split()
    if words[0] == "systemctl":
        return "systemctl status --no-pager UNIT"
    if words[0] == "journalctl":
        return "journalctl --no-pager -n 50 -u UNIT"
    return " ".join(words[:2])


def train_text_slots(examples: Sequence[Example]) -> classifier.Classifier | None:
    """Returns which argument a quotation is; None where nothing is quoted."""
    found: list[tuple[set[str], str]] = []
    for example, sentence in samples(examples):
        tags = tags_of(example, sentence)
        for place, token in enumerate(sentence.tokens):
            if token.text == "<text>":
                features = text_features(sentence.words_before(place), sentence.words(), example.intent)
                found.append((features, tags[place].partition("-")[2] or OUTSIDE))
    return classifier.train_features(found) if found else None
