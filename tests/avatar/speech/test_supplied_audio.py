"""Recordings of any format: words found where they are said, and a clear answer for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.errors import InvalidInput, Unavailable
from avatar.spec import MediaRef, Scene
from avatar.speech import decode, speak
from avatar.speech.sound import WavWriter
from avatar.speech.timed import with_pauses
from avatar.tracks import Phone, SpeechTrack
from recordings import SENTENCES, Speaker, samples_of, write_wav

Encoder = Callable[..., MediaRef]


@pytest.fixture
def encode(tmp_path: Path, nova: SpeechTrack) -> Encoder:
    """Nova's sentences in another format, made with PyAV."""

    def encode_sound(
        name: str, codec: str, rate_hz: int, layout: str = "mono", picture: bool = False
    ) -> MediaRef:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            sound = container.add_stream(codec, rate=rate_hz, layout=layout)
            film = (
                container.add_stream("libx264", rate=10, options={"preset": "ultrafast"}) if picture else None
            )
            if film is not None:
                film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
                for _ in range(20):
                    frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
                    container.mux(film.encode(frame))
                container.mux(film.encode(None))
            frame = av.AudioFrame.from_ndarray(samples_of(nova.wav)[None, :], format="s16", layout="mono")
            frame.sample_rate = nova.sample_rate_hz
            converter = av.AudioResampler(sound.codec_context.format.name, layout, rate_hz, frame_size=1024)
            for part in [*converter.resample(frame), *converter.resample(None)]:
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
        return MediaRef(path=str(path))

    return encode_sound


def add_film(container: av.container.OutputContainer) -> None:
    """Two seconds of black."""
    film = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
    film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
    for _ in range(20):
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
        container.mux(film.encode(frame))
    container.mux(film.encode(None))


def start_errors(track: SpeechTrack, truth: SpeechTrack, shift_ms: int) -> np.ndarray:
    assert [word.text for word in track.words] == [word.text for word in truth.words]
    return np.array(
        [a.start_ms - shift_ms - b.start_ms for a, b in zip(track.words, truth.words, strict=True)]
    )


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "layout", "picture"),
    [
        ("voice.wav", "pcm_s16le", 44_100, "stereo", False),
        ("voice.flac", "flac", 96_000, "mono", False),
        ("voice.ogg", "libopus", 48_000, "mono", False),
        ("voice.mp3", "libmp3lame", 44_100, "stereo", False),
        ("phone.wav", "pcm_mulaw", 8_000, "mono", False),
        ("film.mp4", "aac", 48_000, "stereo", True),
    ],
)
def test_every_format_is_read_and_its_words_are_found(
    say: Speaker,
    encode: Encoder,
    nova: SpeechTrack,
    name: str,
    codec: str,
    rate_hz: int,
    layout: str,
    picture: bool,
) -> None:
    audio = encode(name, codec, rate_hz, layout, picture)
    track = say(SENTENCES, audio=audio, lead_in_ms=0, tail_ms=0)
    assert track.phone_source == "aligned"
    assert track.notes == ()
    assert track.sample_rate_hz == max(16_000, min(rate_hz, 48_000))
    assert abs(track.duration_ms - nova.duration_ms) < 80
    assert np.median(np.abs(start_errors(track, nova, 0))) <= 30


def test_word_and_phone_times_agree_with_the_engine_that_spoke(say: Speaker, nova: SpeechTrack) -> None:
    track = say(SENTENCES, audio=MediaRef(path=str(nova.wav)), lead_in_ms=500, tail_ms=0)
    errors = np.abs(start_errors(track, nova, 500))
    assert np.median(errors) <= 15
    assert np.percentile(errors, 95) <= 60
    lips = lambda phones, shift: np.array(  # noqa: E731 - closures p, b, m are what eyes see first
        [(phone.start_ms + phone.end_ms) / 2 - shift for phone in phones if phone.ipa in ("p", "b", "m")]
    )
    measured, true = lips(track.phones, 500), lips(nova.phones, 0)
    assert len(measured) == len(true)
    assert np.median(np.abs(measured - true)) <= 25


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "de",
            "Guten Morgen, ich möchte Ihnen heute etwas Schönes zeigen. Zwölf Bäume stehen im großen Park.",
        ),
        ("es", "Buenos días, hoy quiero mostrarles algo muy bonito. Mucha gente cree que es difícil."),
    ],
)
def test_other_languages_are_aligned_through_their_own_pronunciations(
    say: Speaker, language: str, text: str
) -> None:
    truth = say(text, language=language)
    track = say(text, language=language, audio=MediaRef(path=str(truth.wav)), lead_in_ms=0, tail_ms=0)
    assert track.phone_source == "aligned"
    assert np.median(np.abs(start_errors(track, truth, 0))) <= 20


