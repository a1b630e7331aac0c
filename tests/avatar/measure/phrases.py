"""A short made-up phrase with its own curves: measuring is tested without a voice or a timing stage."""

from __future__ import annotations

import numpy as np
from avatar.tracks import CHANNELS, ControlTrack, Curve, Phone

# (IPA, milliseconds, opening 0..1, wide -1..1)
_SYLLABLES = (
    ("", 400, 0.0, 0.0),
    ("b", 90, 0.0, 0.0), ("ɑː", 190, 1.0, 0.0), ("m", 100, 0.0, 0.0), ("iː", 160, 0.3, 0.8),
    ("t", 80, 0.15, 0.3), ("uː", 180, 0.3, -0.95), ("p", 90, 0.0, -0.3), ("a", 180, 0.9, 0.2),
    ("", 600, 0.0, 0.0),
    ("m", 100, 0.0, 0.0), ("oʊ", 200, 0.65, -0.8), ("b", 90, 0.0, 0.0), ("ɛ", 160, 0.6, 0.4),
    ("p", 90, 0.0, 0.0), ("ɑː", 200, 0.95, 0.0), ("iː", 160, 0.3, 0.8), ("m", 120, 0.0, 0.0),
    ("", 500, 0.0, 0.0),
)  # fmt: skip


def phrase(fps: int = 25, yaw_deg: float = 0.0) -> tuple[ControlTrack, tuple[Phone, ...]]:
    """3.7 s with seven bilabials, three pauses, two blinks and brows; the head swings by `yaw_deg`."""
    phones, now = [], 0
    for ipa, length, _, _ in _SYLLABLES:
        phones.append(Phone(ipa, now, now + length))
        now += length
    times = np.arange(int(np.ceil(now * fps / 1000))) * 1000.0 / fps
    centres = [(phone.start_ms + phone.end_ms) / 2 for phone in phones]
    opening = np.interp(times, centres, [s[2] for s in _SYLLABLES])
    wide = np.interp(times, centres, [s[3] for s in _SYLLABLES])
    for phone in phones:
        if not phone.ipa:
            opening[(times > phone.start_ms + 60) & (times < phone.end_ms - 60)] = 0.0
        if phone.ipa[:1] in ("p", "b", "m"):
            opening[np.argmin(np.abs(times - (phone.start_ms + phone.end_ms) / 2))] = 0.0
    curves: dict[str, Curve] = {name: np.zeros(len(times), np.float32) for name in CHANNELS}
    curves["jaw"] = (0.85 * opening).astype(np.float32)
    curves["low"] = (0.45 * opening).astype(np.float32)
    curves["raise"] = (0.3 * opening).astype(np.float32)
    curves["wide"] = wide.astype(np.float32)
    curves["blink"] = sum(np.exp(-(((times - at) / 70) ** 2)) for at in (900, 2300)).astype(np.float32)
    curves["brow"] = (0.5 * np.exp(-(((times - 1900) / 200) ** 2))).astype(np.float32)
    curves["yaw_deg"] = (yaw_deg * np.sin(2 * np.pi * times / now)).astype(np.float32)
    curves["breath"] = (0.5 + 0.5 * np.sin(2 * np.pi * 0.27 * times / 1000)).astype(np.float32)
    curves["energy"] = np.clip(opening, 0, 1).astype(np.float32)
    return ControlTrack(fps, curves), tuple(phones)
