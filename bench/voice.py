"""Talks to the agent with a synthetic voice, and prints how long it takes and what it understands.

A server and a voice worker are started; a person speaks in real time, over the WebSocket or in a LiveKit
room. Delays are counted at the person: from the last sample of speech to the first sound of the answer, and
from the first sample of an interruption to the last sound of the agent. Recognition is measured apart, in
this process. With `--sessions`, so many people talk at once, each a question every ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "provisioning_api"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))

from livekit_server import answers, livekit_variables
from local_login import local_headers
from ready import told_until_ready
from spoken_words import silence, speech, with_noise
from voice_person import Person
from waiting import eventually

from agent.answering.answers import effect_of
from agent.understanding.corpus import SLOT_KINDS
from agent.understanding.dialogue import Dialogue
from agent.understanding.grammar import load_templates
from agent.understanding.interpreter import Interpreter
from agent.understanding.trained import load_reader
from agent.understanding.world import World
from agent.voice.language_model import words_as_pronounced
from agent.voice.pronunciations import dictionary, number_words
from agent.voice.recogniser import CommandRecogniser
from agent.voice.sentence_recogniser import SentenceRecogniser
from agent.voice.spoken_grammar import SpokenGrammar, build_grammar
from agent.voice.worker.service import templates_of_speech
from agent.voice.worker.sureness import (
    DOUBTFUL,
    READING,
    confidence_needed,
    is_outside,
    is_sure,
    is_sure_outside,
    meaning_of,
    with_comparison,
)
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.unseen_sentences import unseen
from bench.processes import processor_s
from bench.results import add_figure, add_json_option, percentile, write_figures

ROOT = Path(__file__).parents[1]
QUESTIONS = ("what videos do I have", "who can speak", "list my projects", "what is planned")
LONG = "what can you do"
VOICES = ("slt", "rms", "awb", "kal16", "en-us", "en-us+f3")
"""Four of flite, two of espeak-ng."""
EVERYDAY = ROOT / "bench" / "voice_everyday.txt"
USUAL = ROOT / "bench" / "voice_commands.txt"
"""Commands that people say; most of those that are drawn from the grammar are ones that nobody does."""
PARTS = (
    ("transcript", "end of the turn and recognition"),
    ("caption", "answer and speech"),
    ("sound", "to the person"),
)
"""Events at the person, and what happens until each."""
NOISE_DB = 20.0
CLEAN = "clean"
CHUNK = 3200
ROUND_S = 10.0
"""Of many people at once each asks so often."""
PER_KEY = 10
"""Sessions that one key may open."""
NAMES = {"persona": ["Nova", "Milo", "Vera"], "project": ["Tides", "Harbour"]}


async def reaches(person: Person, state: str, within_s: float = 30) -> bool:
    """Waits for a state; returns False when it does not come."""
    with contextlib.suppress(AssertionError):
        await person.until(lambda: person.state == state, state, within_s)
    return person.state == state


@asynccontextmanager
async def talking(url: str, headers: dict[str, str], transport: str) -> AsyncIterator[Person]:
    """Yields a person whose session has a worker."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        opened: dict[str, Any] = {}
        while "url" not in opened:
            request = {"agent_id": "nova", "transport": transport}
            opened = (await client.post("/api/voice/session", json=request)).json()
            await asyncio.sleep(0.2)
    async with contextlib.AsyncExitStack() as stack:
        if transport == "livekit":
            from room_person import RoomPerson

            person: Person = await RoomPerson.join(opened["url"], opened["token"])
        else:
            address = f"{opened['url']}?token={opened['token']}"
            person = Person(await stack.enter_async_context(connect(address, additional_headers=headers)))
        try:
            await person.until(lambda: person.state == "listening", "a worker", 120)
            yield person
        finally:
            await person.close()


