"""Length never shows: time grows evenly, memory with the curves alone."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from avatar.timing import control_track
from avatar.tracks import CHANNELS, SpeechTrack

LongSpeech = Callable[[float], SpeechTrack]


def peak_mib(speech: SpeechTrack) -> float:
    tracemalloc.start()
    try:
        track = control_track(speech, 25, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert track.frames == speech.duration_ms * 25 // 1000
    return peak / 2**20


def test_five_minutes_take_little_more_memory_than_one(long_speech: LongSpeech) -> None:
    one, five = peak_mib(long_speech(1)), peak_mib(long_speech(5))
    assert five - one < 5


@pytest.mark.slow
def test_thirty_minutes_take_less_than_fifteen_mebibytes_more_than_one(long_speech: LongSpeech) -> None:
    one, thirty = long_speech(1), long_speech(30)
    growth = peak_mib(thirty) - peak_mib(one)
    curves = thirty.duration_ms * 25 / 1000 * len(CHANNELS) * 4 / 2**20
    assert growth < 15
    assert growth < 6 * curves
    begun = time.process_time()
    control_track(thirty, 25, 1)
    assert time.process_time() - begun < 5