def test_a_minute_is_aligned_through_its_windows(say: Speaker) -> None:
    text = f"{SENTENCES} It cost 1,250 dollars in 1999. " * 4
    truth = say(text)
    track = say(text, audio=MediaRef(path=str(truth.wav)), lead_in_ms=0, tail_ms=0)
    errors = np.abs(start_errors(track, truth, 0))
    assert np.median(errors) <= 15
    assert errors[-5:].max() <= 60


def test_the_word_behind_a_digitally_silent_pause_begins_behind_it(say: Speaker) -> None:
    text = (
        "Hello, my name is Nova. People often believe that making a video is very difficult. Today I will "
        "show you five simple steps to build one yourself, would you like that? The quick brown fox jumps "
        "over the lazy dog, while many birds sing beautiful songs above the old river. [pause 700ms] It cost "
        "1,250 dollars in 1999."
    )
    truth = say(text)
    words = text.replace("[pause 700ms] ", "")
    track = say(words, audio=MediaRef(path=str(truth.wav)), lead_in_ms=0, tail_ms=0)
    assert np.abs(start_errors(track, truth, 0)).max() <= 120


def test_a_phone_stretched_over_a_pause_is_silenced_there() -> None:
    levels = np.full(100, 1e-2)
    levels[40:70] = 1e-9
    phones = [Phone("a", 100, 600), Phone("m", 600, 900)]
    assert with_pauses(phones, levels, 1000) == (
        Phone("", 0, 100),
        Phone("a", 100, 420),
        Phone("", 420, 680),
        Phone("m", 680, 900),
        Phone("", 900, 1000),
    )


def test_words_nobody_knows_are_read_by_rule(say: Speaker) -> None:
    text = "The zorblax met a qwyjibo at Kubernetes 3000 yesterday morning."
    truth = say(text)
    track = say(text, audio=MediaRef(path=str(truth.wav)), lead_in_ms=0, tail_ms=0)
    assert track.phone_source == "aligned"
    assert np.median(np.abs(start_errors(track, truth, 0))) <= 30


def test_without_a_text_the_sounds_are_recognised(say: Speaker, nova: SpeechTrack) -> None:
    track = say(None, audio=MediaRef(path=str(nova.wav)))
    assert track.phone_source == "recognised"
    assert track.words == ()
    assert len([phone for phone in track.phones if phone.ipa]) > 60
    assert track.phones[-1].end_ms == track.duration_ms


def test_a_text_that_does_not_fit_is_noticed_and_the_mouth_follows_the_sound(
    say: Speaker, nova: SpeechTrack
) -> None:
    text = "An entirely different text that goes on and on about other matters " * 12
    track = say(text, audio=MediaRef(path=str(nova.wav)))
    assert [note.code for note in track.notes] == ["speech.alignment_failed"]
    assert track.phone_source == "recognised"
    assert len(track.words) == len(text.split())
    starts = [word.start_ms for word in track.words]
    assert starts == sorted(starts)


def test_words_nobody_said_are_left_out_and_counted(say: Speaker, nova: SpeechTrack) -> None:
    text = SENTENCES.replace("making", "suddenly making").replace("fox", "fox happily")
    track = say(text, audio=MediaRef(path=str(nova.wav)), lead_in_ms=0, tail_ms=0)
    assert track.phone_source == "aligned"
    assert [note.code for note in track.notes] == ["speech.words_missing"]
    assert " ".join(word.text for word in track.words) == text
    words = [word for word in track.words if word.text not in ("suddenly", "happily")]
    errors = np.array([found.start_ms - true.start_ms for found, true in zip(words, nova.words, strict=True)])
    assert np.median(np.abs(errors)) <= 20


