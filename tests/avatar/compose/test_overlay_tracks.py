"""Overlays come, fade and go at their moments, in their boxes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.compose.fonts import Fonts
from avatar.compose.graphics import list_sprites, lower_third, title_card
from avatar.compose.layout import Rect, safe_area
from avatar.compose.overlays import open_overlays
from avatar.spec import (
    Animation,
    ArrowOverlay,
    Box,
    Canvas,
    Crop,
    HighlightOverlay,
    ImageOverlay,
    ListItem,
    ListOverlay,
    LowerThirdOverlay,
    MediaRef,
    Notice,
    Point,
    Scene,
    TextOverlay,
    TimeAnchor,
    TitleOverlay,
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


def test_a_word_that_was_edited_away_leaves_its_overlay_out_with_a_warning():
    tracks, notices = tracks_of(
        TextOverlay(text="a", box=HALF, start=WordAnchor(word="circel")),
        TextOverlay(text="b", box=HALF, fade_ms=0, end=WordAnchor(word="gone")),
    )
    assert [notice.code for notice in notices] == ["overlay.word_not_found"] * 2
    assert "circle" in notices[0].message and notices[0].scene == "s"
    (track,) = tracks
    assert len(visible_sprites(track)) == DURATION_MS / 40, "without its last word it stays"


def test_items_of_a_list_come_with_their_words_and_evenly_between():
    items = (
        ListItem(text="one", at=WordAnchor(word="red")),
        ListItem(text="two"),
        ListItem(text="three", at=WordAnchor(word="circle")),
    )
    tracks, _ = tracks_of(ListOverlay(items=items, heading="Three"))
    panel, *rows = tracks
    assert panel.start_ms == 0
    assert [row.start_ms for row in rows] == [400, 650, 900]
    tops = [row.at(1900).y for row in rows]
    assert tops == sorted(tops) and len(set(tops)) == 3


@pytest.mark.parametrize(
    "kind", ["fade", "slide_left", "slide_right", "slide_up", "slide_down", "pop", "wipe"]
)
def test_every_animation_ends_with_the_overlay_as_it_is(kind):
    still, moving = (
        tracks_of(TextOverlay(text="Hi", box=HALF, fade_ms=0, enter=enter))[0][0]
        for enter in (None, Animation(kind=kind, ms=800))
    )
    whole = still.at(1000)
    early, late = moving.at(80), moving.at(1000)
    assert late.rect == whole.rect and np.array_equal(late.pixels, whole.pixels) and late.opacity == 1
    assert early.rect != whole.rect or early.opacity < 0.5


def test_a_higher_overlay_lies_over_a_lower_one_wherever_it_is_listed():
    tracks, _ = tracks_of(
        TextOverlay(text="above", box=HALF, z=1, colour="#ff0000"), TextOverlay(text="below", box=HALF)
    )
    assert [int(track.at(1000).pixels[..., 2].max()) for track in tracks] == [255, 255]
    assert tracks[1].at(1000).pixels[..., 0].max() == 0, "the red one comes last"


def test_a_picture_is_cropped_fills_its_box_and_has_round_corners(tmp_path):
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, 50:] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "i.png"), picture)
    crop = Crop(x=0.5, width=0.5)
    image = ImageOverlay(
        image=MediaRef(path=str(tmp_path / "i.png")), box=HALF, fit="cover", crop=crop, corner_radius=0.3
    )
    (track,), _ = tracks_of(image)
    sprite = track.at(1000)
    assert sprite.rect == Rect(160, 0, 160, 90)
    assert sprite.pixels[45, 80].tolist() == [0, 0, 255, 255]
    assert sprite.pixels[0, 0, 3] == 0 and sprite.pixels[-1, -1, 3] == 0


def test_a_video_is_trimmed_and_begins_again(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 80, 120])
    (track,), _ = tracks_of(
        VideoOverlay(video=MediaRef(path=str(clip)), box=HALF, fade_ms=0, from_ms=40, until_ms=120, loop=True)
    )
    shades = [int(np.median(track.at(ms).pixels)) for ms in range(0, 240, 40)]
    assert shades == [16, 24, 16, 24, 16, 24]


def test_an_arrow_grows_and_a_veil_darkens_all_but_its_box():
    (arrow,), _ = tracks_of(ArrowOverlay(tail=Point(x=0.1, y=0.1), head=Point(x=0.9, y=0.8)))
    assert arrow.at(40).rect.width < 0.6 * arrow.at(1000).rect.width
    (veil,), _ = tracks_of(HighlightOverlay(box=HALF, dim=0.5, fade_ms=0))
    alpha = veil.at(1000).pixels[..., 3]
    assert alpha.shape == (180, 320)
    assert alpha[45, 240] == 0 and abs(int(alpha[170, 20]) - 128) < 3


@pytest.mark.parametrize(("width", "height"), [(320, 180), (180, 320), (200, 200)])
def test_words_of_titles_and_names_stay_inside_the_safe_area(width, height):
    canvas = Canvas(width=width, height=height)
    fonts = Fonts.of_this_machine()
    area = safe_area(canvas)
    third = LowerThirdOverlay(name="A rather long name of somebody", role="Professor of the sea")
    for sprite in (
        title_card(TitleOverlay(title="How the tides of the sea work", subtitle="a film"), canvas, fonts),
        lower_third(third, canvas, fonts),
        lower_third(third.model_copy(update={"side": "right"}), canvas, fonts),
        *list_sprites(ListOverlay(items=(ListItem(text="word " * 20),) * 3), canvas, fonts)[1],
    ):
        x, y, wide, high = cv2.boundingRect(
            np.ascontiguousarray((sprite.pixels[..., 3] > 200).astype(np.uint8))
        )
        assert wide > 0
        seen = Rect(sprite.x + x, sprite.y + y, wide, high)
        assert seen.within(area) == seen


@pytest.mark.parametrize("share", [0.26, 0.16])
def test_both_lines_of_a_title_are_whole_in_a_low_box(share):
    canvas = Canvas(width=640, height=360)
    box = Box(x=0.06, y=0.05, width=0.88, height=share)
    title = TitleOverlay(title="How to say it", subtitle="Gently, and joyfully", box=box)
    pixels = title_card(title, canvas, Fonts.of_this_machine()).pixels
    _, y, _, high = cv2.boundingRect(np.ascontiguousarray((pixels[..., 3] > 200).astype(np.uint8)))
    assert y > 0 and y + high < pixels.shape[0]


def test_a_font_that_is_not_here_is_named_and_another_is_drawn():
    tracks, notices = tracks_of(TextOverlay(text="Hi", box=HALF, font="DejaVu Sanss"))
    assert [notice.code for notice in notices] == ["text.font_missing"]
    assert "DejaVu Sans" in notices[0].message and len(tracks) == 1
