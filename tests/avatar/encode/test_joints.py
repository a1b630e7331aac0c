"""Transitions encode only what they touch, music makes way for the voice, captions lie in the film."""

import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avatar.compose.cues import Cue
from avatar.encode.assembly import Film, join
from avatar.encode.joints import Fades, Reel
from avatar.encode.music import MusicBed, duck_curve, read_music, speech_steps
from avatar.encode.sound import SceneSound, read_sound
from avatar.errors import InvalidInput
from avatar.spec import AudioCodec, Canvas, MediaRef, Music, Transition, VideoCodec

CANVAS = Canvas(width=320, height=180, fps=25)
FRAMES = (120, 110, 130)
GOP = 50


@pytest.fixture(scope="module")
def reels(tmp_path_factory, make_segment) -> list[Path]:
    folder = tmp_path_factory.mktemp("reels")
    shades = (255, 40, 160)
    return [
        make_segment(folder / f"{n}" / "segment.mp4", frames, shade=shade)
        for n, (frames, shade) in enumerate(zip(FRAMES, shades, strict=True))
    ]


@pytest.fixture(scope="module")
def voices(tmp_path_factory, make_wav) -> list[Path]:
    folder = tmp_path_factory.mktemp("voices")
    return [make_wav(folder / f"{n}.wav", frames / 25) for n, frames in enumerate(FRAMES)]


def film_of(reels: list[Path], voices: list[Path], overlaps=(0, 0), kind="dissolve", **more) -> Film:
    transition = Transition(kind=kind, direction=more.pop("direction", "left"))
    return Film(
        reels=[
            Reel(path, frames, overlap, transition)
            for path, frames, overlap in zip(reels, FRAMES, (*overlaps, 0), strict=True)
        ],
        sounds=voices,
        canvas=CANVAS,
        video=VideoCodec(),
        audio=AudioCodec(),
        metadata={},
        **more,
    )


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(one) for one in container.demux(container.streams.video[0]) if one.dts is not None]


def test_a_transition_encodes_its_groups_of_pictures_and_copies_the_rest(reels, voices, tmp_path):
    encoded = join(tmp_path / "o.mp4", film_of(reels, voices, (12, 0)), tmp_path)
    total = sum(FRAMES) - 12
    shown = frames_of(tmp_path / "o.mp4")
    assert len(shown) == total
    # The last group of the first scene, and of the second all up to its next key frame.
    assert encoded == (FRAMES[0] - 100) + (GOP - 12)
    copied = [one for path in reels for one in packets_of(path)]
    packets = packets_of(tmp_path / "o.mp4")
    assert packets[:100] == copied[:100]
    assert packets[100 + encoded :] == copied[FRAMES[0] + GOP :]
    assert not list(tmp_path.glob("joint-*"))


def test_a_dissolve_shows_both_scenes_while_both_move_on(reels, voices, tmp_path):
    join(tmp_path / "o.mp4", film_of(reels, voices, (11, 0)), tmp_path)
    shown = frames_of(tmp_path / "o.mp4")
    first, second = frames_of(reels[0]), frames_of(reels[1])
    begin = FRAMES[0] - 11
    for at in (0, 5, 10):
        share = (at + 1) / 12
        mixed = cv2.addWeighted(first[begin + at], 1 - share, second[at], share, 0)
        assert np.abs(shown[begin + at].astype(int) - mixed).mean() < 2.0
    assert np.abs(shown[begin - 1].astype(int) - first[begin - 1]).mean() < 2.0
    assert np.abs(shown[begin + 11].astype(int) - second[11]).mean() < 2.0


@pytest.mark.parametrize("kind", ["wipe", "slide", "fade"])
@pytest.mark.parametrize("direction", ["left", "up"])
def test_every_transition_goes_from_one_picture_to_the_other(reels, voices, tmp_path, kind, direction):
    film = film_of(reels, voices, (15, 0), kind, direction=direction)
    join(tmp_path / "o.mp4", film, tmp_path)
    shown = frames_of(tmp_path / "o.mp4")
    first, second = frames_of(reels[0]), frames_of(reels[1])
    middle = shown[FRAMES[0] - 15 + 7].astype(int)
    assert len(shown) == sum(FRAMES) - 15
    for whole in (first[FRAMES[0] - 8], second[7]):
        assert np.abs(middle - whole).mean() > 1.0
    assert np.abs(shown[FRAMES[0] - 15].astype(int) - first[FRAMES[0] - 15]).mean() < 14
    if kind == "fade":
        assert abs(middle[:180].mean() - 16) < 12


def test_short_scenes_between_two_transitions_are_encoded_whole(reels, voices, tmp_path):
    film = film_of(reels, voices, (40, 60))
    join(tmp_path / "o.mp4", film, tmp_path)
    assert len(frames_of(tmp_path / "o.mp4")) == sum(FRAMES) - 100


def test_a_film_comes_out_of_black_and_goes_back(reels, voices, tmp_path):
    join(tmp_path / "o.mp4", film_of(reels, voices, fades=Fades(10, 20)), tmp_path)
    shown = [frame[:180].mean() for frame in frames_of(tmp_path / "o.mp4")]
    assert shown[0] < shown[5] < shown[12] and shown[-1] < shown[-10] < shown[-25]
    assert abs(shown[0] - 16) < 12 and abs(shown[-1] - 16) < 8


