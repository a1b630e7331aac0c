"""The mouth's curves: lips that must touch do, silence shuts, nothing snaps or wobbles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from avatar.errors import InvalidInput
from avatar.spec import MediaRef, Scene
from avatar.speech import speak
from avatar.speech.sound import power
from avatar.speech.timed import energy_phones, with_pauses
from avatar.timing import control_track
from avatar.timing.coarticulation import limit_speed
from avatar.timing.style import CALM, MotionStyle
from avatar.tracks import CHANNELS, ControlTrack, Phone, SpeechTrack

Toned = Callable[..., SpeechTrack]


def aperture(track: ControlTrack) -> npt.NDArray[np.float32]:
    return track.aperture_e()


def frames_of(phone: Phone, track: ControlTrack, style: MotionStyle | None = None) -> slice:
    """Frames whose moment lies in the phone; the mouth runs `lead_ms` ahead."""
    lead_ms = (style or MotionStyle()).lead_ms
    first = int(np.ceil((phone.start_ms - lead_ms) * track.fps / 1000 - 0.5))
    last = int(np.floor((phone.end_ms - lead_ms) * track.fps / 1000 - 0.5))
    return slice(max(0, first - 1), last + 2)


def sounding(speech: SpeechTrack, letters: str) -> Iterator[Phone]:
    return (phone for phone in speech.phones if phone.ipa and phone.ipa in letters.split())


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 50, 60])
def test_lips_touch_on_a_frame_of_every_p_b_and_m(speech: SpeechTrack, fps: int) -> None:
    track = control_track(speech, fps, 1)
    bilabials = list(sounding(speech, "p b m"))
    assert len(bilabials) >= 12
    for phone in bilabials:
        assert aperture(track)[frames_of(phone, track)].min() == 0, phone


def test_the_mouth_opens_between_closures(speech: SpeechTrack) -> None:
    track = control_track(speech, 25, 1)
    long = [phone for phone in speech.phones if phone.end_ms - phone.start_ms > 90]
    vowels = [phone for phone in long if phone.ipa and phone.ipa[0] in "aɑæɔ"]
    assert len(vowels) >= 5
    for phone in vowels:
        assert aperture(track)[frames_of(phone, track)].max() > 0.05, phone


@pytest.mark.parametrize("fps", [25, 50])
def test_the_lower_lip_tucks_under_the_teeth_for_every_f_and_v(speech: SpeechTrack, fps: int) -> None:
    track = control_track(speech, fps, 1)
    labiodentals = list(sounding(speech, "f v"))
    assert len(labiodentals) >= 5
    for phone in labiodentals:
        frames = frames_of(phone, track)
        assert track["tuck"][frames].max() > 0.95, phone
        assert aperture(track)[frames].min() < 0.06, phone


def test_silence_shuts_the_mouth(speech: SpeechTrack) -> None:
    track = control_track(speech, 25, 1)
    pauses = [phone for phone in speech.phones if not phone.ipa and phone.end_ms - phone.start_ms > 300]
    assert len(pauses) >= 3
    for phone in pauses:
        first, last = (phone.start_ms + 120) * 25 // 1000, (phone.end_ms - 140) * 25 // 1000
        assert aperture(track)[first:last].max() == 0, phone
        assert np.abs(track["tongue"][first:last]).max() == 0


def test_curves_have_the_promised_length_type_and_range(speech: SpeechTrack) -> None:
    for fps in (10, 25, 60):
        track = control_track(speech, fps, 7)
        assert track.frames == -(-speech.duration_ms * fps // 1000)
        assert set(track.curves) == set(CHANNELS)
        for name in CHANNELS:
            assert track[name].dtype == np.float32
            assert np.isfinite(track[name]).all()
        for name in ("jaw", "low", "raise", "tuck", "tongue", "blink", "breath", "energy"):
            assert track[name].min() >= 0, name
            assert track[name].max() <= 1, name
        for name in ("wide", "gaze_x", "gaze_y", "brow", "sway"):
            assert np.abs(track[name]).max() <= 1, name


def test_the_same_seed_gives_the_same_curves_and_another_seed_another_head(speech: SpeechTrack) -> None:
    one, again, other = (control_track(speech, 25, seed) for seed in (1, 1, 2))
    for name in CHANNELS:
        assert one[name].tobytes() == again[name].tobytes()
    assert np.array_equal(one["jaw"], other["jaw"])
    for name in ("blink", "gaze_x", "yaw_deg", "pitch_deg", "roll_deg", "sway"):
        assert not np.array_equal(one[name], other[name]), name


def test_shapes_follow_the_sound(speech_of_tones: Toned) -> None:
    speech = speech_of_tones(
        ("", 300),
        ("ɑː", 240),
        ("", 300),
        ("iː", 240),
        ("", 300),
        ("uː", 240),
        ("", 300),
        ("θ", 200),
        ("", 300),
    )
    track = control_track(speech, 25, 1)
    frames = {phone.ipa: frames_of(phone, track) for phone in speech.phones if phone.ipa}
    opening = {ipa: float(aperture(track)[span].max()) for ipa, span in frames.items()}
    wide = {ipa: float(track["wide"][span].max() + track["wide"][span].min()) for ipa, span in frames.items()}
    assert opening["ɑː"] > 0.15 > opening["iː"] > 0.03
    assert wide["iː"] > 0.4
    assert wide["uː"] < -0.5
    assert track["tongue"][frames["θ"]].max() > 0.6


def test_rounding_begins_before_the_rounded_sound(speech_of_tones: Toned) -> None:
    rounded = control_track(speech_of_tones(("", 200), ("s", 150), ("t", 100), ("uː", 200), ("", 200)), 50, 1)
    spread = control_track(speech_of_tones(("", 200), ("s", 150), ("t", 100), ("iː", 200), ("", 200)), 50, 1)
    during_s = slice(12, 17)
    assert rounded["wide"][during_s].mean() < spread["wide"][during_s].mean() - 0.1


def test_a_quiet_passage_opens_the_mouth_less(speech_of_tones: Toned) -> None:
    speech = speech_of_tones(("", 200), ("ɑː", 300), ("", 300), ("ɑː", 300), ("", 200))
    loud = speech.wav.read_bytes()
    samples = np.frombuffer(loud[44:], "<i2").copy()
    samples[len(samples) // 2 :] //= 6
    speech.wav.write_bytes(loud[:44] + samples.tobytes())
    opening = aperture(control_track(speech, 25, 1))
    half = len(opening) // 2
    assert opening[half:].max() < 0.9 * opening[:half].max()


def test_nothing_moves_faster_than_lips_do(speech: SpeechTrack) -> None:
    for fps in (25, 50):
        opening = aperture(control_track(speech, fps, 1))
        assert np.abs(np.diff(opening)).max() * fps < 3.0
    curve = np.array([0, 0, 1, 0, 0, 1, 1, 1, 0.0])
    limited = limit_speed(curve, 0.4)
    assert np.allclose(limited, [0, 0, 0.4, 0, 0, 0.4, 0.8, 0.4, 0])


def test_the_mouth_does_not_wobble(speech: SpeechTrack) -> None:
    """About one opening per sound at most: fewer turns than phonemes."""
    opening = aperture(control_track(speech, 50, 1))
    moves = np.diff(opening)
    moves = moves[np.abs(moves) > 1e-3]
    turns = int((np.sign(moves[1:]) != np.sign(moves[:-1])).sum())
    assert turns < sum(1 for phone in speech.phones if phone.ipa)


def test_frame_rates_show_the_same_movement(speech: SpeechTrack) -> None:
    slow, fast = aperture(control_track(speech, 25, 1)), aperture(control_track(speech, 50, 1))
    paired = (fast[0 : 2 * len(slow) : 2][: len(slow)] + fast[1 : 2 * len(slow) : 2][: len(slow)]) / 2
    assert np.corrcoef(slow[: len(paired)], paired)[0, 1] > 0.95


def test_aligned_recognised_and_energy_driven_mouths_are_each_less_but_still_like_the_known_one(
    speech: SpeechTrack, tmp_path: Path
) -> None:
    words = " ".join(word.text for word in speech.words)

    def speak_script(script: str | None) -> SpeechTrack:
        scene = Scene(id="s", script=script, audio=MediaRef(path=str(speech.wav)), lead_in_ms=0, tail_ms=0)
        return speak(scene, tmp_path / str(script is None), lambda ref: Path(ref.path or ""))

    levels = power(speech.wav)
    energy = replace(
        speech,
        phones=with_pauses(energy_phones(levels, speech.duration_ms), levels, speech.duration_ms),
        phone_source="energy",
    )
    known = aperture(control_track(speech, 25, 1))
    likeness = {}
    for name, source in (
        ("aligned", speak_script(words)),
        ("recognised", speak_script(None)),
        ("energy", energy),
    ):
        opening = aperture(control_track(source, 25, 1))
        count = min(len(known), len(opening))
        likeness[name] = float(np.corrcoef(known[:count], opening[:count])[0, 1])
    assert likeness["aligned"] > 0.85, likeness
    assert likeness["recognised"] > 0.55, likeness
    assert likeness["energy"] > 0.4, likeness


def test_a_calm_style_moves_less(speech: SpeechTrack) -> None:
    lively, calm = control_track(speech, 25, 1), control_track(speech, 25, 1, style=CALM)
    assert aperture(calm).max() < aperture(lively).max()
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        assert calm[name].std() < lively[name].std()


def test_a_silent_or_tiny_speech_has_curves_too(speech_of_tones: Toned) -> None:
    silent = control_track(speech_of_tones(("", 900)), 25, 1)
    assert aperture(silent).max() == 0
    assert silent["energy"].max() == 0
    assert control_track(speech_of_tones(("a", 10)), 25, 1).frames == 1
    assert control_track(speech_of_tones(("", 41), ("m", 41)), 25, 1).frames == 3


@pytest.mark.parametrize("fps", [0, -25])
def test_a_frame_rate_that_is_none_is_refused(speech: SpeechTrack, fps: int) -> None:
    with pytest.raises(InvalidInput, match=r"timing\.bad_fps"):
        control_track(speech, fps, 1)
