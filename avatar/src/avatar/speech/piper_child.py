"""Speaks by the package piper-tts: a separate program in Piper's own environment, run by `piper_process`.

    python -I piper_child.py VOICE.onnx VOICE.onnx.json IDLE_S

It loads the voice once, and ends when its input does or nothing came for IDLE_S seconds. JSON lines:

    <- {"ready": true}                       first, once
    -> {"words": [...], "speed": 1.0, "speaker": null, "wav": path}
    <- {"rate": 22050, "chunks": [[[symbol, samples], ...], ...] or null, "readings": [[symbol, ...], ...]}
    <- {"error": code}                       instead of all that

`chunks` are the sentences with all symbols of the voice, whose samples add up to the sound; null where the
voice cannot tell them. `readings` are the symbols of each word read by itself.
"""

from __future__ import annotations

import json
import os
import select
import sys
import wave
from typing import Any, NoReturn


def _fail(out: Any, code: str) -> NoReturn:
    _print(out, {"error": code})
    sys.exit(3)


def _print(out: Any, line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()


def _speak(voice: Any, synthesis_config: Any, request: dict[str, Any]) -> dict[str, Any]:
    words = request["words"]
    # The card may have a pace of its own.
    config = synthesis_config(
        speaker_id=request["speaker"], length_scale=voice.config.length_scale / request["speed"]
    )
    chunks: list[list[list[Any]]] | None = []
    with wave.open(request["wav"], "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(voice.config.sample_rate)
        for chunk in voice.synthesize(" ".join(words), config, include_alignments=True):
            wav.writeframes(chunk.audio_int16_bytes)
            if chunk.phoneme_alignments is None:
                chunks = None
            elif chunks is not None:
                chunks.append([[one.phoneme, int(one.num_samples)] for one in chunk.phoneme_alignments])
    readings = [[symbol for sentence in voice.phonemize(word) for symbol in sentence] for word in words]
    return {"rate": voice.config.sample_rate, "chunks": chunks, "readings": readings}


def main() -> None:
    model, card, idle_s = sys.argv[1:4]
    # Libraries may print: only this program's lines are answers.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        from piper import PiperVoice, SynthesisConfig
    except ImportError:
        _fail(out, "no_package")
    try:
        voice = PiperVoice.load(model, config_path=card, include_alignments=True)
    except TypeError:
        _fail(out, "no_alignments")
    _print(out, {"ready": True})
    while select.select([sys.stdin], [], [], float(idle_s))[0] and (line := sys.stdin.readline()):
        _print(out, _speak(voice, SynthesisConfig, json.loads(line)))


if __name__ == "__main__":
    main()
