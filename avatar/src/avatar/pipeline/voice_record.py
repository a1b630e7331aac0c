"""Names the voice of a scene for its provenance record; pipeline.segment and the doctor call it."""

from __future__ import annotations

import re
import shutil
import subprocess

from avatar.encode.provenance import EngineRecord
from avatar.spec import EspeakVoice, OpenAIVoice, PiperVoice, Scene


def voice_record(scene: Scene) -> EngineRecord:
    """Records the voice: a supplied sound, the installed espeak-ng, or a service with its model."""
    if scene.audio is not None:
        return EngineRecord(
            role="speech", name="supplied audio", version="as supplied", licence="as supplied"
        )
    voice = scene.voice
    if isinstance(voice, EspeakVoice):
        version = espeak_version() or "unknown"
        return EngineRecord(role="speech", name="espeak-ng", version=version, licence="GPL-3.0-or-later")
    if isinstance(voice, PiperVoice):
        return EngineRecord(role="speech", name="Piper", version=voice.voice, licence="of the voice file")
    model = voice.model if isinstance(voice, OpenAIVoice) else voice.voice_id
    return EngineRecord(role="speech", name=f"{voice.kind} service", version=model, licence="of the service")


def espeak_version() -> str | None:
    """`1.51`; None where espeak-ng is not installed or does not answer."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+(\.\d+)+", version.stdout)
    return found[0] if found else None
