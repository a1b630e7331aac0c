"""`avatar probe`: length, size, rate and sound of what people bring, as it is and not as headers claim."""

from __future__ import annotations

import json
import os
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avatar.cli.main import main
from avatar.spec import Failed, Finished, parse_progress
from PIL import Image

ROW = {
    "kp": np.zeros((21, 3)).tolist(), "exp": np.zeros((21, 3)).tolist(), "rotation": np.eye(3).tolist(),
    "t": [0, 0, 0], "scale": 1.0, "eyes": [0.3, 0.3], "lips": 0.1,
}  # fmt: skip


def film(path: Path, *, frames: int = 30, rate: int = 25, sound: bool = True) -> Path:
    """A grey film that flickers, with a hum when `sound`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        hum = container.add_stream("aac", rate=48_000, layout="mono") if sound else None
        noise = np.random.default_rng(3)
        for _ in range(frames):
            picture = noise.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
        if hum is not None:
            tone = np.sin(np.arange(48_000 * frames // rate) / 20).astype(np.float32)[None, :]
            for start in range(0, tone.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(
                    tone[:, start : start + 1024], format="fltp", layout="mono"
                )
                frame.sample_rate, frame.pts = 48_000, start
                container.mux(hum.encode(frame))
            container.mux(hum.encode(None))
    return path


@pytest.fixture
def probe(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], Finished | Failed]]:
    """Runs the verb in this process, and leaves the memory and threads of this process alone."""
    monkeypatch.setattr(sys.modules[main.__module__], "keep_freed_memory", lambda: None)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    threads = cv2.getNumThreads()

    def probe_file(path: Path) -> Finished | Failed:
        capfd.readouterr()
        code = main(["probe", str(path), "--json", "--cache", str(tmp_path / "cache")])
        last = parse_progress(capfd.readouterr().out.splitlines()[-1])
        assert code == (0 if isinstance(last, Finished) else 1)
        return last

    yield probe_file
    cv2.setNumThreads(threads)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_film_tells_size_rate_length_and_sound(probe, tmp_path: Path, ending: str) -> None:
    found = probe(film(tmp_path / f"a.{ending}"))
    facts = found.media
    assert (facts.kind, facts.width, facts.height, facts.fps) == ("video", 96, 64, 25)
    assert (facts.video_codec, facts.audio_codec, facts.sample_rate_hz, facts.channels) == (
        "h264", "aac", 48_000, 1,
    )  # fmt: skip
    assert found.frames == 30 and found.duration_ms == pytest.approx(1200, abs=60) and not found.warnings


def test_a_recording_tells_its_length_and_a_picture_its_upright_size(probe, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(bytes(44_100 * 4))
    facts = probe(tmp_path / "a.wav")
    assert (facts.media.kind, facts.media.sample_rate_hz, facts.media.channels) == ("audio", 44_100, 2)
    assert facts.duration_ms == 1000 and facts.media.width is None
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (640, 480), "red").save(tmp_path / "a.jpg", exif=exif)
    seen = probe(tmp_path / "a.jpg")
    assert (seen.media.kind, seen.media.width, seen.media.height) == ("image", 480, 640)


def test_a_film_that_breaks_off_tells_how_much_of_it_is_there(probe, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mkv", frames=100, sound=False)
    half = tmp_path / "half.mkv"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = probe(half)
    assert 1000 < found.duration_ms < 3000
    assert [notice.code for notice in found.warnings] == ["media.cut_short"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(4096)),
        ("a.wav", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)),
        ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(500)),
        ("a.txt", b"no medium at all"),
        ("empty", b""),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.wav", b"ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_what_cannot_be_read_is_refused_with_code_and_hint(
    probe, tmp_path: Path, name: str, content: bytes
) -> None:
    film(tmp_path / "other.ts", frames=5)
    (tmp_path / name).write_bytes(content)
    found = probe(tmp_path / name)
    assert isinstance(found, Failed)
    assert found.code in ("media.unreadable", "picture.unreadable", "picture.truncated") and found.hint


def test_a_motion_template_tells_its_rate_and_length_also_under_the_name_of_its_hash(
    probe, avatar, tmp_path: Path
) -> None:
    rows = {name: [values] * 12 for name, values in ROW.items()}
    path = tmp_path / "media"
    path.write_text(json.dumps({"version": 1, "fps": 24.0, **rows}))
    found = probe(path)
    assert (found.media.kind, found.media.fps, found.frames, found.duration_ms) == ("motion", 24, 12, 500)
    assert avatar("probe", path).stdout == "motion  24 fps  0.5 s\n"
    path.write_text(json.dumps({"version": 1, "fps": 0, **rows}))
    assert probe(path).code == "template.invalid"


def test_people_read_one_line(avatar, tmp_path: Path) -> None:
    done = avatar("probe", film(tmp_path / "a.mp4"))
    assert done.stdout == "video  96x64  25 fps  h264  aac 48000 Hz  1.2 s\n"
