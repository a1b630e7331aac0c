"""Recognises free speech in a process of its own: `python -m agent.transcription.child ENGINE [MODEL]`.

A recogniser holds the interpreter, and its model should be loaded once. Requests come on standard input: a
line of JSON with the number of `bytes` and the `language`, then the sound (16-bit PCM, mono, 16 kHz). Answers
are lines of JSON: `ready` once, then `partial` and at last `text`, `language` and `words` of each request.
It ends with its standard input. Started by `local`; standard library alone until an engine is loaded.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

SAMPLE_HZ = 16_000
PIECE = SAMPLE_HZ
"""Bytes that the embedded engine decodes between two partial results: half a second."""
LONGEST_UTTERANCE = 30 * 2 * SAMPLE_HZ
"""A decoder's memory grows with the utterance; longer sounds are cut where they are quiet."""
QUIET_BYTES = SAMPLE_HZ // 5
"""Sound in which the quietest place is looked for: 100 ms."""
FRAME_MS = 10
_VARIANT = re.compile(r"\(\d+\)$")
Tell = Callable[..., None]
Engine = Callable[[bytes, str, Tell], dict[str, Any]]


def main() -> int:
    engine, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Libraries print on standard output.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        recognise = whisper(model) if engine == "whisper" else pocketsphinx()
    except Exception as error:
        tell(error=f"{type(error).__name__}: {error}"[:400])
        return 1
    tell(ready=True)
    while line := requests.readline():
        request = json.loads(line)
        sound = requests.read(request["bytes"])
        try:
            tell(**recognise(sound, request["language"], tell))
        except Exception as error:
            tell(error=f"{type(error).__name__}: {error}"[:400])
    return 0


def pocketsphinx() -> Engine:
    """Loads pocketsphinx with its own model of English: 0.4 s; 0.4 s of processor time a second of sound."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=SAMPLE_HZ, loglevel="FATAL")

    def recognise(sound: bytes, _: str, tell: Tell) -> dict[str, Any]:
        words: list[dict[str, Any]] = []
        start = 0
        for piece in utterances(sound):
            decoder.start_utt()
            for at in range(0, len(piece), PIECE):
                decoder.process_raw(piece[at : at + PIECE], False, False)
                if (found := decoder.hyp()) is not None and found.hypstr:
                    tell(partial=" ".join([*(word["text"] for word in words), found.hypstr]))
            decoder.end_utt()
            start_ms = start * 1000 // (2 * SAMPLE_HZ)
            words += [
                {
                    "text": _VARIANT.sub("", one.word),
                    "start_ms": start_ms + one.start_frame * FRAME_MS,
                    "end_ms": start_ms + (one.end_frame + 1) * FRAME_MS,
                    "confidence": min(1.0, max(0.0, one.prob)),
                }
                for one in (decoder.seg() or () if decoder.hyp() is not None else ())
                if not one.word.startswith(("<", "[", "("))
            ]
            start += len(piece)
        return {"text": " ".join(word["text"] for word in words), "language": "en", "words": words}

    return recognise


def utterances(sound: bytes) -> list[bytes]:
    """Returns a sound in parts of at most 30 s, cut at the quietest place of their second half."""
    from array import array

    parts = []
    while len(sound) > LONGEST_UTTERANCE:
        samples = array("h", sound[LONGEST_UTTERANCE // 2 : LONGEST_UTTERANCE])
        step = QUIET_BYTES // 2
        loudness = [
            sum(abs(one) for one in samples[at : at + step : 8])
            for at in range(0, len(samples) - step + 1, step)
        ]
        cut = LONGEST_UTTERANCE // 2 + loudness.index(min(loudness)) * QUIET_BYTES + QUIET_BYTES // 2
        cut -= cut % 2
        parts.append(sound[:cut])
        sound = sound[cut:]
    return [*parts, sound]


def whisper(folder: str) -> Engine:
    """Loads a Whisper model of CTranslate2 by faster-whisper; it fetches nothing."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import numpy as np
    from faster_whisper import WhisperModel  # type: ignore[import-not-found]

    model = WhisperModel(folder, device="auto", compute_type="default", local_files_only=True)

    def recognise(sound: bytes, language: str, tell: Tell) -> dict[str, Any]:
        samples = np.frombuffer(sound, dtype="<i2").astype(np.float32) / 32768
        segments, info = model.transcribe(
            samples, language=language or None, beam_size=1, word_timestamps=True, vad_filter=False
        )
        words: list[dict[str, Any]] = []
        texts: list[str] = []
        for segment in segments:
            texts.append(segment.text.strip())
            words += [
                {
                    "text": word.word.strip(),
                    "start_ms": round(word.start * 1000),
                    "end_ms": round(word.end * 1000),
                    "confidence": float(word.probability),
                }
                for word in segment.words or ()
            ]
            tell(partial=" ".join(texts))
        return {"text": " ".join(texts), "language": info.language, "words": words}

    return recognise


if __name__ == "__main__":
    sys.exit(main())
