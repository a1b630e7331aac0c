"""Recordings that no recorder should make, and some that they do: each is spoken or refused with a code."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.probe import probe_file
from avatar.spec import MediaRef
from recordings import Speaker

PCM, FLOAT = 1, 3


def write_riff(
    path: Path,
    *,
    channels: int = 1,
    rate_hz: int = 16_000,
    samples: npt.NDArray[np.generic] | None = None,
    tag: int = PCM,
    bits: int | None = None,
) -> Path:
    """A WAV whose header says what it is told to; a tone that comes and goes, unless there are `samples`."""
    if samples is None:
        at = np.arange(16_000) / 16_000
        samples = (12_000 * np.sin(2 * np.pi * 220 * at) * (np.sin(2 * np.pi * 3 * at) > 0)).astype("<i2")
    data = np.repeat(samples[:, None], max(channels, 1), axis=1).tobytes()
    size = samples.itemsize
    form = struct.pack(
        "<HHIIHH",
        tag,
        channels,
        rate_hz,
        rate_hz * channels * size & 0xFFFFFFFF,
        channels * size & 0xFFFF,
        bits or 8 * size,
    )
    path.write_bytes(
        struct.pack("<4sI8sI", b"RIFF", 36 + len(data), b"WAVEfmt ", len(form))
        + form
        + struct.pack("<4sI", b"data", len(data))
        + data
    )
    return path


def code_of(say: Speaker, path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        say(None, audio=MediaRef(path=str(path)))
    assert caught.value.hint
    return caught.value.code


@pytest.mark.parametrize("channels", [9, 32, 48, 64, 65, 255])
def test_tracks_without_a_layout_are_refused_with_their_number(
    say: Speaker, tmp_path: Path, channels: int
) -> None:
    path = write_riff(tmp_path / "studio.wav", channels=channels)
    with pytest.raises(InvalidInput, match=f"studio.wav has {channels} channels at 16000 Hz") as caught:
        say(None, audio=MediaRef(path=str(path)))
    assert caught.value.code == "audio.unmixable" and "mono" in caught.value.hint


@pytest.mark.parametrize("channels", [3, 6, 8, 16, 24])
def test_usual_layouts_are_mixed(say: Speaker, tmp_path: Path, channels: int) -> None:
    track = say(None, audio=MediaRef(path=str(write_riff(tmp_path / "a.wav", channels=channels))))
    assert track.duration_ms == 1800


@pytest.mark.parametrize("rate_hz", [4_000, 7_999, 12_345, 37_800, 96_000, 384_000])
def test_odd_rates_are_read_at_their_true_speed(say: Speaker, tmp_path: Path, rate_hz: int) -> None:
    path = write_riff(tmp_path / "a.wav", rate_hz=rate_hz)
    track = say(None, audio=MediaRef(path=str(path)), lead_in_ms=0, tail_ms=0)
    assert abs(track.duration_ms - 16_000_000 / rate_hz) < 60


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"channels": 0}, "speech.audio_unreadable"),
        ({"channels": 1000}, "speech.audio_unreadable"),
        ({"rate_hz": 0}, "speech.audio_unreadable"),
        ({"rate_hz": 2**31 - 1}, "audio.unmixable"),
        ({"rate_hz": 2**32 - 1}, "speech.audio_unreadable"),
        ({"bits": 33}, "speech.audio_unreadable"),
        ({"bits": 255}, "speech.audio_unreadable"),
        ({"tag": 0x1234}, "speech.audio_unreadable"),
        ({"samples": np.zeros(0, "<i2")}, "speech.audio_too_short"),
    ],
    ids=str,
)
def test_headers_that_lie_are_refused(say: Speaker, tmp_path: Path, header: dict, code: str) -> None:
    assert code_of(say, write_riff(tmp_path / "a.wav", **header)) == code


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_silence_with_a_warning(
    say: Speaker, tmp_path: Path, value: float
) -> None:
    path = write_riff(tmp_path / "a.wav", samples=np.full(16_000, value, "<f4"), tag=FLOAT)
    assert "speech.audio_damaged" in {note.code for note in say(None, audio=MediaRef(path=str(path))).notes}


def test_a_stream_without_a_decoder_is_no_defect_of_other_verbs(tmp_path: Path) -> None:
    path = write_riff(tmp_path / "a.wav", tag=0x1234)
    with pytest.raises(InvalidInput) as caught:
        probe_file(path, Context(cache=tmp_path))
    assert caught.value.code == "media.unreadable"
