"""Reads the file beside a Piper voice: the `.onnx.json` that says how it sounds; store and voice read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class VoiceCard:
    sample_rate_hz: int
    language: str
    speakers: int


def card_of(voice: Path) -> Path:
    return voice.with_name(f"{voice.name}.json")


def read_voice_card(path: Path) -> VoiceCard:
    """Raises InvalidInput `weights.no_voice_card`."""
    try:
        card = json.loads(path.read_bytes())
        rate, phonemes = int(card["audio"]["sample_rate"]), card["phoneme_id_map"]
        if not 4000 <= rate <= 192_000 or not phonemes:
            raise ValueError("the rate of its sound or its list of phonemes cannot be meant")
        language = str(card.get("language", {}).get("code") or card.get("espeak", {}).get("voice") or "")
        return VoiceCard(rate, language, int(card.get("num_speakers", 1)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            "weights.no_voice_card",
            f"{path.name}, which says how the voice sounds, is missing or is not a Piper voice's: {error}.",
            "Fetch it from the page of the voice and put it beside the .onnx.",
        ) from error
