"""Joining copies pictures bit by bit, levels the sound, and ends both together."""

import hashlib
import re
import struct
import subprocess
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.encode.assembly import Film, join
from avatar.encode.joints import Reel
from avatar.errors import InvalidInput
from avatar.spec import AudioCodec, Canvas, VideoCodec

FRAMES = (57, 1, 40)
CODEC = AudioCodec()
METADATA = {"title": "Ein Täst", "comment": "synthetic"}


def film_of(segments, sounds, frames, codec=CODEC, metadata=METADATA) -> Film:
    return Film(
        reels=[Reel(segment, count) for segment, count in zip(segments, frames, strict=True)],
        sounds=sounds,
        canvas=Canvas(width=320, height=180, fps=25),
        video=VideoCodec(),
        audio=codec,
        metadata=metadata,
        language="de-at",
    )


@pytest.fixture(scope="module")
def video_and_segments(tmp_path_factory, make_segment, make_wav) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("joined")
    segments = [make_segment(folder / f"{n}" / "segment.mp4", frames) for n, frames in enumerate(FRAMES)]
    # Shorter, longer and of another rate than their pictures: the join makes them fit.
    sounds = [
        make_wav(folder / "0.wav", 2.1),
        make_wav(folder / "1.wav", 0.5, rate=48000),
        make_wav(folder / "2.wav", 1.3, peak=0.05),
    ]
    target = folder / "out.mp4"
    join(target, film_of(segments, sounds, FRAMES), folder)
    return target, segments


def packet_hashes(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(bytes(packet)).hexdigest()
            for packet in container.demux(container.streams.video[0])
            if packet.dts is not None
        ]


def test_the_pictures_are_the_segments_packets_unchanged(video_and_segments):
    target, segments = video_and_segments
    assert packet_hashes(target) == [digest for segment in segments for digest in packet_hashes(segment)]


def test_times_run_on_without_gap_or_step_back(video_and_segments):
    target, _ = video_and_segments
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.dts is not None]
    unit = 1 / (video.time_base * 25)
    assert sorted(packet.pts / unit for packet in packets) == list(range(sum(FRAMES)))
    steps = np.diff([int(packet.dts / unit) for packet in packets])
    assert set(steps.tolist()) == {1}
    assert all(packet.pts >= packet.dts for packet in packets)


def test_every_frame_decodes_and_shows_what_its_segment_showed(video_and_segments):
    target, segments = video_and_segments
    with av.open(str(target)) as container:
        whole = [frame.to_ndarray() for frame in container.decode(video=0)]
    parts = []
    for segment in segments:
        with av.open(str(segment)) as container:
            parts += [frame.to_ndarray() for frame in container.decode(video=0)]
    assert len(whole) == sum(FRAMES)
    assert all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_sound_and_pictures_end_within_one_frame_of_each_other(video_and_segments, ffprobe):
    target, _ = video_and_segments
    seconds = Fraction(sum(FRAMES), 25)
    for stream in ffprobe(target, "-show_streams")["streams"]:
        assert abs(Fraction(stream["duration"]) - seconds) <= Fraction(1, 25)
    with av.open(str(target)) as container:
        audible = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(audible / CODEC.sample_rate_hz - seconds) <= 1 / 25


def test_the_sound_is_aac_stereo_at_the_pinned_rate(video_and_segments, ffprobe):
    audio = ffprobe(video_and_segments[0], "-show_streams", "-select_streams", "a")["streams"][0]
    assert (audio["codec_name"], audio["sample_rate"], audio["channels"]) == ("aac", "48000", 2)


def test_the_index_lies_in_front_of_the_media(video_and_segments):
    """Faststart: a browser can begin to play before it has everything."""
    order = []
    with video_and_segments[0].open("rb") as file:
        while head := file.read(8):
            size, kind = struct.unpack(">I4s", head)
            order.append(kind.decode())
            file.seek(size - 8, 1)
    assert order.index("moov") < order.index("mdat")


