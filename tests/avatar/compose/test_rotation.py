"""Overlays are rotated about the middle of their boxes: angle, middle, edges, and how they move."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.compose.blend import Sprite
from avatar.compose.fonts import Fonts
from avatar.compose.graphics import area_of
from avatar.compose.layout import Rect, place
from avatar.compose.overlays import open_overlays
from avatar.compose.rotation import rotate
from avatar.spec import (
    Animation,
    Box,
    Canvas,
    HighlightOverlay,
    ImageOverlay,
    ListItem,
    ListOverlay,
    LowerThirdOverlay,
    MediaRef,
    Scene,
    TextOverlay,
    TimeAnchor,
    TitleOverlay,
    VideoOverlay,
)

CANVAS = Canvas(width=640, height=360, fps=25)
BAR = Box(x=0.3, y=0.4, width=0.4, height=0.1)
LATE = 900
"""All that comes has come by then, in ms."""
ANGLES = [1.0, 20.0, 45.0, 90.0, -30.0, 180.0, -135.0]


def tracks_of(overlay, canvas=CANVAS):
    scene = Scene(id="s", script="one", overlays=(overlay,))
    fonts = Fonts.of_this_machine()
    return open_overlays(scene, (), 2000, canvas, lambda ref: Path(ref.path or ""), fonts, lambda _: None)


def on_canvas(sprites: list[Sprite], canvas: Canvas = CANVAS) -> np.ndarray:
    """The alpha of sprites, (h, w) float of 0 to 255, on a canvas with half a height around it."""
    margin = canvas.height // 2
    whole = np.zeros((canvas.height + 2 * margin, canvas.width + 2 * margin))
    for sprite in sprites:
        at = whole[sprite.y + margin :, sprite.x + margin :][: sprite.rect.height, : sprite.rect.width]
        own = sprite.pixels[..., 3] if sprite.pixels.shape[2] == 4 else np.full(at.shape, 255)
        np.maximum(at, own, out=at)
    return whole


def axis_deg(alpha: np.ndarray) -> float:
    """The direction of the long axis by second moments, clockwise from the right, modulo 180."""
    m = cv2.moments(alpha.astype(np.float32))
    return float(np.degrees(0.5 * np.arctan2(2 * m["mu11"], m["mu20"] - m["mu02"]))) % 180


def middle(alpha: np.ndarray) -> tuple[float, float]:
    """The centre of gravity, in pixels of the canvas."""
    m = cv2.moments(alpha.astype(np.float32))
    margin = CANVAS.height // 2
    return m["m10"] / m["m00"] - margin + 0.5, m["m01"] / m["m00"] - margin + 0.5


@pytest.fixture
def bar_file(tmp_path) -> Path:
    path = tmp_path / "bar.png"
    cv2.imwrite(str(path), np.full((36, 256, 3), (40, 90, 200), np.uint8))
    return path


def kinds_of_bars(path: Path, degrees: float):
    """Overlays that fill `BAR`, or are as long and as thin."""
    yield TextOverlay(text="–", box=BAR, background="#203040", rotation_deg=degrees)
    yield ImageOverlay(image=MediaRef(path=str(path)), box=BAR, fit="stretch", rotation_deg=degrees)
    yield HighlightOverlay(box=BAR, rotation_deg=degrees)


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_bar_lies_at_its_angle_about_the_middle_of_its_box(bar_file, degrees):
    box = place(BAR, CANVAS)
    for overlay in kinds_of_bars(bar_file, degrees):
        (track,) = tracks_of(overlay)
        alpha = on_canvas([track.at(LATE)])
        off = (axis_deg(alpha) - degrees + 90) % 180 - 90
        assert abs(off) < 0.3, overlay.kind
        assert middle(alpha) == pytest.approx((box.x + box.width / 2, box.y + box.height / 2), abs=0.6)


@pytest.mark.parametrize("degrees", ANGLES)
def test_no_corner_is_cut_and_the_edges_are_smooth(bar_file, degrees):
    overlay = ImageOverlay(image=MediaRef(path=str(bar_file)), box=BAR, fit="stretch", rotation_deg=degrees)
    (track,) = tracks_of(overlay)
    sprite = track.at(LATE)
    alpha = sprite.pixels[..., 3]
    assert alpha.sum() / 255 == pytest.approx(256 * 36, rel=0.002)
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() == 0
    if degrees % 90:
        assert len(np.unique(alpha)) > 5
    else:
        assert set(np.unique(alpha)) == {0, 255}
    # No colour of transparent parts in the edges.
    assert np.abs(sprite.pixels[alpha > 40][:, :3].astype(int) - (40, 90, 200)).max() <= 4


def test_a_quarter_turn_moves_pixels_and_changes_none():
    pixels = np.random.default_rng(3).integers(0, 256, (31, 50, 4), np.uint8)
    pixels[..., 3] = 255
    turned = rotate(Sprite(pixels, 7, 9), 90, Rect(7, 9, 50, 31))
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(turned.pixels[..., 3]))
    assert np.array_equal(turned.pixels[y : y + height, x : x + width], np.rot90(pixels, -1))


def all_kinds(image: Path, clip: Path, **values):
    yield TextOverlay(text="Hi", box=BAR, **values)
    yield ImageOverlay(image=MediaRef(path=str(image)), box=BAR, **values)
    yield VideoOverlay(video=MediaRef(path=str(clip)), box=BAR, **values)
    yield TitleOverlay(title="Tides", **values)
    yield LowerThirdOverlay(name="Ada", **values)
    yield ListOverlay(items=(ListItem(text="a"), ListItem(text="b")), **values)
    yield HighlightOverlay(box=BAR, **values)


def test_at_zero_the_sprite_itself_is_shown_and_otherwise_every_kind_is_rotated(
    bar_file, tmp_path, make_clip
):
    clip = make_clip(tmp_path / "clip.mp4", list(range(0, 400, 40)))
    sprite = Sprite(np.zeros((4, 6, 3), np.uint8), 1, 2)
    assert rotate(sprite, 0.0, sprite.rect) is sprite
    for plain, rotated in zip(
        all_kinds(bar_file, clip), all_kinds(bar_file, clip, rotation_deg=30), strict=True
    ):
        before = [track.at(LATE) for track in tracks_of(plain)]
        zero = [track.at(LATE) for track in tracks_of(plain.model_copy(update={"rotation_deg": -0.0}))]
        after = [track.at(LATE) for track in tracks_of(rotated)]
        for one, same, other in zip(before, zero, after, strict=True):
            if one is None:
                continue
            assert np.array_equal(one.pixels, same.pixels) and one.rect == same.rect
            assert one.rect != other.rect, plain.kind


def test_without_a_box_it_is_rotated_about_the_middle_of_the_usual_place():
    plain = ListOverlay(items=(ListItem(text="a"),) * 2, marker="none")
    area = area_of(plain, CANVAS)
    (panel, *_) = tracks_of(plain.model_copy(update={"rotation_deg": 180.0}))
    assert panel.at(LATE).rect.x == area.x - 2
    about = np.array([area.x + area.width / 2, area.y + area.height / 2])
    assert middle(on_canvas([panel.at(LATE)])) == pytest.approx(tuple(about), abs=0.6)


def test_items_of_a_list_turn_with_their_panel():
    plain = ListOverlay(items=(ListItem(text="mmmmmmmm"),), marker="none", fade_ms=0)
    _, row = tracks_of(plain)
    _, turned = tracks_of(plain.model_copy(update={"rotation_deg": 90.0}))
    before, after = (np.array(middle(on_canvas([one.at(1900)]))) for one in (row, turned))
    area = area_of(plain, CANVAS)
    about = np.array([area.x + area.width / 2, area.y + area.height / 2])
    across, down = before - about
    assert after - about == pytest.approx([-down, across], abs=0.8)


@pytest.mark.parametrize("kind", ["slide_left", "slide_up", "pop", "wipe", "fade"])
def test_a_rotated_overlay_comes_by_each_animation_and_stays_at_its_angle(bar_file, kind):
    overlay = ImageOverlay(
        image=MediaRef(path=str(bar_file)),
        box=BAR,
        fit="stretch",
        rotation_deg=30,
        start=TimeAnchor(ms=0),
        enter=Animation(kind=kind, ms=400),
    )
    (track,) = tracks_of(overlay)
    coming, there = track.at(80), track.at(LATE)
    early, late = on_canvas([coming]), on_canvas([there])
    assert coming.opacity < 1 or early.sum() < late.sum()
    if kind != "wipe":
        assert axis_deg(early) == pytest.approx(30, abs=0.6)
    (x, y), (end_x, end_y) = middle(early), middle(late)
    if kind == "slide_left":
        assert x > end_x + 5 and y == pytest.approx(end_y, abs=0.1)
    elif kind == "slide_up":
        assert y > end_y + 3 and x == pytest.approx(end_x, abs=0.1)
    elif kind == "wipe":
        assert x < end_x - 5
    else:
        assert (x, y) == pytest.approx((end_x, end_y), abs=0.8)


def test_the_veil_of_a_rotated_frame_darkens_all_but_the_rotated_frame():
    overlay = HighlightOverlay(box=BAR, dim=0.5, rotation_deg=90, fade_ms=0)
    (veil,) = tracks_of(overlay)
    sprite = veil.at(LATE)
    assert sprite.pixels.shape[:2] == (CANVAS.height, CANVAS.width)
    alpha = sprite.pixels[..., 3].astype(int)
    box = place(BAR, CANVAS)
    x, y = box.x + box.width // 2, box.y + box.height // 2
    # Along the upright bar it is clear, at the ends of the lying one dark, and in every corner.
    assert alpha[y - 110, x] == alpha[y + 110, x] == alpha[y, x] == 0
    for dark in (alpha[y, x - 110], alpha[y, x + 110], *alpha[[5, 5, -5, -5], [5, -5, 5, -5]]):
        assert abs(dark - 128) < 3


def test_frames_of_a_rotated_video_follow_each_other(tmp_path, make_clip):
    clip = make_clip(tmp_path / "clip.mp4", list(range(0, 400, 40)))
    box = Box(x=0.25, y=0.25, width=0.5, height=0.5)
    overlay = VideoOverlay(video=MediaRef(path=str(clip)), box=box, fit="cover", rotation_deg=25, fade_ms=0)
    (track,) = tracks_of(overlay)
    sprites = [track.at(40 * frame) for frame in range(8)]
    reds = [int(one.pixels[one.rect.height // 2, one.rect.width // 2, 2]) for one in sprites]
    assert len(set(reds)) == len(reds)
    assert all(np.array_equal(one.pixels[..., 3], sprites[0].pixels[..., 3]) for one in sprites)
    alpha = sprites[0].pixels[..., 3]
    assert alpha.sum() / 255 == pytest.approx(320 * 180, rel=0.003)
