"""Speech for tests of hearing: a synthetic voice says a sentence, as 16-bit PCM at 16 kHz."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from array import array
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

RATE_HZ = 16_000
LOUDEST = 12_000


@cache
def speech(text: str, voice: str = "slt") -> bytes:
    """Returns the sound of a sentence by flite, without silence around it."""
    spec = find_spec("avatar")
    assert spec is not None and spec.origin is not None
    child = Path(spec.origin).with_name("speech") / "flite_child.py"
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        sentence = {
            "text": text,
            "at": 0,
            "marks": [[0, 1.0]],
            "pause_ms": 0,
            "stretch": 1.0,
            "f0_shift": 1.0,
        }
        request = {
            "voice": voice,
            "rate": RATE_HZ,
            "wav": str(wav),
            "pronunciations": [],
            "pieces": [{"sentences": [sentence]}],
        }
        ran = subprocess.run(
            [sys.executable, "-I", "-S", str(child)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        if b'"missing"' in ran.stdout:
            pytest.skip("needs flite: apt-get install libflite1, then make test")
        assert ran.returncode == 0, ran.stderr
        with wave.open(str(wav)) as file:
            samples = array("h", file.readframes(file.getnframes()))
    loudest = max(map(abs, samples))
    return array("h", [sample * LOUDEST // loudest for sample in samples]).tobytes()


def silence(seconds: float) -> bytes:
    """Returns digital silence."""
    return bytes(2 * round(seconds * RATE_HZ))