def test_loudness_and_true_peak_are_what_the_spec_asks(video_and_segments):
    lufs, peak = loudness(video_and_segments[0])
    assert abs(lufs - CODEC.loudness_lufs) <= 1.0
    assert peak <= CODEC.true_peak_dbtp + 0.6  # AAC moves peaks a little


def test_each_scene_is_heard_with_its_own_pictures(video_and_segments):
    """The first voice ends before its pictures; the second begins with its own, after 57 frames."""
    with av.open(str(video_and_segments[0])) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])

    def level(start_s, end_s):
        return float(np.abs(sound[round(start_s * 48000) : round(end_s * 48000)]).max())

    assert level(2.13, 2.26) < 0.02
    assert level(2.28, 2.31) > 0.2
    assert level(3.7, 3.9) < 0.02


@pytest.mark.parametrize(("level", "clicks"), [(0.01, 0), (0.97, 0), (0.05, 0.9)])
def test_quiet_loud_and_clicking_voices_end_at_the_same_loudness(
    tmp_path, make_segment, make_wav, level, clicks
):
    """Clicks far above the voice make the limiter work hard, and what it takes is made up for."""
    segment = make_segment(tmp_path / "s" / "segment.mp4", 100)
    sound = make_wav(tmp_path / "a.wav", 4.0, peak=level, clicks=clicks)
    film = film_of([segment], [sound], [100], AudioCodec(loudness_lufs=-20.0))
    join(tmp_path / "o.mp4", film, tmp_path)
    assert abs(loudness(tmp_path / "o.mp4")[0] + 20.0) <= 1.0


def test_silence_stays_silent(tmp_path, make_segment):
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22050)
        out.writeframes(bytes(2 * 22050))
    segment = make_segment(tmp_path / "s" / "segment.mp4", 25)
    join(tmp_path / "o.mp4", film_of([segment], [tmp_path / "a.wav"], [25]), tmp_path)
    with av.open(str(tmp_path / "o.mp4")) as container:
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert loudest < 1e-4


def test_the_file_says_its_title_and_that_it_is_synthetic(video_and_segments, ffprobe):
    tags = ffprobe(video_and_segments[0], "-show_format")["format"]["tags"]
    assert tags["title"] == "Ein Täst"
    assert tags["comment"] == "synthetic"
    assert "Lavf" not in str(tags)


def test_a_segment_of_other_parameters_is_refused_and_nothing_is_left(tmp_path, make_segment, make_wav):
    segments = [
        make_segment(tmp_path / "in" / "one" / "segment.mp4", 10),
        make_segment(tmp_path / "in" / "two" / "segment.mp4", 10, VideoCodec(preset="ultrafast")),
    ]
    sounds = [make_wav(tmp_path / "in" / "a.wav", 0.4)] * 2
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InvalidInput) as caught:
        join(out / "o.mp4", film_of(segments, sounds, [10, 10]), out)
    assert caught.value.code == "render.segments_differ"
    assert "two" in caught.value.message
    assert list(out.iterdir()) == []


def test_joining_twice_gives_the_same_bytes(video_and_segments, tmp_path, make_wav):
    target, segments = video_and_segments
    sounds = [target.parent / f"{n}.wav" for n in range(len(FRAMES))]
    join(tmp_path / "again.mp4", film_of(segments, sounds, FRAMES), tmp_path)
    assert (tmp_path / "again.mp4").read_bytes() == target.read_bytes()


def test_streams_name_their_language(video_and_segments, ffprobe):
    streams = ffprobe(video_and_segments[0], "-show_streams")["streams"]
    assert [stream["tags"]["language"] for stream in streams] == ["deu", "deu"]


def loudness(path: Path) -> tuple[float, float]:
    """Integrated LUFS and true peak in dBTP, measured by ffmpeg's own program."""
    decoder = subprocess.run(
        ["ffmpeg", "-nostats", "-hide_banner", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null",
         "-"],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    summary = decoder[decoder.rindex("Summary") :]
    return float(re.search(r"I:\s+(\S+) LUFS", summary)[1]), float(
        re.search(r"Peak:\s+(\S+) dBFS", summary)[1]
    )
