"""Talks to the agent with a synthetic voice, and prints how long it takes and what it understands.

A server and a voice worker are started; a person speaks over the WebSocket in real time. Delays are counted
at the person: from the last sample of speech to the first sound of the answer, and from the first sample of
an interruption to the last sound of the agent. Recognition is measured apart, in this process.
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
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "provisioning_api"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))

from local_login import local_headers
from ready import told_until_ready
from spoken_words import silence, speech
from voice_person import Person

from agent.understanding.grammar import load_templates
from agent.voice.recogniser import CommandRecogniser, dictionary
from agent.voice.spoken_grammar import SpokenGrammar, build_grammar
from agent.voice.worker.service import templates_of_speech
from bench.results import add_figure, add_json_option, percentile, write_figures

ROOT = Path(__file__).parents[1]
QUESTIONS = ("what videos do I have", "who can speak", "list my projects", "what is planned")
LONG = "what can you do"
VOICES = ("slt", "rms", "awb")
EVERYDAY = ROOT / "bench" / "voice_everyday.txt"
NOISE_DB = 20.0
NAMES = {"persona": ["Nova", "Milo", "Vera"], "project": ["Tides", "Harbour"]}


async def reaches(person: Person, state: str, within_s: float = 30) -> bool:
    """Waits for a state; returns False when it does not come."""
    with contextlib.suppress(AssertionError):
        await person.until(lambda: person.state == state, state, within_s)
    return person.state == state


async def measure_delays(url: str, headers: dict[str, str], turns: int) -> tuple[list[float], list[float]]:
    """Returns, in milliseconds, the delays of the first sounds and of silence after interruptions."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        opened: dict[str, Any] = {}
        while "url" not in opened:
            opened = (await client.post("/api/voice/session", json={"agent_id": "nova"})).json()
            await asyncio.sleep(0.2)
    first: list[float] = []
    silent: list[float] = []
    async with connect(f"{opened['url']}?token={opened['token']}", additional_headers=headers) as socket:
        person = Person(socket)
        await person.until(lambda: person.state == "listening", "a worker")
        for turn in range(turns):
            before = len(person.of("sound"))
            _, ended_s = await person.say(QUESTIONS[turn % len(QUESTIONS)])
            if await reaches(person, "speaking", 10):
                await asyncio.sleep(0.1)
                first.append((person.of("sound")[before]["at_s"] - ended_s) * 1000)
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
        await person.close()
    return first, silent


def commands(grammar: SpokenGrammar, count: int) -> list[str]:
    """Returns sentences of the grammar of at least three words, drawn at random with a fixed seed."""
    chance = random.Random(22)  # noqa: S311
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


def with_noise(sound: bytes, chance: random.Random) -> bytes:
    """Adds white noise `NOISE_DB` below the loudness of the sound."""
    samples = array("h", sound)
    level = (sum(one * one for one in samples) / len(samples)) ** 0.5 * 10 ** (-NOISE_DB / 20)
    noisy = (round(one + chance.gauss(0, level)) for one in samples)
    return array("h", (max(-32768, min(32767, one)) for one in noisy)).tobytes()


def measure_recognition(count: int) -> dict[str, float]:
    """Returns shares in percent: commands right, and everyday sentences that became one."""
    grammar = build_grammar(load_templates(), templates_of_speech(), NAMES, dictionary().knows)
    recogniser = CommandRecogniser()
    recogniser.load(grammar)
    chance = random.Random(1)  # noqa: S311
    used_s, sound_s = 0.0, 0.0

    def recognise(sound: bytes) -> str:
        nonlocal used_s, sound_s
        padded, began_s = silence(0.3) + sound + silence(0.3), time.process_time()
        recogniser.begin()
        recogniser.hear(padded)
        result = recogniser.end()
        used_s, sound_s = used_s + time.process_time() - began_s, sound_s + len(padded) / 32_000
        return result.text if result.is_accepted else ""

    chosen = commands(grammar, count)
    right = noisy = 0
    for number, text in enumerate(chosen):
        sound = speech(text, VOICES[number % len(VOICES)])
        right += recognise(sound) == text
        noisy += recognise(with_noise(sound, chance)) == text
    everyday = EVERYDAY.read_text(encoding="utf-8").splitlines()
    taken = [text for number, text in enumerate(everyday) if recognise(speech(text, VOICES[number % 3]))]
    return {
        "clean": 100 * right / len(chosen),
        "noisy": 100 * noisy / len(chosen),
        "everyday": 100 * len(taken) / len(everyday),
        "processor": used_s / sound_s,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="turns of each kind (default 30)")
    parser.add_argument("--commands", type=int, default=200, help="commands that are spoken (default 200)")
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"HTTP__PORT": "0", "VOICE__ENABLED": "true", "PROVISIONING__ENABLED": "false"}
        environment = {f"SOUNDSTAGE_{name}": value for name, value in settings.items()}
        environment["SOUNDSTAGE_PERSONAS_DIR"] = str(ROOT / "personas")
        log = Path(folder) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("soundstage"), "up", "--json"],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            url = told_until_ready(process, log)["url"]
            headers = local_headers(Path(folder) / "state")
            first, silent = asyncio.run(measure_delays(url, headers, options.turns))
        finally:
            process.terminate()
            process.wait(60)
    shares = measure_recognition(options.commands)
    for name, goal, values in (
        ("end of speech to first sound, WebSocket", (350, 600), first),
        ("interruption to silence at the person", (None, 450), silent),
    ):
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        print(f"{name}: {len(values)} turns, p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        if goal[0]:
            add_figure(f"{name}, p50", p50, "ms", goal=f"<= {goal[0]}")
        add_figure(f"{name}, p95", p95, "ms", goal=f"<= {goal[1]}")
    for name, goal_text, key in (
        ("commands right, clean", ">= 98", "clean"),
        ("commands right, noise at 20 dB", ">= 98", "noisy"),
        ("everyday sentences that became commands", "<= 1", "everyday"),
    ):
        print(f"{name}: {shares[key]:.1f} %")
        add_figure(name, shares[key], "%", goal=goal_text)
    print(f"recognition: {shares['processor']:.3f} s of processor time for a second of sound")
    print(f"load {os.getloadavg()[0]:.1f}")
    write_figures("voice", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
