"""`avatar poster`, `storyboard`, `peaks` and `proxy`: small forms of what people bring, true to it."""

from __future__ import annotations

import json
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.film import make_film_poster
from avatar.pipeline.peaks import make_peaks
from avatar.pipeline.proxy import make_proxy
from avatar.pipeline.storyboard import make_storyboard
from avatar.spec import Finished, parse_progress


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=tmp_path / "cache")


def film(
    path: Path, *, seconds: int = 4, rate: int = 25, size: tuple[int, int] = (1280, 720), key: int = 250,
    sound: bool = True,
) -> Path:  # fmt: skip
    """Black in its first second, then of grey 60 + 10 per second with a white left half; a tone that is
    silent in the first half.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": str(key)})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, rate)
        hum = container.add_stream("aac", rate=48_000, layout="mono") if sound else None
        for number in range(seconds * rate):
            second = number // rate
            picture = np.full((size[1], size[0], 3), 60 + 10 * second if second else 0, np.uint8)
            if second:
                picture[:, : size[0] // 2] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if hum is not None:
            tone = (np.sin(np.arange(48_000 * seconds) / 20) * 0.5).astype(np.float32)
            tone[: len(tone) // 2] = 0
            for start in range(0, len(tone), 1024):
                block = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
                block.sample_rate, block.pts = 48_000, start
                container.mux(hum.encode(block))
            container.mux(hum.encode(None))
    return path


def grey(picture: np.ndarray) -> float:
    """Of the middle of the right half."""
    height, width = picture.shape[:2]
    return float(picture[height // 3 : height // 2, width * 2 // 3 : width * 5 // 6].mean())


def test_the_poster_is_no_black_frame(tmp_path: Path, context: Context) -> None:
    done = make_film_poster(film(tmp_path / "a.mp4", seconds=6), tmp_path / "out" / "a.jpg", context)
    picture = cv2.imread(str(tmp_path / "out" / "a.jpg"))
    assert picture.shape == (720, 1280, 3) and picture.std() > 20
    assert done.files[0].role == "frame" and done.files[0].media_type == "image/jpeg"


@pytest.mark.parametrize("key", [250, 10])
def test_the_storyboard_shows_each_moment_where_its_index_says(
    tmp_path: Path, context: Context, key: int
) -> None:
    source = film(tmp_path / "a.mp4", seconds=12, size=(320, 180), key=key)
    done = make_storyboard(source, tmp_path / "a.webp", context)
    index = json.loads((tmp_path / "a.json").read_text())
    sheet = cv2.imread(str(tmp_path / "a.webp"))
    assert (index["tile_width"], index["tile_height"], index["columns"]) == (160, 90, 10)
    assert index["interval_ms"] == 500 and index["count"] == 24 == done.frames and index["rows"] == 3
    assert sheet.shape == (270, 1600, 3)
    for number in range(index["count"]):
        second = int((number + 0.5) / 2)
        top, left = number // 10 * 90, number % 10 * 160
        found = grey(sheet[top : top + 90, left : left + 160])
        assert abs(found - (60 + 10 * second if second else 0)) < 6, number


def test_a_long_film_has_a_hundred_pictures(tmp_path: Path, context: Context) -> None:
    source = film(tmp_path / "a.mp4", seconds=300, rate=2, size=(64, 64), sound=False)
    make_storyboard(source, tmp_path / "a.webp", context)
    index = json.loads((tmp_path / "a.json").read_text())
    assert (index["count"], index["interval_ms"], index["tile_width"]) == (100, 3000, 64)


def test_peaks_are_those_of_audiowaveform(tmp_path: Path, context: Context) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48_000)
        ramp = np.concatenate([np.full(480, level) for level in (0, 16384, -16384, 32767)])
        sound.writeframes(ramp.astype("<i2").tobytes())
    make_peaks(tmp_path / "a.wav", tmp_path / "a.json", context)
    reported = json.loads((tmp_path / "a.json").read_text())
    assert reported == {
        "version": 2, "channels": 1, "sample_rate": 48_000, "samples_per_pixel": 480, "bits": 8, "length": 4,
        "data": [0, 0, 64, 64, -64, -64, 127, 127],
    }  # fmt: skip


def test_peaks_of_a_long_sound_stay_few_and_keep_its_loudest_moment(tmp_path: Path, context: Context) -> None:
    samples = np.zeros(8000 * 250, "<i2")
    samples[8000 * 200] = 32767
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(samples.tobytes())
    done = make_peaks(tmp_path / "a.wav", tmp_path / "a.json", context)
    reported = json.loads((tmp_path / "a.json").read_text())
    assert reported["length"] == 8334 and reported["samples_per_pixel"] == 240 and done.duration_ms == 250_000
    assert reported["data"].index(127) // 2 == 8000 * 200 // 240


def test_peaks_of_a_film_begin_where_it_begins(tmp_path: Path, context: Context) -> None:
    make_peaks(film(tmp_path / "a.mp4", size=(64, 64)), tmp_path / "a.json", context)
    reported = json.loads((tmp_path / "a.json").read_text())
    loud = [max(reported["data"][at * 2 : at * 2 + 2]) for at in range(reported["length"])]
    first = next(at for at, value in enumerate(loud) if value > 30)
    assert first * reported["samples_per_pixel"] / reported["sample_rate"] == pytest.approx(2.0, abs=0.1)


def test_the_proxy_is_small_keeps_time_and_starts_before_it_is_loaded(
    tmp_path: Path, context: Context
) -> None:
    source = film(tmp_path / "a.mp4", rate=50, seconds=3)
    done = make_proxy(source, tmp_path / "out" / "a.mp4", context)
    content = (tmp_path / "out" / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat") and done.files[0].role == "proxy"
    with av.open(str(tmp_path / "out" / "a.mp4")) as small:
        video, sound = small.streams.video[0], small.streams.audio[0]
        assert (video.width, video.height, video.codec_context.name) == (854, 480, "h264")
        assert sound.codec_context.name == "aac"
        frames = [(frame.time, grey(frame.to_ndarray(format="bgr24"))) for frame in small.decode(video)]
    assert len(frames) <= 3 * 30 and frames[-1][0] == pytest.approx(3, abs=0.08)
    for seconds, found in frames:
        assert abs(found - (60 + 10 * int(seconds) if int(seconds) else 0)) < 8, seconds


def test_an_upright_film_stays_upright_and_a_small_one_small(tmp_path: Path, context: Context) -> None:
    make_proxy(film(tmp_path / "a.mp4", size=(720, 1280), seconds=2), tmp_path / "b.mp4", context)
    make_proxy(film(tmp_path / "c.mp4", size=(96, 64), seconds=2, sound=False), tmp_path / "d.mp4", context)
    sizes = []
    for name in ("b.mp4", "d.mp4"):
        with av.open(str(tmp_path / name)) as small:
            sizes.append((small.streams.video[0].width, small.streams.video[0].height))
    assert sizes == [(480, 854), (96, 64)]


def test_what_has_no_pictures_or_no_sound_is_refused_with_its_reason(
    tmp_path: Path, context: Context
) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    (tmp_path / "b.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(4000))
    silent = film(tmp_path / "c.mp4", size=(64, 64), seconds=1, sound=False)
    cases = [
        (make_film_poster, "a.wav", "o.jpg", "media.no_picture"),
        (make_storyboard, "a.wav", "o.webp", "media.no_picture"),
        (make_proxy, "a.wav", "o.mp4", "media.no_picture"),
        (make_film_poster, "b.mp4", "o.jpg", "media.unreadable"),
        (make_peaks, "b.mp4", "o.json", "media.unreadable"),
        (make_peaks, silent.name, "o.json", "media.no_sound"),
        (make_peaks, "none.wav", "o.json", "media.missing"),
        (make_storyboard, silent.name, "o.png", "output.not_webp"),
    ]
    for make, source_file, out, code in cases:
        with pytest.raises(InvalidInput) as refused:
            make(tmp_path / source_file, tmp_path / out, context)
        assert refused.value.code == code and not (tmp_path / out).exists()


def test_the_command_makes_them_as_the_farm_asks(avatar, tmp_path: Path) -> None:
    film(tmp_path / "m.mp4", size=(320, 180))
    (tmp_path / "m.mp4").rename(tmp_path / "media")
    roles = []
    for verb, out in (("poster", "p.jpg"), ("storyboard", "s.webp"), ("peaks", "p.json"), ("proxy", "x.mp4")):
        done = avatar(verb, tmp_path / "media", tmp_path / "out" / out, "--json")
        last = parse_progress(done.stdout.splitlines()[-1])
        assert isinstance(last, Finished), done.stdout
        roles += [file.role for file in last.files]
    assert roles == ["frame", "storyboard", "storyboard_index", "peaks", "proxy"]
