"""Sentences that the reader has not learned from are marked like those of the corpus, and are not in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml

from agent.understanding import Grammar
from agent.understanding.corpus import read_corpus, slots_of
from agent.understanding.intents import change_anything
from agent.understanding.reader import Reader
from bench.nlu_evaluation.unseen import confusions, outcomes
from bench.nlu_evaluation.unseen_sentences import unseen
from bench.nlu_evaluation.ways import ReaderWay


def test_they_are_new_and_have_only_intents_and_arguments_of_the_corpus() -> None:
    corpus = read_corpus().examples
    learned, slots = {one.text.lower() for one in corpus}, slots_of(corpus)
    examples = list(unseen())
    assert [one.text for one in examples if one.text.lower() in learned] == []
    counts = Counter(one.text.lower() for one in examples)
    assert [text for text, count in counts.items() if count > 1] == []
    strange = [
        one.text for one in examples if not {span.slot for span in one.spans} <= set(slots[one.intent])
    ]
    assert strange == []


def test_most_intents_of_some_are_found(reader: Reader) -> None:
    found = confusions(reader, list(unseen())[::50])
    right = sum(count for (_, intent, read), count in found.items() if intent == read)
    assert right > found.total() / 2


def test_a_call_or_a_question_comes_of_each(reader: Reader) -> None:
    found = outcomes(reader, list(unseen())[::12])
    total, right = found.total(), sum(count for (_, outcome), count in found.items() if outcome == "right")
    assert total > 150
    assert right > total / 4


def test_questions_reports_and_denials_change_nothing(reader: Reader) -> None:
    way = ReaderWay(reader, Grammar.load())
    sentences = yaml.safe_load(Path(__file__).with_name("changes_nothing.yaml").read_text(encoding="utf-8"))
    changed = {}
    for sentence in sentences:
        way.begin()
        answer = way.answer(sentence)
        if answer.decision == "calls" and change_anything(answer.calls):
            changed[sentence] = [call.intent for call in answer.calls]
    assert len(sentences) > 180
    assert changed == {}