def test_captions_are_a_track_of_the_film(reels, voices, tmp_path, ffprobe):
    cues = [Cue(300, 1700, ("Grüße", "& <mehr>")), Cue(2000, 3100, ("مرحبا",))]
    join(tmp_path / "o.mp4", film_of(reels, voices, cues=cues, language="ar"), tmp_path)
    (stream,) = ffprobe(tmp_path / "o.mp4", "-show_streams", "-select_streams", "s")["streams"]
    assert (stream["codec_name"], stream["tags"]["language"]) == ("mov_text", "ara")
    with av.open(str(tmp_path / "o.mp4")) as container:
        samples = [
            (round(packet.pts * packet.time_base * 1000), bytes(packet)[2:].decode())
            for packet in container.demux(container.streams.subtitles[0])
            if packet.size > 2
        ]
    assert samples == [(300, "Grüße\n& <mehr>"), (2000, "مرحبا")]


def test_where_scenes_overlap_both_are_heard(voices):
    sounds = [SceneSound(voices[0], FRAMES[0], 25), SceneSound(voices[1], FRAMES[1])]
    alone = [np.concatenate([f.to_ndarray()[0] for f in read_sound([SceneSound(s.wav, s.frames)], 25, 48000)])
             for s in sounds]  # fmt: skip
    both = np.concatenate([frame.to_ndarray()[0] for frame in read_sound(sounds, 25, 48000)])
    begin = (FRAMES[0] - 25) * 1920
    assert len(both) == (sum(FRAMES[:2]) - 25) * 1920
    expected = alone[0][begin:] + alone[1][: 25 * 1920]
    assert np.allclose(both[begin : begin + 25 * 1920], expected, atol=1e-6)


def music_file(path: Path, seconds: float, level: float = 0.2) -> Path:
    t = np.arange(round(seconds * 48000)) / 48000
    left, right = level * np.sin(2 * np.pi * 220 * t), level * np.sin(2 * np.pi * 330 * t)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(48000)
        out.writeframes((np.stack([left, right], axis=1) * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize(("seconds", "loop"), [(3.0, True), (20.0, True), (3.0, False), (60.0, True)])
def test_music_shorter_or_longer_than_the_film_ends_with_it(tmp_path, seconds, loop):
    path = music_file(tmp_path / "music.wav", seconds)
    form = Music(audio=MediaRef(path=str(path)), loop=loop)
    track = read_music(path, "music", 48000, tmp_path)
    silent = np.zeros(48000, np.float32)
    bed = MusicBed(form, track, np.zeros(1200, np.bool_), 12 * 48000, 48000, -20.0)
    audible = np.concatenate([frame.to_ndarray() for frame in bed.under([silent] * 12)], axis=1)
    assert audible.shape == (2, 12 * 48000)
    per_second = np.abs(audible[0]).reshape(12, -1).max(axis=1)
    ends = min(12, int(seconds)) if not loop else 12
    assert (per_second[1 : ends - 3] > 0.01).all()
    assert abs(float(audible[0, -1])) < 1e-3
    assert (per_second[ends:] < 1e-6).all()
    jumps = np.abs(np.diff(audible[0]))
    assert jumps.max() < 0.02  # no click where it begins again


def test_music_goes_down_before_a_word_and_comes_up_after_the_last():
    rate = 48000
    voice = np.zeros(10 * rate, np.float32)
    voice[3 * rate : 5 * rate] = 0.2 * np.sin(np.arange(2 * rate) / 20).astype(np.float32)
    voice[int(5.4 * rate) : 6 * rate] = 0.1
    speaking = speech_steps([voice[i : i + 4096] for i in range(0, len(voice), 4096)], rate)
    assert speaking[300:600].all(), "a pause of 0.4 s is part of the speech"
    assert not speaking[:260].any() and not speaking[620:].any()
    gain = 20 * np.log10(duck_curve(speaking, -10.0))
    assert gain[0] == 0 and abs(gain[305] + 10) < 0.5 and abs(gain[590] + 10) < 0.1 and gain[-1] == 0
    assert gain[640] < -3, "it does not jump up"


def test_a_file_that_is_no_music_is_refused_by_its_name(tmp_path):
    (tmp_path / "x.txt").write_text("la la la")
    with pytest.raises(InvalidInput) as caught:
        read_music(tmp_path / "x.txt", "song.mp3", 48000, tmp_path)
    assert caught.value.code == "music.unreadable" and "song.mp3" in caught.value.message


def test_a_film_with_music_has_the_loudness_of_the_spec_and_stereo(reels, voices, tmp_path):
    path = music_file(tmp_path / "music.wav", 5.0)
    music = (Music(audio=MediaRef(path=str(path))), path)
    join(tmp_path / "o.mp4", film_of(reels, voices, music=music), tmp_path)
    with av.open(str(tmp_path / "o.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.abs(sound[0] - sound[1]).max() > 0.01
    assert abs(sound.shape[1] / 48000 - sum(FRAMES) / 25) < 0.05