def test_words_the_text_lacks_do_not_shift_the_others(say: Speaker, nova: SpeechTrack) -> None:
    text = SENTENCES.replace("often ", "").replace("quick ", "")
    track = say(text, audio=MediaRef(path=str(nova.wav)), lead_in_ms=0, tail_ms=0)
    true = [word for word in nova.words if word.text not in ("often", "quick")]
    errors = np.array([found.start_ms - word.start_ms for found, word in zip(track.words, true, strict=True)])
    assert np.median(np.abs(errors)) <= 20


def test_noise_of_a_room_is_no_obstacle(say: Speaker, tmp_path: Path, nova: SpeechTrack) -> None:
    samples = samples_of(nova.wav).astype(float)
    noise = np.random.default_rng(3).normal(0, samples.std() * 10 ** (-15 / 20), len(samples))
    audio = write_wav(tmp_path / "room.wav", np.clip(samples + noise, -32768, 32767).astype(np.int16), 22_050)
    track = say(SENTENCES, audio=audio, lead_in_ms=0, tail_ms=0)
    assert np.median(np.abs(start_errors(track, nova, 0))) <= 25
    pauses = [phone for phone in track.phones if not phone.ipa and phone.end_ms - phone.start_ms > 150]
    assert len(pauses) >= 3


def test_pauses_in_the_text_of_a_recording_are_reported(say: Speaker, nova: SpeechTrack) -> None:
    track = say(SENTENCES.replace("Nova.", "Nova. [pause 2s]"), audio=MediaRef(path=str(nova.wav)))
    assert [note.code for note in track.notes] == ["speech.markup_unsupported"]


def test_a_pause_in_the_sound_silences_the_phones(say: Speaker, tmp_path: Path, nova: SpeechTrack) -> None:
    samples = samples_of(nova.wav)
    middle = nova.words[12].start_ms * nova.sample_rate_hz // 1000
    quiet = np.zeros(nova.sample_rate_hz, np.int16)
    audio = write_wav(tmp_path / "p.wav", np.concatenate((samples[:middle], quiet, samples[middle:])), 22_050)
    for script in (SENTENCES, None):
        track = say(script, audio=audio, lead_in_ms=0, tail_ms=0)
        start = nova.words[12].start_ms
        silent = sum(
            min(phone.end_ms, start + 1000) - max(phone.start_ms, start)
            for phone in track.phones
            if not phone.ipa and phone.end_ms > start and phone.start_ms < start + 1000
        )
        assert silent > 850, script


