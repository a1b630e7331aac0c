"""Overlays come, fade and go at their moments, in their boxes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect
from avatar.compose.overlays import open_overlays
from avatar.errors import InvalidInput
from avatar.spec import (
    Box,
    Canvas,
    ImageOverlay,
    MediaRef,
    Notice,
    Scene,
    TextOverlay,
    TimeAnchor,
    VideoOverlay,
    WordAnchor,
)
from avatar.tracks import Word

CANVAS = Canvas(width=320, height=180, fps=25)
WORDS = [Word("red", 400, 800), Word("circle", 900, 1400)]
DURATION_MS = 2000
HALF = Box(x=0.5, y=0.0, width=0.5, height=0.5)


def resolve(ref: MediaRef) -> Path:
    return Path(ref.path or "")


def tracks_of(*overlays):
    notices: list[Notice] = []
    scene = Scene(id="s", script="red circle", overlays=overlays)
    fonts = Fonts.of_this_machine()
    return open_overlays(scene, WORDS, DURATION_MS, CANVAS, resolve, fonts, notices.append), notices


def visible_sprites(track) -> list[tuple[int, float]]:
    """Every 40 ms: the moment and the opacity, where the overlay is seen."""
    found = []
    for ms in range(0, DURATION_MS, 40):
        sprite = track.at(ms)
        if sprite is not None:
            found.append((ms, sprite.opacity))
    return found


def test_a_text_comes_with_its_word_and_goes_with_another():
    (track,), _ = tracks_of(
        TextOverlay(
            text="Hi",
            box=HALF,
            fade_ms=0,
            start=WordAnchor(word="red"),
            end=WordAnchor(word="circle", edge="end"),
        )
    )
    moments = visible_sprites(track)
    assert (moments[0][0], moments[-1][0]) == (400, 1360)
    assert {opacity for _, opacity in moments} == {1.0}


def test_fades_rise_and_fall_and_never_pass_the_opacity():
    (track,), _ = tracks_of(
        TextOverlay(
            text="Hi", box=HALF, fade_ms=400, opacity=0.8, start=TimeAnchor(ms=200), end=TimeAnchor(ms=1600)
        )
    )
    opacities = [opacity for _, opacity in visible_sprites(track)]
    top = opacities.index(max(opacities))
    assert opacities[: top + 1] == sorted(opacities[: top + 1])
    assert opacities[-5:] == sorted(opacities[-5:], reverse=True)
    assert opacities[0] < 0.1
    assert max(opacities) == pytest.approx(0.8)


def test_a_fade_longer_than_the_overlay_still_reaches_the_middle():
    (track,), _ = tracks_of(
        TextOverlay(text="Hi", box=HALF, fade_ms=5000, start=TimeAnchor(ms=0), end=TimeAnchor(ms=400))
    )
    assert max(opacity for _, opacity in visible_sprites(track)) > 0.85


def test_without_an_end_it_stays_until_the_scene_ends():
    (track,), _ = tracks_of(TextOverlay(text="Hi", box=HALF, fade_ms=0))
    assert len(visible_sprites(track)) == DURATION_MS / 40


def test_an_image_keeps_its_shape_in_the_middle_of_its_box(tmp_path):
    cv2.imwrite(str(tmp_path / "i.png"), np.full((100, 50, 3), 200, np.uint8))
    (track,), _ = tracks_of(ImageOverlay(image=MediaRef(path=str(tmp_path / "i.png")), box=HALF))
    assert track.at(0).rect == Rect(160 + 57, 0, 45, 90)


def test_a_video_begins_when_it_is_first_seen_and_holds_its_last_picture(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 80])
    (track,), _ = tracks_of(
        VideoOverlay(video=MediaRef(path=str(clip)), box=HALF, fade_ms=0, start=TimeAnchor(ms=400))
    )
    shades = [
        int(np.median(sprite.pixels)) for ms in range(0, 640, 40) if (sprite := track.at(ms)) is not None
    ]
    assert shades == [8, 16, 24, 24, 24, 24]


def test_an_overlay_that_is_never_seen_is_reported():
    tracks, notices = tracks_of(
        TextOverlay(text="a", box=HALF, start=TimeAnchor(ms=5000)),
        TextOverlay(text="b", box=HALF, start=WordAnchor(word="circle"), end=WordAnchor(word="red")),
    )
    assert tracks == []
    assert [notice.code for notice in notices] == ["overlay.never_shown"] * 2
    assert notices[0].scene == "s"


def test_a_word_that_is_not_said_stops_the_scene():
    with pytest.raises(InvalidInput) as caught:
        tracks_of(TextOverlay(text="a", box=HALF, start=WordAnchor(word="circel")))
    assert caught.value.code == "overlay.word_not_found"
    assert "circle" in caught.value.hint
