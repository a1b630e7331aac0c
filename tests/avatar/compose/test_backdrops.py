"""Backdrops fill the canvas, blur without the person's shadow, and move when they should."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.compose import sets
from avatar.compose.background import blur_source, open_backdrop
from avatar.compose.fitting import contain, cover
from avatar.errors import InvalidInput
from avatar.spec import (
    Canvas,
    ColourBackground,
    ImageBackground,
    MediaRef,
    SetBackground,
    SourceBackground,
    VideoBackground,
)

CANVAS = Canvas(width=160, height=90, fps=25)
NO_CACHE = Path("/nonexistent")


def resolve(ref: MediaRef) -> Path:
    return Path(ref.path or "")


def test_a_colour_fills_the_canvas():
    still = open_backdrop(ColourBackground(colour="#102030"), CANVAS, resolve, NO_CACHE).still
    assert still.shape == (90, 160, 3)
    assert (still == (0x30, 0x20, 0x10)).all()


def test_a_gradient_runs_from_top_to_bottom_without_bands():
    still = open_backdrop(
        ColourBackground(colour="#202020", to_colour="#404040"), CANVAS, resolve, NO_CACHE
    ).still
    rows = still.astype(float).mean(axis=(1, 2))
    assert rows[0] == pytest.approx(0x20, abs=1)
    assert rows[-1] == pytest.approx(0x40, abs=1)
    assert np.abs(rows - np.linspace(0x20, 0x40, 90)).max() < 0.4


def test_an_image_covers_the_canvas_and_keeps_its_shape(tmp_path):
    tall = np.zeros((400, 100, 3), np.uint8)
    cv2.circle(tall, (50, 200), 20, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "t.png"), tall)
    background = ImageBackground(image=MediaRef(path=str(tmp_path / "t.png")))
    still = open_backdrop(background, CANVAS, resolve, NO_CACHE).still
    assert still.shape == (90, 160, 3)
    rows, columns = np.nonzero(still[..., 0] > 128)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    assert (rows.mean(), columns.mean()) == pytest.approx((44.5, 79.5), abs=1.5)


def test_blur_takes_the_detail_and_keeps_the_mean(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "n.png"), noise)
    ref = MediaRef(path=str(tmp_path / "n.png"))
    sharp = open_backdrop(ImageBackground(image=ref), CANVAS, resolve, NO_CACHE).still
    soft = open_backdrop(ImageBackground(image=ref, blur=1.0), CANVAS, resolve, NO_CACHE).still
    assert soft.std() < sharp.std() / 4
    assert soft.mean() == pytest.approx(sharp.mean(), abs=3)


def test_a_video_moves_and_begins_with_its_first_picture(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 80])
    backdrop = open_backdrop(VideoBackground(video=MediaRef(path=str(clip))), CANVAS, resolve, NO_CACHE)
    assert backdrop.moving is not None
    shades = [int(np.median(next(backdrop.moving))) for _ in range(4)]
    assert shades == [8, 16, 24, 8]


def test_a_broken_picture_is_refused(tmp_path):
    (tmp_path / "b.png").write_bytes(b"\x89PNG nothing more")
    with pytest.raises(InvalidInput) as caught:
        open_backdrop(
            ImageBackground(image=MediaRef(path=str(tmp_path / "b.png"))), CANVAS, resolve, NO_CACHE
        )
    assert caught.value.code.startswith("picture.")


def test_the_source_itself_needs_no_backdrop_of_ours():
    assert open_backdrop(SourceBackground(), CANVAS, resolve, NO_CACHE).moving is None


def test_a_blurred_source_shows_no_shadow_of_the_person():
    """A black person before a white wall: after the blur the wall is white everywhere."""
    picture = np.full((180, 320, 3), 240, np.uint8)
    person = np.zeros((180, 320), np.uint8)
    cv2.ellipse(person, (160, 120), (50, 80), 0, 0, 360, 255, -1)
    picture[person > 0] = 5
    behind = blur_source(picture, person, 1.0)
    ring = (cv2.dilate(person, np.ones((15, 15), np.uint8)) > 0) & (person == 0)
    assert behind[ring].min() > 225


def test_cover_and_contain_keep_proportions():
    wide = np.zeros((50, 200, 4), np.uint8)
    assert cover(wide, 80, 80).shape == (80, 80, 4)
    assert contain(wide, 80, 80).shape == (20, 80, 4)


def test_scaling_does_not_pull_hidden_colour_into_the_edge():
    """Green under full transparency must not tint a red shape when it is scaled."""
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:] = (0, 255, 0, 0)
    picture[16:48, 16:48] = (0, 0, 255, 255)
    small = contain(picture, 20, 20)
    seen = small[small[..., 3] > 20]
    assert seen[:, 1].max() <= 8


def test_a_room_is_drawn_once_and_the_same_from_the_cache(tmp_path, monkeypatch):
    form = SetBackground(name="office", light="warm")
    first = open_backdrop(form, CANVAS, resolve, tmp_path).still
    assert (first == sets.draw_set(form, CANVAS)).all()
    monkeypatch.setattr(sets, "draw_set", lambda *_: pytest.fail("it was drawn before"))
    assert (open_backdrop(form, CANVAS, resolve, tmp_path).still == first).all()
    monkeypatch.undo()
    [stored] = (tmp_path / "sets").iterdir()
    stored.write_bytes(stored.read_bytes()[:200])
    assert (open_backdrop(form, CANVAS, resolve, tmp_path).still == first).all(), (
        "a damaged file is drawn anew"
    )
    other = open_backdrop(SetBackground(name="office", light="cool"), CANVAS, resolve, tmp_path).still
    assert (other != first).any()
    for number in range(sets.MAX_STORED + 3):
        form = SetBackground(name="office", depth=number / 100)
        open_backdrop(form, CANVAS, resolve, tmp_path)
    assert len(list((tmp_path / "sets").iterdir())) == sets.MAX_STORED