def test_hiss_is_no_speech_and_the_mouth_follows_the_loudness(say: Speaker, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    bursts = np.repeat(np.tile([1.0, 0.02], 6), 4000) * rng.normal(0, 3000, 48_000)
    track = say(None, audio=write_wav(tmp_path / "hiss.wav", bursts.astype(np.int16), 16_000))
    assert track.phone_source in ("energy", "recognised")
    assert any(phone.ipa for phone in track.phones)
    if track.phone_source == "energy":
        assert [note.code for note in track.notes] == ["speech.energy_only"]


@pytest.mark.parametrize("script", [None, "Words that nobody says."])
def test_silence_shuts_the_mouth_and_says_so(say: Speaker, tmp_path: Path, script: str | None) -> None:
    track = say(script, audio=write_wav(tmp_path / "silent.wav", np.zeros(32_000, np.int16), 16_000))
    assert [note.code for note in track.notes] == ["speech.silent"]
    assert not any(phone.ipa for phone in track.phones)


@pytest.mark.parametrize("script", [None, "Hi", "Far too many words for a tenth of a second"])
def test_a_tenth_of_a_second_is_enough_for_a_video(
    say: Speaker, tmp_path: Path, nova: SpeechTrack, script: str | None
) -> None:
    start = nova.words[0].start_ms * 22_050 // 1000
    audio = write_wav(tmp_path / "short.wav", samples_of(nova.wav)[start : start + 2205], 22_050)
    track = say(script, audio=audio)
    assert track.duration_ms >= 900


def test_a_truncated_file_gives_what_is_left_and_a_note(say: Speaker, encode: Encoder) -> None:
    path = Path(encode("voice.flac", "flac", 44_100).path or "")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    track = say(None, audio=MediaRef(path=str(path)))
    assert "speech.audio_damaged" in [note.code for note in track.notes]
    assert 3000 < track.duration_ms < 9000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "speech.audio_missing"),
        (b"", "speech.audio_empty"),
        (b"this is a letter, not a sound " * 100, "speech.audio_unreadable"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "speech.audio_unreadable"),
        (bytes(5000), "speech.audio_unreadable"),
    ],
)
def test_what_is_no_sound_is_refused(say: Speaker, tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "a file; with $(odd) name.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        say(None, audio=MediaRef(path=str(path)))
    assert caught.value.code == code
    assert caught.value.hint


def test_a_sound_of_one_millisecond_is_too_short(say: Speaker, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"speech\.audio_too_short"):
        say(None, audio=write_wav(tmp_path / "blip.wav", np.full(16, 5000, np.int16), 16_000))


def test_a_film_without_sound_says_so(say: Speaker, tmp_path: Path) -> None:
    path = tmp_path / "silent film.mp4"
    with av.open(str(path), "w") as container:
        add_film(container)
    with pytest.raises(InvalidInput, match=r"speech\.no_audio"):
        say(None, audio=MediaRef(path=str(path)))


def test_more_than_the_longest_sound_is_refused(
    say: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_AUDIO_S", 2)
    with pytest.raises(InvalidInput, match=r"speech\.audio_too_long"):
        say(None, audio=write_wav(tmp_path / "long.wav", np.zeros(16_000 * 4, np.int16), 16_000))


def test_a_full_disk_is_a_clear_error(tmp_path: Path, nova: SpeechTrack) -> None:
    (tmp_path / "speech.wav").symlink_to("/dev/full")
    scene = Scene(id="s", audio=MediaRef(path=str(nova.wav)))
    with pytest.raises(Unavailable, match=r"render\.disk_full"):
        speak(scene, tmp_path, lambda ref: Path(ref.path or ""))


@pytest.mark.parametrize("suffix", ["m3u8", "ffconcat", "wav"])
def test_a_playlist_cannot_open_other_files(
    say: Speaker, tmp_path: Path, encode: Encoder, suffix: str
) -> None:
    other = Path(encode("other.ts", "aac", 44_100).path or "")
    playlist = f"ffconcat version 1.0\nfile {other.name}\n"
    if suffix == "m3u8":
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other.name}\n#EXT-X-ENDLIST\n"
    path = tmp_path / f"list.{suffix}"
    path.write_text(playlist)
    with pytest.raises(InvalidInput, match=r"speech\.audio_unreadable"):
        say(None, audio=MediaRef(path=str(path)))


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
def test_samples_that_are_no_numbers_are_silence_and_said(tmp_path: Path, codec: str) -> None:
    """As whole numbers they would be the loudest there are."""
    values = 0.2 * np.sin(np.arange(16_000) / 15)
    values[4000:4400], values[9000], values[9001] = np.nan, np.inf, -np.inf
    kind, number = ("flt", np.float32) if codec == "pcm_f32le" else ("dbl", np.float64)
    recording, copied = tmp_path / "broken.wav", tmp_path / "kept.wav"
    with av.open(str(recording), "w", format="wav") as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(values[None].astype(number), format=kind, layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with WavWriter(copied, 16_000) as writer:
        assert decode.decode_into(recording, writer).damaged
    measured = samples_of(copied)
    assert np.abs(measured).max() < 0.21 * 32_768
    assert not measured[4100:4300].any()
    assert np.abs(measured[5000:8000]).max() > 0.19 * 32_768, "the rest is there"