async def measure_delays(
    url: str, headers: dict[str, str], turns: int, transport: str
) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Returns, in milliseconds, the delays of the first sounds, of silence after interruptions, and the parts
    of the first ones.
    """
    first: list[float] = []
    silent: list[float] = []
    parts: dict[str, list[float]] = {}
    async with talking(url, headers, transport) as person:
        for turn in range(turns):
            before = len(person.of("sound"))
            _, ended_s = await person.say(QUESTIONS[turn % len(QUESTIONS)])
            if await reaches(person, "speaking", 10):
                # In a room the state comes before the sound.
                await person.until(lambda before=before: len(person.of("sound")) > before, "sound")
                first.append((person.of("sound")[before]["at_s"] - ended_s) * 1000)
                previous_s = ended_s
                for kind, part in PARTS:
                    at_s = person.of(kind)[before if kind == "sound" else -1]["at_s"]
                    parts.setdefault(part, []).append((at_s - previous_s) * 1000)
                    previous_s = at_s
            await reaches(person, "listening")
            await asyncio.sleep(0.3)
        for _ in range(turns):
            await person.say(LONG)
            if not await reaches(person, "speaking", 10):
                continue
            await asyncio.sleep(0.7)
            began_s, _ = await person.say(QUESTIONS[0])
            sounds = [one["at_s"] for one in person.of("sound")]
            last_s = max((one for one in sounds if one < began_s + 2.0), default=began_s)
            gaps = [b for a, b in pairwise(sounds) if a > began_s and b - a > 0.3]
            silent.append((min([last_s, *(gap - 0.3 for gap in gaps)]) - began_s) * 1000)
            await reaches(person, "listening")
            await asyncio.sleep(0.3)
    return first, silent, parts


async def measure_sessions(
    url: str, headers: dict[str, str], pid: int, sessions: int, rounds: int
) -> tuple[list[float], float]:
    """Has many people talk at once; returns the delays of their first sounds in milliseconds, NaN where no
    answer came, and the cores that one session takes of the server, its worker and what they start.
    """
    first: list[float] = []
    ready = asyncio.Barrier(sessions + 1)

    async def talk(number: int, own: dict[str, str]) -> None:
        chance = random.Random(number)  # noqa: S311
        async with talking(url, own, "websocket") as person:
            await ready.wait()
            began_s = time.perf_counter() + ROUND_S * number / sessions
            for turn in range(rounds):
                due_s = began_s + ROUND_S * turn
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                before = len(person.of("sound"))
                _, ended_s = await person.say(chance.choice(QUESTIONS))
                came = await reaches(person, "speaking", ROUND_S / 2)
                sounds = person.of("sound")[before:]
                first.append((sounds[0]["at_s"] - ended_s) * 1000 if came and sounds else float("nan"))

    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(sessions):
            if number % PER_KEY == 0:
                created = await client.post("/api/keys", json={"name": f"person {number}", "role": "editor"})
                own = {"Authorization": f"Bearer {created.raise_for_status().json()['key']}"}
            group.create_task(talk(number, own))
        await ready.wait()
        used_s, began_s = processor_s(pid), time.perf_counter()
        await asyncio.sleep(ROUND_S * rounds)
        cores = (processor_s(pid) - used_s) / (time.perf_counter() - began_s)
    return first, cores / sessions


def commands(grammar: SpokenGrammar, count: int, seed: int = 22) -> list[str]:
    """Returns sentences of the grammar of at least three words, drawn at random."""
    chance = random.Random(seed)  # noqa: S311
    found: set[str] = set()
    while len(found) < count:
        state = 0
        words: list[str] = []
        while state not in grammar.ends or (grammar.states[state] and chance.random() < 0.3):
            word = chance.choice(sorted(grammar.states[state]))
            state, words = grammar.states[state][word], [*words, word]
        if 3 <= len(words) <= 8:
            found.add(" ".join(words))
    return sorted(found)


def same_words(text: str, found: str) -> bool:
    """Returns whether two sentences are pronounced alike: “scene 9” and “scene nine” are."""
    return pronunciation(text) == pronunciation(found)


def pronunciation(text: str) -> list[str]:
    return [part for word in text.split() for part in (number_words(word) if word.isdigit() else [word])]


def load_sentences(world: World) -> SentenceRecogniser:
    """Returns the recogniser of sentences that are not in the grammar, with the names of this world."""
    with tempfile.NamedTemporaryFile(suffix=".arpa") as file:
        subprocess.run([sys.executable, "-m", "agent.voice.language_model", file.name], cwd=ROOT, check=True)
        recogniser = SentenceRecogniser(Path(file.name))
    recogniser.load(world.names())
    return recogniser


def sentences_of_strangers(world: World, count: int) -> list[str]:
    """Returns English sentences that nothing has learned from, of two to sixteen words and without texts of
    the person's own; what they name exists in this world.
    """
    chance = random.Random(5)  # noqa: S311
    found: set[str] = set()
    for example in unseen():
        kinds = {span.slot: SLOT_KINDS.get(span.slot) for span in example.spans}
        if example.language != "en" or not all(
            kinds[span.slot] or span.value is not None for span in example.spans
        ):
            continue
        words: list[str] = []
        at = 0
        for span in sorted(example.spans, key=lambda one: one.start):
            kind = kinds[span.slot] if span.value is None else None
            named = [thing.name for thing in world.of_kind(kind)] if kind else []
            words += [
                example.text[at : span.start],
                chance.choice(named) if named else example.text[span.start : span.end],
            ]
            at = span.end
        text = " ".join(words_as_pronounced("".join([*words, example.text[at:]])))
        if 2 <= len(text.split()) <= 16:
            found.add(text)
    return chance.sample(sorted(found), count)


def measure_recognition(count: int, sentences: int, strangers: int) -> dict[str, float]:
    """Returns shares in percent: commands right, sentences of strangers whose intent is the one of the typed
    sentence, and everyday sentences that became a command.

    Each voice in each noise is a session of its own, as a person at a page is.
    """
    world = read_world()
    grammar = build_grammar(load_templates(), templates_of_speech(), NAMES, dictionary().knows)
    recogniser = CommandRecogniser()
    recogniser.load(grammar)
    other_sentences = load_sentences(world)
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    interpreter = Interpreter(reader)
    chance = random.Random(1)  # noqa: S311
    means: dict[tuple[str, str], str] = {}
    used_s, sound_s, again_s, again_sound_s = 0.0, 0.0, 0.0, 0.0

    def recognise(text: str, voice: str, noise: str) -> tuple[str, str]:
        """Returns the sentence that was recognised, and what would be done: nothing, ask, read or change."""
        nonlocal used_s, sound_s, again_s, again_sound_s
        sound = silence(0.3) + speech(text, voice) + silence(0.3)
        if noise != CLEAN:
            sound = with_noise(sound, NOISE_DB, noise, chance)
        began_s = time.process_time()
        recogniser.begin(means.get((voice, noise), ""))
        for at in range(0, len(sound), CHUNK):
            recogniser.hear(sound[at : at + CHUNK])
        result = recogniser.end()
        means[voice, noise] = recogniser.cepstral_mean
        used_s, sound_s = used_s + time.process_time() - began_s, sound_s + len(sound) / 32_000
        if not is_sure(result):
            began_s = time.process_time()
            wide = recogniser.hear_widely(other_sentences.decode)
            again_s, again_sound_s = (
                again_s + time.process_time() - began_s,
                again_sound_s + len(sound) / 32_000,
            )
            result = with_comparison(result, wide)
            if is_outside(result, wide):
                effect = effect_of(interpreter.interpret(wide.text, world, Dialogue(), NOW))
                is_read = is_sure_outside(wide, effect)
                return wide.text, "read" if is_read else "ask" if effect else "nothing"
        if is_sure(result):
            return result.text, "change" if confidence_needed(result.text) > READING else "read"
        return result.text, "ask" if result.confidence >= DOUBTFUL else "nothing"

    def intent(text: str) -> str:
        return reader.classifier.labels[int(reader.probabilities(text, world).argmax())]

    chosen = commands(grammar, count)
    random.Random(2).shuffle(chosen)  # noqa: S311
    shares = {}
    for noise in (CLEAN, "white"):
        results = [
            (text, *recognise(text, VOICES[number % len(VOICES)], noise))
            for number, text in enumerate(chosen)
        ]
        words = sum(same_words(text, found) for text, found, _ in results)
        done = sum(same_words(text, found) and what in ("read", "change") for text, found, what in results)
        clarified = sum(same_words(text, found) and what == "ask" for text, found, what in results)
        wrong = sum(
            not same_words(text, found) and what in ("read", "change") for text, found, what in results
        )
        # “That project” for “the project” asks for the same.
        other = [
            (what, not same_words(text, found) and meaning_of(text) != meaning_of(found))
            for text, found, what in results
        ]
        meant = sum(not is_other for _, is_other in other)
        harmful = sum(is_other and what in ("read", "change") for what, is_other in other)
        for name, number in (
            *(("words", words), ("done", done), ("asked", clarified), ("wrong", wrong)),
            *(("meant", meant), ("harmful", harmful)),
        ):
            shares[f"{noise} {name}"] = 100 * number / len(chosen)
    usual = [
        (text, recognise(text, voice, CLEAN)[0])
        for text in USUAL.read_text().split("\n")[:-1]
        for voice in VOICES
    ]
    meant = sum(meaning_of(text) == meaning_of(found) for text, found in usual if found)
    shares["usual meant"] = 100 * meant / len(usual)
    others = sentences_of_strangers(world, strangers)
    spoken = [recognise(text, VOICES[at % len(VOICES)], CLEAN) for at, text in enumerate(others)]
    pairs = list(zip(others, spoken, strict=True))
    shares["strangers found"] = (
        100 * sum(bool(found) and intent(text) == intent(found) for text, (found, _) in pairs) / len(pairs)
    )
    for act in ("read", "ask"):
        shares[f"strangers {act}"] = 100 * sum(what == act for _, (_, what) in pairs) / len(pairs)
    everyday = EVERYDAY.read_text(encoding="utf-8").splitlines()[:sentences]
    acts = [recognise(text, VOICES[at % len(VOICES)], CLEAN)[1] for at, text in enumerate(everyday)]
    for act in ("read", "change", "ask"):
        shares[f"everyday {act}"] = 100 * acts.count(act) / len(everyday)
    seconds = {"processor": used_s / sound_s, "again": again_s / again_sound_s}
    return {**shares, **seconds, "sentences": len(everyday)}


@contextmanager
def server(folder: Path, transport: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Runs a server with a voice worker; yields its URL, the headers of its administrator and its process."""
    settings = {"HTTP__PORT": "0", "VOICE__ENABLED": "true", "PROVISIONING__ENABLED": "false"}
    environment = {f"SOUNDSTAGE_{name}": value for name, value in settings.items()}
    environment["SOUNDSTAGE_PERSONAS_DIR"] = str(ROOT / "personas")
    livekit = livekit_variables() if transport == "livekit" else {}
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("soundstage"), "up", "--json"],
            cwd=folder,
            env={**os.environ, **environment, **livekit},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        url = told_until_ready(process, log)["url"]
        if livekit:
            eventually(lambda: answers(livekit), "LiveKit", 60)
        yield url, local_headers(folder / "state"), process.pid
    finally:
        process.terminate()
        process.wait(60)


