"""Compares the built-in voices with espeak-ng: word errors and certainty of a recogniser, times of phones.

    scripts/bench voices [--json FILE] [--sentences N]

The recogniser is PocketSphinx with its own English model; its errors and the posterior probabilities of its
words say which voice is easier to understand for a machine, and nothing about beauty. Times are those of the
engine beside the worker's forced aligner. People judge by `scripts/bench voice_pairs`.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
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
LEAST_PROBABILITY = 1e-6
"""Of a recognised word: one impossible word shall not outweigh all others."""
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


@dataclass(slots=True)
class Measures:
    """Sums up what one voice comes to; times are in ms."""

    word_errors: int = 0
    words: int = 0
    sound_ms: int = 0
    work_s: float = 0.0
    log_probabilities: list[float] = field(default_factory=list)
    phone_starts: list[int] = field(default_factory=list)
    word_starts: list[int] = field(default_factory=list)

    @property
    def error_rate(self) -> float:
        return self.word_errors / self.words

    @property
    def log_probability(self) -> float:
        return statistics.mean(self.log_probabilities)


def recognise(decoder: Decoder, sound: bytes) -> tuple[list[str], list[float]]:
    """Returns the words that were recognised, and the logarithms of their posterior probabilities."""
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    found = [one.prob for one in decoder.seg() or () if one.word[:1] not in "<["]
    logs = [math.log(max(probability, LEAST_PROBABILITY)) for probability in found]
    return words_of(hypothesis.hypstr if hypothesis else ""), logs


def word_starts_apart(track: SpeechTrack, aligned: SpeechTrack) -> list[int]:
    """Returns how far the starts of words lie apart that both have."""
    return [
        abs(ours.start_ms - theirs.start_ms) for ours, theirs in zip(track.words, aligned.words, strict=True)
    ]


def phone_starts_apart(track: SpeechTrack, aligned: SpeechTrack) -> list[int]:
    """Returns how far the starts of phones lie apart, of those that both name alike in the same order."""
    ours, theirs = ([one for one in each.phones if one.ipa] for each in (track, aligned))
    names = ([one.ipa for one in each] for each in (ours, theirs))
    matcher = SequenceMatcher(None, *names, autojunk=False)
    return [
        abs(ours[first + step].start_ms - theirs[second + step].start_ms)
        for first, second, length in matcher.get_matching_blocks()
        for step in range(length)
    ]


def measure(voice: Voice, sentences: Sequence[str], decoder: Decoder) -> Measures:
    measures = Measures()
    for number, sentence in enumerate(sentences):
        with tempfile.TemporaryDirectory() as folder:
            scene = Scene(id="s", script=sentence, voice=voice)
            started = processor_s()
            track = speak(scene, Path(folder) / "voice", lambda ref: Path(ref.path or ""))
            measures.work_s += processor_s() - started
            measures.sound_ms += track.duration_ms
            recognised, logs = recognise(decoder, samples_of(track.wav))
            measures.word_errors += errors(words_of(sentence), recognised)
            measures.words += len(words_of(sentence))
            measures.log_probabilities += logs
            if isinstance(voice, EspeakVoice) and number % 4:
                continue  # Its times stand beside ours; a few sentences tell them.
            sound = MediaRef(path=str(track.wav))
            recorded = scene.model_copy(update={"audio": sound, "lead_in_ms": 0})
            aligned = speak(recorded, Path(folder) / "aligned", lambda ref: Path(ref.path or ""))
            if aligned.phone_source == "aligned":
                measures.phone_starts += phone_starts_apart(track, aligned)
                measures.word_starts += word_starts_apart(track, aligned)
    return measures


def middle_and_most(values: Sequence[int]) -> tuple[float, float]:
    """Returns the median and the 90th percentile."""
    return statistics.median(values), statistics.quantiles(values, n=10)[8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, metavar="N", help="only the first N")
    add_json_option(parser)
    arguments = parser.parse_args()
    sentences = SENTENCES.read_text().splitlines()[: arguments.sentences]
    decoder = Decoder(loglevel="FATAL", samprate=RATE_HZ)
    columns = ("word errors", "log prob.", "words/min", "CPU/s", "phones p50", "p90", "words p50", "p90 ms")
    widths = (11, 9, 9, 6, 10, 5, 9, 6)
    print(f"{'voice':14}", *(f"{one:>{width}}" for one, width in zip(columns, widths, strict=True)))
    found: dict[str, Measures] = {}
    for name, voice in VOICES.items():
        one = found[name] = measure(voice, sentences, decoder)
        phones, words = middle_and_most(one.phone_starts), middle_and_most(one.word_starts)
        pace, cost = one.words / (one.sound_ms / 60_000), 1000 * one.work_s / one.sound_ms
        print(
            f"{name:14} {100 * one.error_rate:10.1f}% {one.log_probability:9.3f} {pace:9.0f} {cost:6.3f}"
            f" {phones[0]:10.0f} {phones[1]:5.0f} {words[0]:9.0f} {words[1]:6.0f}"
        )
    ours = [one for name, one in found.items() if "espeak" not in name]
    theirs = [one for name, one in found.items() if "espeak" in name]
    rates = [statistics.mean(one.error_rate for one in each) for each in (ours, theirs)]
    # Beside the better of both: nobody shall win by the worst voice of the other.
    gain = min(one.log_probability for one in ours) - max(one.log_probability for one in theirs)
    phones = [middle_and_most(one.phone_starts) for one in ours]
    print(f"word errors, ours to espeak-ng: {rates[0] / rates[1]:.2f}; log-probability: {gain:+.3f}")
    add_figure(
        "word errors of the built-in voices; espeak-ng",
        100 * rates[0],
        "%",
        goal=f"< {100 * rates[1]:.1f}",
        ratio=rates[0] / rates[1],
    )
    add_figure("log-probability of words, our worst over espeak-ng's best", gain, "", goal="> 0.10")
    add_figure("starts of phones beside the aligner's, p50", max(one[0] for one in phones), "ms", goal="< 20")
    add_figure("starts of phones beside the aligner's, p90", max(one[1] for one in phones), "ms", goal="< 50")
    write_figures("avatar", arguments.json)


if __name__ == "__main__":
    main()
