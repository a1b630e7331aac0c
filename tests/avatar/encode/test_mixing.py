"""The sound of a video overlay lies under the voice: from when it is seen until then, as loud as asked."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from avatar.encode.mixing import MIX_RATE_HZ, Underlay, has_sound, mix

Sound = npt.NDArray[np.float64]
TONE_HZ = 1000
VOICE_HZ = 200


def tone(hz: float, seconds: float, rate_hz: int, level: float) -> npt.NDArray[np.int16]:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return (np.sin(2 * np.pi * hz * at) * level * 32767).astype(np.int16)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """Three seconds at 24 kHz, as a voice service gives them."""
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 24_000, 0, "NONE", ""))
        wav.writeframes(tone(VOICE_HZ, 3.0, 24_000, 0.25).tobytes())
    return path


def clip(path: Path, sound: npt.NDArray[np.int16], *, late_s: float = 0.0, seconds: float = 1.0) -> Path:
    """A little video; its sound (44.1 kHz, uncompressed) begins `late_s` after its pictures."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width = pictures.height = 64
        audio = container.add_stream("pcm_s16le", rate=44_100, layout="mono") if len(sound) else None
        for index in range(round(25 * seconds)):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        if audio is not None:
            for begin in range(0, len(sound), 4410):
                frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + 4410], "s16", "mono")
                frame.sample_rate, frame.time_base = 44_100, Fraction(1, 44_100)
                frame.pts = begin + round(late_s * 44_100)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def samples(path: Path) -> Sound:
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, MIX_RATE_HZ)
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2") / 32768


def level(sound: Sound, hz: float, begin_ms: int, end_ms: int) -> float:
    """Amplitude of one frequency in a span, full scale = 1."""
    part = sound[begin_ms * MIX_RATE_HZ // 1000 : end_ms * MIX_RATE_HZ // 1000]
    turn = np.exp(-2j * np.pi * hz * np.arange(len(part)) / MIX_RATE_HZ)
    return float(2 * abs(np.mean(part * turn)))


def mix_down(voice: Path, *underlays: Underlay) -> Sound:
    target = voice.with_name("mixed.wav")
    assert mix(voice, underlays, target) == []
    found = samples(target)
    assert len(found) == 3 * MIX_RATE_HZ
    return found


def test_it_is_heard_while_it_is_seen_and_as_loud_as_asked(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 2.0, 44_100, 0.5), seconds=2.0)
    sound = mix_down(voice, Underlay(file, 1000, 2000, gain_db=-12.0))
    assert level(sound, TONE_HZ, 1100, 1900) == pytest.approx(0.5 * 10 ** (-12 / 20), rel=0.02)
    assert level(sound, TONE_HZ, 0, 980) < 0.001 and level(sound, TONE_HZ, 2020, 3000) < 0.001
    for begin in (0, 1100, 2100):
        assert level(sound, VOICE_HZ, begin, begin + 800) == pytest.approx(0.25, rel=0.02)


def test_it_ends_with_the_file_when_that_is_shorter(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 1.0, 44_100, 0.5))
    sound = mix_down(voice, Underlay(file, 500, 3000, gain_db=0.0))
    assert level(sound, TONE_HZ, 600, 1400) > 0.48
    assert level(sound, TONE_HZ, 1550, 3000) < 0.001


def test_it_fades_with_the_picture(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 2.0, 44_100, 0.5), seconds=2.0)
    sound = mix_down(voice, Underlay(file, 0, 2000, gain_db=0.0, fade_ms=1000))
    levels = [level(sound, TONE_HZ, at, at + 100) for at in range(0, 2000, 200)]
    assert levels[:5] == sorted(levels[:5]) and levels[5:] == sorted(levels[5:], reverse=True)
    assert levels[0] < 0.05 and max(levels) > 0.4


def test_sound_that_begins_after_the_pictures_keeps_its_place(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 1.0, 44_100, 0.5), late_s=0.5, seconds=2.0)
    sound = mix_down(voice, Underlay(file, 1000, 3000, gain_db=0.0))
    assert level(sound, TONE_HZ, 1000, 1480) < 0.001
    assert level(sound, TONE_HZ, 1550, 2450) > 0.48


def test_loud_sounds_together_do_not_clip(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 2.0, 44_100, 0.9), seconds=2.0)
    sound = mix_down(voice, *[Underlay(file, 0, 2000, gain_db=6.0)] * 2)
    assert np.abs(sound).max() <= 1.0
    assert (np.abs(sound) > 0.9999).mean() < 0.01


def test_a_video_without_sound_is_known_as_such(tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mov", np.zeros(0, np.int16))
    assert not has_sound(silent)
    assert has_sound(clip(tmp_path / "c.mov", tone(TONE_HZ, 1.0, 44_100, 0.5)))


def test_samples_that_are_no_numbers_do_not_silence_the_voice(voice: Path, tmp_path: Path) -> None:
    file = clip(tmp_path / "c.mov", tone(TONE_HZ, 1.0, 44_100, 0.5))
    broken = tmp_path / "broken.mkv"
    with av.open(str(file)) as source, av.open(str(broken), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        audio = container.add_stream("pcm_f32le", rate=44_100, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.full((1, 44_100), np.nan, np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        container.mux([*audio.encode(frame), *audio.encode(None)])
    sound = mix_down(voice, Underlay(broken, 0, 1000, gain_db=0.0))
    assert level(sound, VOICE_HZ, 200, 900) == pytest.approx(0.25, rel=0.05)
