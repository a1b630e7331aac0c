"""Stands in for the package piper-tts 1.8 where that is not installed: the calls of its `PiperVoice` that
`avatar.speech.piper_child` makes. `test_piper_times.py` holds both to the same.

Letters are its phonemes: each lasts 10 hops of 256 samples, a stress mark, a space and a sign one.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

HOP = 256


@dataclass
class SynthesisConfig:
    speaker_id: int | None = None
    length_scale: float | None = None


@dataclass
class PhonemeAlignment:
    phoneme: str
    phoneme_ids: list[int]
    num_samples: int


@dataclass
class AudioChunk:
    phoneme_alignments: list[PhonemeAlignment] | None
    audio_int16_bytes: bytes


@dataclass
class PiperConfig:
    sample_rate: int
    length_scale: float


@dataclass
class PiperVoice:
    config: PiperConfig
    aligned: bool

    @staticmethod
    def load(model_path, config_path=None, include_alignments=False):
        if Path(model_path).read_bytes() == b"broken":
            raise ValueError("InvalidProtobuf: the model is broken")
        with Path(os.environ["PIPER_LOG"]).open("a") as log:
            log.write(json.dumps({"load": str(model_path), "alignments": include_alignments}) + "\n")
        print("a library prints on standard output")
        card = json.loads(Path(config_path).read_text())
        pace = card.get("inference", {}).get("length_scale", 1.0)
        return PiperVoice(PiperConfig(card["audio"]["sample_rate"], pace), card.get("aligned", True))

    def phonemize(self, text):
        found = []
        for sentence in re.findall(r"[^.!?]+[.!?]*", text):
            symbols = []
            for sign in sentence.strip().lower():
                symbols += ["ˈ", sign] if sign in "aeiou" else [sign]
            found.append(symbols)
        return found

    def synthesize(self, text, syn_config, include_alignments=False):
        if "crash" in text:
            os._exit(9)
        for symbols in self.phonemize(text):
            lengths = [
                (
                    symbol,
                    round(HOP * (10 if symbol.isalpha() and symbol != "ˈ" else 1) * syn_config.length_scale),
                )
                for symbol in ["^", *symbols, "$"]
            ]
            sound = b"".join(
                (b"\x00\x20\x00\xe0" * 8192)[: 2 * count] if symbol.isalpha() else bytes(2 * count)
                for symbol, count in lengths
            )
            alignments = [PhonemeAlignment(symbol, [0], count) for symbol, count in lengths]
            yield AudioChunk(alignments if self.aligned and include_alignments else None, sound)
