"""Makes a statistical voice clearer and moves its pitch; used by flite.

Such voices are muffled (nothing above 8 kHz, a steep fall from 4 kHz on), boom below 150 Hz and are level
from word to word. A filter graph of FFmpeg evens that out: see `CHAIN`.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np

from avatar.speech.markup import SpeechTask
from avatar.speech.sound import Samples, WavWriter, blocks

OUTPUT_HZ = 32_000
EMPHASIS_DB = 3.5
RAMP_MS = 20
CHAIN = (
    ("highpass", "f=70"),
    ("equalizer", "f=190:t=q:w=0.8:g=-2"),
    ("equalizer", "f=2600:t=q:w=0.9:g=2"),
    ("aexciter", "amount=1.2:drive=8.5:blend=0:freq=4000:ceil=14000"),
    ("acompressor", "threshold=0.12:ratio=2:attack=8:release=120:makeup=1.4"),
    ("alimiter", "limit=0.95:level=0:latency=1"),
)
"""Low cut; less boom; presence; harmonics above 4 kHz, which the vocoder lacks; light compression."""


def polish(raw: Path, task: SpeechTask, scale: float, loud: Sequence[tuple[int, int]]) -> int:
    """Writes `raw` to the WAV at 32 kHz, played faster by `scale`, between silences; returns its samples.

    `loud`: spans in samples of `raw` that are raised by 3.5 dB.
    """
    with wave.open(str(raw), "rb") as source:
        rate, count = source.getframerate(), source.getnframes()
    expected = round(count * OUTPUT_HZ / (rate * scale))
    with WavWriter(task.wav, OUTPUT_HZ) as writer:
        writer.silence(task.lead_in_ms)
        left = expected
        for samples in _filtered(_raised(raw, loud, RAMP_MS * rate // 1000), rate, scale):
            writer.write(samples[:left])
            left -= len(samples[:left])
        writer.write(np.zeros(left, np.int16))
        writer.silence(task.tail_ms)
    with wave.open(str(task.wav), "rb") as result:
        return result.getnframes()


def _raised(raw: Path, loud: Sequence[tuple[int, int]], ramp: int) -> Iterator[Samples]:
    at = 0
    for block in blocks(raw):
        places = np.arange(at, at + len(block))
        gain_db = np.zeros(len(block))
        for first, last in loud:
            if last > at and first < at + len(block):
                rising = np.clip(np.minimum(places - first, last - places) / ramp, 0, 1)
                gain_db = np.maximum(gain_db, EMPHASIS_DB * rising)
        at += len(block)
        gained = block * 10 ** (gain_db / 20)
        yield np.clip(gained, -32768, 32767).astype(np.int16)


def _filtered(sound: Iterator[Samples], rate: int, scale: float) -> Iterator[Samples]:
    graph = av.filter.Graph()
    # Threads of a graph would be there when the renderer forks.
    graph.threads = 1
    source = graph.add_abuffer(format="s16", sample_rate=rate, layout="mono", time_base=Fraction(1, rate))
    steps = [source]
    for name, options in (
        ("asetrate", f"r={round(rate * scale)}"),
        ("aresample", f"{OUTPUT_HZ}"),
        ("aformat", "sample_fmts=fltp"),
        *CHAIN,
        ("aformat", f"sample_fmts=s16:sample_rates={OUTPUT_HZ}:channel_layouts=mono"),
        ("abuffersink", None),
    ):
        step = graph.add(name, options)
        steps[-1].link_to(step)
        steps.append(step)
    graph.configure()

    def pull() -> Iterator[Samples]:
        while True:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)

    at = 0
    for block in sound:
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, at
        at += len(block)
        graph.push(frame)
        yield from pull()
    graph.push(None)
    yield from pull()
