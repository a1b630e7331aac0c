"""Compares the built-in voices with espeak-ng: word errors of a recogniser, and times of phones.

    scripts/bench voices [--json FILE]

The recogniser is PocketSphinx with its own English model; its errors say which voice is easier to understand
for a machine, and nothing about beauty. Times are those of the engine beside the worker's forced aligner.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import av
import numpy as np
from avatar.spec import EspeakVoice, FliteVoice, MediaRef, Scene, Voice
from avatar.speech import speak
from avatar.tracks import SpeechTrack
from pocketsphinx import Decoder

from bench.results import add_figure, add_json_option, write_figures

SENTENCES = Path(__file__).with_name("voice_sentences.txt")
RATE_HZ = 16_000
VOICES: dict[str, Voice] = {
    "espeak-ng f2": EspeakVoice(),
    "espeak-ng m3": EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=42),
    "nova (slt)": FliteVoice(pace=0.94, pitch=-0.8),
    "vera (slt)": FliteVoice(pitch=-2.2),
    "milo (rms)": FliteVoice(voice="rms"),
}


def processor_s() -> float:
    """Returns the processor time of this process and of the programs that it has waited for."""
    return sum(os.times()[:4])


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def errors(expected: Sequence[str], recognised: Sequence[str]) -> int:
    """Returns the least number of words inserted, left out and exchanged (Levenshtein)."""
    row = list(range(len(recognised) + 1))
    for place, word in enumerate(expected, 1):
        before, row = row, [place]
        for at, other in enumerate(recognised, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (word != other)))
    return row[-1]


def samples_of(wav: Path) -> bytes:
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    with av.open(str(wav)) as container:
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).tobytes()


def apart_ms(track: SpeechTrack, aligned: SpeechTrack) -> list[int]:
    """Returns how far the starts of words lie apart that both have."""
    return [
        abs(ours.start_ms - theirs.start_ms) for ours, theirs in zip(track.words, aligned.words, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    arguments = parser.parse_args()
    sentences = SENTENCES.read_text().splitlines()
    decoder = Decoder(loglevel="FATAL", samprate=RATE_HZ)
    rates: dict[str, float] = {}
    apart: list[float] = []
    columns = ("word errors", "words/min", "CPU/s of sound", "p50 ms", "p90 ms")
    print(
        f"{'voice':14}", *(f"{one:>{width}}" for one, width in zip(columns, (11, 9, 14, 7, 7), strict=True))
    )
    for name, voice in VOICES.items():
        wrong = count = sound_ms = 0
        distances: list[int] = []
        work_s = 0.0
        for number, sentence in enumerate(sentences):
            with tempfile.TemporaryDirectory() as folder:
                scene = Scene(id="s", script=sentence, voice=voice)
                started = processor_s()
                track = speak(scene, Path(folder) / "voice", lambda ref: Path(ref.path or ""))
                work_s += processor_s() - started
                sound_ms += track.duration_ms
                decoder.start_utt()
                decoder.process_raw(samples_of(track.wav), full_utt=True)
                decoder.end_utt()
                hypothesis = decoder.hyp()
                wrong += errors(words_of(sentence), words_of(hypothesis.hypstr if hypothesis else ""))
                count += len(words_of(sentence))
                if isinstance(voice, FliteVoice) and number % 3 == 0:
                    sound = MediaRef(path=str(track.wav))
                    recorded = scene.model_copy(update={"audio": sound, "lead_in_ms": 0})
                    aligned = speak(recorded, Path(folder) / "aligned", lambda ref: Path(ref.path or ""))
                    distances += apart_ms(track, aligned)
        rates[name] = wrong / count
        middle, most = (
            (statistics.median(distances), statistics.quantiles(distances, n=10)[8]) if distances else (0, 0)
        )
        pace = count / (sound_ms / 60_000)
        cost = 1000 * work_s / sound_ms
        print(f"{name:14} {100 * rates[name]:10.1f}% {pace:9.0f} {cost:14.3f} {middle:7.0f} {most:7.0f}")
        apart.append(most)
    ours = statistics.mean(rates[name] for name in rates if "espeak" not in name)
    theirs = statistics.mean(rates[name] for name in rates if "espeak" in name)
    print(f"word errors, ours to espeak-ng: {ours / theirs:.2f}")
    add_figure("starts of words beside the aligner's, p90", max(apart), "ms", goal="< 50")
    add_figure(
        "word errors of the built-in voices; espeak-ng",
        100 * ours,
        "%",
        goal=f"< {100 * theirs:.1f}",
        ratio=ours / theirs,
    )
    write_figures("avatar", arguments.json)


if __name__ == "__main__":
    main()
