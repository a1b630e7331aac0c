"""Speech for tests of hearing: a synthetic voice says a sentence, as 16-bit PCM at 16 kHz; and noise."""

from __future__ import annotations

import io
import json
import random
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
QUIET = 100


@cache
def speech(text: str, voice: str = "slt") -> bytes:
    """Returns a sentence without silence around it, by flite or, for voices like "en-us", by espeak-ng."""
    if voice.startswith("en"):
        return _loud(_espeak(text, voice))
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
    return _loud(samples)


def _espeak(text: str, voice: str) -> array[int]:
    import numpy as np
    import soxr

    ran = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True)
    with wave.open(io.BytesIO(ran.stdout)) as file:
        samples = np.frombuffer(ran.stdout[44:], dtype="<i2")
        resampled = soxr.resample(samples, file.getframerate(), RATE_HZ)
    loud = np.flatnonzero(np.abs(resampled) > QUIET)
    return array("h", resampled[loud[0] : loud[-1] + 1].astype("<i2").tobytes())


def _loud(samples: array[int]) -> bytes:
    loudest = max(map(abs, samples))
    return array("h", [sample * LOUDEST // loudest for sample in samples]).tobytes()


def with_noise(sound: bytes, snr_db: float, kind: str, chance: random.Random) -> bytes:
    """Returns a sound with white or pink noise, `snr_db` softer than its parts that are not silent."""
    import numpy as np

    samples = np.frombuffer(sound, dtype="<i2").astype(float)
    noise = np.random.default_rng(chance.getrandbits(32)).standard_normal(samples.size)
    if kind == "pink":
        bins = np.fft.rfft(noise)
        noise = np.fft.irfft(bins / np.sqrt(np.maximum(1, np.arange(bins.size))), samples.size)
    level = np.sqrt(np.mean(samples[samples != 0] ** 2)) * 10 ** (-snr_db / 20)
    noisy = samples + noise * level / noise.std()
    result: bytes = np.clip(noisy, -32768, 32767).astype("<i2").tobytes()
    return result


def silence(seconds: float) -> bytes:
    """Returns digital silence."""
    return bytes(2 * round(seconds * RATE_HZ))
