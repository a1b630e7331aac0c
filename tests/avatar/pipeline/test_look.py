"""`avatar look`: what is measured of pictures and of frames, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.pipeline import look
from avatar.pipeline.context import Context
from avatar.pipeline.look import exposure, look_at, main_colours, sharpness


@pytest.fixture(autouse=True)
def no_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracker has tests of its own, and takes seconds to load."""
    monkeypatch.setattr(look, "_faces", lambda picture, scale: ((), ()))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=tmp_path / "cache", blobs=None, tell=lambda _: None, check=lambda: None)


def chess(side: int = 400, field: int = 8) -> np.ndarray:
    grid = (np.indices((side, side)) // field).sum(axis=0) % 2
    return np.repeat((grid * 220 + 15).astype(np.uint8)[..., None], 3, axis=2)


def film(path: Path, colours: list[tuple[int, int, int]]) -> None:
    """One second for each colour (BGR), 10 frames per second, 96 x 64."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for colour in colours:
            picture = np.full((64, 96, 3), colour, np.uint8)
            for _ in range(10):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def test_a_blurred_picture_is_less_sharp_than_the_same_in_focus() -> None:
    sharp = chess()
    blurred = cv2.GaussianBlur(sharp, (0, 0), 6)

    assert sharpness(sharp) > 0.4
    assert sharpness(blurred) < sharpness(sharp) / 3


def test_a_sharp_subject_before_a_soft_background_counts_as_sharp() -> None:
    picture = cv2.GaussianBlur(chess(), (0, 0), 8)
    picture[100:300, 100:300] = chess(200)

    assert sharpness(picture) > 0.4


def test_light_is_told_in_shares_of_the_picture() -> None:
    half = np.zeros((100, 100, 3), np.uint8)
    half[:50] = 255

    assert exposure(half) == {"brightness": 0.5, "contrast": 1.0, "underexposed": 0.5, "overexposed": 0.5}


def test_the_largest_colour_comes_first() -> None:
    picture = np.full((100, 100, 3), (200, 20, 10), np.uint8)
    picture[:20] = (10, 10, 220)

    first, second = main_colours(picture)[:2]

    assert (first.colour, first.share) == ("#0a14c8", pytest.approx(0.8, abs=0.05))
    assert second.colour == "#dc0a0a"


@pytest.mark.parametrize(("ms", "colour"), [(0, "#0000"), (1500, "#00"), (2500, "#f")])
def test_the_frame_of_the_moment_is_looked_at(tmp_path: Path, context: Context, ms: int, colour: str) -> None:
    film(tmp_path / "film.mp4", [(250, 0, 0), (0, 250, 0), (0, 0, 250)])

    found = look_at(tmp_path / "film.mp4", ms, None, context)

    assert found.sight is not None
    assert found.sight.at_ms == ms
    assert (found.sight.width, found.sight.height) == (96, 64)
    assert found.sight.colours[0].colour.startswith(colour)


def test_after_the_end_it_is_the_last_frame(tmp_path: Path, context: Context) -> None:
    film(tmp_path / "film.mp4", [(250, 0, 0)])

    found = look_at(tmp_path / "film.mp4", 10**12, None, context)

    assert found.sight is not None
    assert found.sight.at_ms == 900


def test_what_was_looked_at_is_shown_small(tmp_path: Path, context: Context) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((1500, 3000, 3), np.uint8))

    found = look_at(tmp_path / "large.png", 0, tmp_path / "out" / "shown.jpg", context)

    shown = cv2.imread(str(tmp_path / "out" / "shown.jpg"))
    assert shown is not None
    assert shown.shape[:2] == (512, 1024)
    assert found.files[0].role == "shown"
    assert found.sight is not None
    assert (found.sight.width, found.sight.height) == (3000, 1500)


def test_a_sound_shows_nothing(tmp_path: Path, context: Context) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))

    with pytest.raises(InvalidInput) as refused:
        look_at(tmp_path / "a.wav", 0, None, context)

    assert refused.value.code == "media.no_picture"


@pytest.mark.parametrize(("size", "code"), [((2, 2), "picture.too_small"), ((400, 3), "picture.too_small")])
def test_a_picture_of_a_few_pixels_is_refused(
    tmp_path: Path, context: Context, size: tuple[int, int], code: str
) -> None:
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((*size, 3), np.uint8))

    with pytest.raises(InvalidInput) as refused:
        look_at(tmp_path / "tiny.png", 0, None, context)

    assert refused.value.code == code


def test_a_video_of_an_unknown_codec_is_unreadable(tmp_path: Path, context: Context) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        film = container.add_stream("mpeg4", rate=10)
        film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
        container.mux([*film.encode(frame), *film.encode(None)])
    path = tmp_path / "a.avi"
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"XYZW"))

    with pytest.raises(InvalidInput) as refused:
        look_at(path, 0, None, context)

    assert refused.value.code == "media.unreadable"