def report_sessions(options: argparse.Namespace) -> int:
    """Measures many people at once, and prints the figures."""
    rounds = max(1, -(-options.turns // options.sessions))
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), "websocket") as (url, headers, pid):
        found = asyncio.run(measure_sessions(url, headers, pid, options.sessions, rounds))
    first, cores = found
    came = [one for one in first if one == one]
    share = 100 * len(came) / len(first)
    print(f"{options.sessions} people at once, {len(first)} questions: {share:.1f} % answered,", end=" ")
    print(f"p50 {percentile(came, 0.5):.0f} ms, p95 {percentile(came, 0.95):.0f} ms")
    print(f"processor: {cores:.3f} cores for a session, so {2 / cores:.0f} sessions on two cores")
    print(f"load {os.getloadavg()[0]:.1f}")
    add_figure("sessions of sound that two cores carry", 2 / cores, "", goal=">= 20")
    add_figure("questions answered, of many people at once", share, "%")
    write_figures("voice", options.json)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="turns of each kind (default 30)")
    parser.add_argument(
        "--commands",
        type=int,
        default=200,
        help="spoken commands; 0: delays alone (default 200)",
    )
    parser.add_argument("--everyday", type=int, default=500, help="everyday sentences (default 500)")
    parser.add_argument(
        "--strangers", type=int, default=240, help="sentences of strangers, none in the grammar (default 240)"
    )
    parser.add_argument("--transport", choices=["websocket", "livekit"], default="websocket")
    parser.add_argument(
        "--sessions", type=int, default=0, help="so many people at once, and nothing else (default: one)"
    )
    add_json_option(parser)
    options = parser.parse_args()
    if options.sessions:
        return report_sessions(options)
    transport = options.transport
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), transport) as (url, headers, _):
        first, silent, parts = asyncio.run(measure_delays(url, headers, options.turns, transport))
    shares = (
        measure_recognition(options.commands, options.everyday, options.strangers) if options.commands else {}
    )
    goals, way = ((350, 600), "WebSocket") if transport == "websocket" else ((550, 800), "LiveKit")
    for name, goal, values in (
        (f"end of speech to first sound, {way}", goals, first),
        (f"interruption to silence at the person, {way}", (None, 450), silent),
    ):
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        print(f"{name}: {len(values)} turns, p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        if goal[0]:
            add_figure(f"{name}, p50", p50, "ms", goal=f"<= {goal[0]}")
        add_figure(f"{name}, p95", p95, "ms", goal=f"<= {goal[1]}")
    for part, values in parts.items():
        print(f"  of the first sound, {part}: p50 {percentile(values, 0.5):.0f} ms")
    for name, goal_text, key in (
        ("commands whose words are right, clean", ">= 98", "clean words"),
        ("commands right and done, clean", "", "clean done"),
        ("commands right and asked back, clean", "", "clean asked"),
        ("commands wrong and done, clean", "", "clean wrong"),
        ("commands whose meaning is right, clean", "", "clean meant"),
        ("commands of another meaning and done, clean", "", "clean harmful"),
        ("commands whose words are right, white noise at 20 dB", ">= 98", "white words"),
        ("commands right and done, white noise at 20 dB", "", "white done"),
        ("commands right and asked back, white noise at 20 dB", "", "white asked"),
        ("commands wrong and done, white noise at 20 dB", "", "white wrong"),
        ("commands whose meaning is right, white noise at 20 dB", "", "white meant"),
        ("commands of another meaning and done, white noise at 20 dB", "", "white harmful"),
        ("usual commands whose meaning is right, clean", "", "usual meant"),
        ("strangers' sentences whose intent is found as when typed", "", "strangers found"),
        ("strangers' sentences that were done at once", "", "strangers read"),
        ("strangers' sentences that were asked back", "", "strangers ask"),
        ("everyday sentences that became a command that reads", "<= 1", "everyday read"),
        ("everyday sentences that became a command that changes", "0", "everyday change"),
        ("everyday sentences that were asked back", "", "everyday ask"),
    ):
        if key not in shares:
            continue
        print(f"{name}: {shares[key]:.1f} %")
        if goal_text:
            add_figure(name, shares[key], "%", goal=goal_text)
    if shares:
        print(f"recognition: {shares['processor']:.3f} s of processor time for a second of sound")
        print(f"and beyond the grammar: {shares['again']:.3f} s")
    print(f"load {os.getloadavg()[0]:.1f}")
    write_figures("voice", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
