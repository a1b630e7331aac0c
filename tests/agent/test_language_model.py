"""The model of how people word wishes, and the recogniser that listens by it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from face_worker import message_of, serving
from spoken_words import silence, speech
from websockets.asyncio.client import connect

from agent.understanding.corpus import parse_example
from app.composition import Services

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from agent.voice.language_model import arpa, model_words, words_of_example
from agent.voice.recogniser import CommandRecogniser, Measures, Recognition
from agent.voice.sentence_recogniser import SentenceRecogniser
from agent.voice.spoken_grammar import SpokenGrammar
from agent.voice.worker.sureness import DOUBTFUL, READING, with_comparison

SENTENCES = (
    "is PROJECT ready",
    "is PROJECT ready now",
    "show the videos",
    "show the videos of PROJECT",
    "show a rare",
)


def grams_of(sentences: Sequence[str]) -> dict[tuple[str, ...], tuple[float, float]]:
    """Returns probability and backoff weight of each gram."""
    found = {}
    for line in arpa([one.split() for one in sentences], lambda word: word != "rare"):
        if "\t" in line:
            log, words, *rest = line.rstrip("\n").split("\t")
            found[tuple(words.split())] = (10 ** float(log), 10 ** float(rest[0]) if rest else 1.0)
    return found


def test_the_words_that_may_follow_have_all_the_probability() -> None:
    grams = grams_of(SENTENCES)
    words = [gram[0] for gram in grams if len(gram) == 1 and gram != ("<s>",)]

    def likely(before: tuple[str, ...], word: str) -> float:
        if (*before, word) in grams:
            return grams[*before, word][0]
        return grams.get(before, (0.0, 1.0))[1] * likely(before[1:], word)

    for before in [(), ("show",), ("<s>", "is"), ("is", "PROJECT"), ("videos", "ready")]:
        assert math.isclose(sum(likely(before, word) for word in words), 1.0, abs_tol=0.002), before
    assert likely(("is", "PROJECT"), "ready") > 0.5 > likely(("is", "PROJECT"), "videos")


def test_words_without_a_pronunciation_and_rare_ones_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "model.arpa"
    file.write_text("".join(arpa([one.split() for one in (*SENTENCES, "a b", "a a")], str.isalpha)))
    words = model_words(file)
    assert {"is", "show", "a"} <= set(words) and not {"rare", "b", "PROJECT", "</s>"} & set(words)


def test_names_in_the_corpus_stand_for_all_of_their_kind() -> None:
    marked = "have [Vera](persona) read [it](scene=2) for [the Tides](project) in 480p"
    example = parse_example("make_render", "en", marked)
    assert " ".join(words_of_example(example)) == "have PERSONA read it for PROJECT in 480p"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("model") / "model.arpa"
    subprocess.run(
        [sys.executable, "-m", "agent.voice.language_model", str(file)],
        cwd=Path(__file__).parents[2],
        check=True,
    )
    return file


def test_what_is_not_in_the_grammar_is_recognised_with_the_names_of_now(model: Path) -> None:
    recogniser, sentences = CommandRecogniser(), SentenceRecogniser(model)
    recogniser.load(SpokenGrammar.of(["list my projects", "who can speak"]))

    def recognise(text: str, names: dict[str, list[str]]) -> Recognition:
        sentences.load(names)
        recogniser.begin()
        recogniser.hear(silence(0.3) + speech(text) + silence(0.3))
        recogniser.end()
        return recogniser.hear_widely(sentences.decode)

    text = "throw away the walnut parade video nobody needs it anymore"
    assert "walnut" not in recognise(text, {"render": ["Bear cave"]}).text
    found = recognise(text, {"render": ["Bear cave", "Walnut parade"], "machine": ["atlas"]})
    assert found.text == text.replace("walnut", "Walnut") and found.is_accepted
    # Whoever comes next hears nothing of the names of others.
    assert "walnut" not in recognise(text, {"persona": ["Nova"]}).text.lower()


@pytest.mark.parametrize(
    ("confidence", "nearer", "after"),
    [(0.05, 0.3, DOUBTFUL), (0.2, 0.3, READING), (0.6, 0.3, 0.6), (0.95, 0.3, 0.95), (0.2, 1.5, 0.2)],
)
def test_a_sentence_of_the_grammar_is_surer_where_other_words_are_hardly_nearer(
    confidence: float, nearer: float, after: float
) -> None:
    result = Recognition("who can speak", confidence, (), Measures(-4.0, -5.0))
    other = Recognition("who can sneak", 0.5, (), Measures(-4.0 + nearer, -5.0))
    assert with_comparison(result, other).confidence == after
    same = replace(other, text="who can speak")
    assert with_comparison(result, same).confidence == max(READING, confidence)


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("which films have we made so far", "read"),
        ("write me something on fire drills three scenes no video yet", "change"),
        ("my father fixed the roof himself", ""),
        ("thanks", ""),
    ],
)
async def test_a_worker_learns_what_a_sentence_would_lead_to(
    services: Services, text: str, effect: str
) -> None:
    async with serving(services) as (client, workers, token, _):
        opened = (await client.post("/api/voice/session", json={})).json()
        path = f"ws://{workers}/{opened['session_id']}"
        async with connect(path, additional_headers=token) as worker:
            await worker.send(f'{{"type": "judge", "ref": 7, "text": "{text}"}}')
            judged = await message_of(worker, "judged")
        assert (judged["ref"], judged["effect"]) == (7, effect)
        turns = (await client.get(f"/api/chat/sessions/{opened['session_id']}/turns")).json()
        assert turns == [], "nothing is done"
