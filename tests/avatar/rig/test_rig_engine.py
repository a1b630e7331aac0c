"""The rig keeps the promises of the engine door: layers, threads, sizes, transparency."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import skia
from avatar.engines.base import Layer, Pixels
from avatar.engines.rig import load_character, open_rig
from avatar.engines.rig.characters import NAMES
from avatar.engines.rig.engine import RigEngine, framing, studio
from avatar.engines.rig.figure import Figure
from avatar.engines.rig.pose import Pose
from avatar.errors import InvalidInput
from avatar.tracks import CHANNELS, ControlTrack

SIZES = [(160, 90), (640, 360), (480, 480), (360, 640), (250, 1000), (1280, 360)]
EXTREMES = [
    {"yaw_deg": 10.0, "roll_deg": 5.0, "sway": 1.0, "pitch_deg": -6.0, "breath": 1.0},
    {"yaw_deg": -10.0, "roll_deg": -5.0, "sway": -1.0, "pitch_deg": 6.0, "jaw": 1.0},
]
CHANGES = dict.fromkeys(CHANNELS, 1.0) | {"yaw_deg": 4.0, "pitch_deg": 3.0, "roll_deg": 2.0}


def place_layer(engine: RigEngine, layer: Layer) -> Pixels:
    """The whole picture: the layer put on the base."""
    assert engine.base is not None
    picture = engine.base.copy()
    height, width = layer.pixels.shape[:2]
    picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
    return picture


def draw_unbounded(name: str, size: tuple[int, int], pose: Pose) -> Pixels:
    """The same picture drawn in one go over the whole studio, with no box around the figure."""
    character = load_character(name)
    pixels = studio(character.backdrop, size)
    canvas = skia.Surface(pixels, colorType=skia.kBGRA_8888_ColorType).getCanvas()
    place = framing(size, character.top)
    canvas.translate(place.x, place.y)
    canvas.scale(place.scale, place.scale)
    Figure(character).draw(canvas, pose)
    return np.ascontiguousarray(pixels[..., :3])


def test_an_unknown_character_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_rig("../nova", (160, 90), 25, False)
    assert caught.value.code == "face.unknown_character"
    assert all(name in caught.value.hint for name in NAMES)


def test_three_characters_are_drawn_and_differ(pose) -> None:
    assert set(NAMES) >= {"nova", "milo", "vera"}
    pictures = []
    for name in NAMES:
        engine = open_rig(name, (320, 180), 25, False)
        pictures.append(place_layer(engine, engine.draw(pose())).astype(int))
    for k, first in enumerate(pictures):
        for second in pictures[k + 1 :]:
            assert np.abs(first - second).mean() > 10


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("alpha", [False, True])
def test_every_layer_lies_inside_the_picture(size: tuple[int, int], alpha: bool, pose) -> None:
    engine = open_rig("nova", size, 25, alpha)
    assert engine.size == size
    assert engine.base is not None
    assert engine.base.shape == (size[1], size[0], 4 if alpha else 3)
    for change in EXTREMES:
        layer = engine.draw(pose(**change))
        height, width, channels = layer.pixels.shape
        assert layer.pixels.dtype == np.uint8
        assert channels == (4 if alpha else 3)
        assert layer.x >= 0 and layer.y >= 0
        assert layer.x + width <= size[0] and layer.y + height <= size[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", EXTREMES, ids=["right", "left"])
def test_base_and_layer_together_are_the_full_drawing(name: str, change: dict[str, float], pose) -> None:
    size = (640, 360)
    engine = open_rig(name, size, 25, False)
    strained = pose(swing=12.0 if change["sway"] > 0 else -12.0, **change)
    difference = cv2.absdiff(place_layer(engine, engine.draw(strained)), draw_unbounded(name, size, strained))
    # Edges may round differently here and there; a figure cut off by its box would differ in whole rows.
    assert (difference.max(axis=2) > 8).mean() < 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_head_is_never_cut(name: str, size: tuple[int, int], pose) -> None:
    engine = open_rig(name, size, 25, True)
    place = framing(size, load_character(name).top)
    chin = int(place.y + 110 * place.scale)
    for change in EXTREMES:
        cover = place_layer(engine, engine.draw(pose(**change)))[..., 3]
        assert cover[0].max() == 0
        assert cover[:chin, 0].max() == 0
        assert cover[:chin, -1].max() == 0
        assert cover[-1, size[0] // 2] == 255


def test_the_body_reaches_the_bottom_of_a_4k_picture(pose) -> None:
    engine = open_rig("nova", (3840, 2160), 25, True)
    cover = place_layer(engine, engine.draw(pose()))[..., 3]
    assert cover[-1, 1500:2300].min() == 255


@pytest.mark.parametrize("channel", [name for name in CHANNELS if name != "energy"])
def test_every_channel_moves_something(channel: str, pose) -> None:
    engine = open_rig("nova", (640, 360), 25, False)
    # These show only in an open mouth.
    before = {"jaw": 0.3, "low": 0.3} if channel in ("press", "skew", "tongue", "tuck") else {}
    still = engine.draw(pose(**before)).pixels.astype(int)
    moved = engine.draw(pose(**before | {channel: CHANGES[channel]})).pixels.astype(int)
    assert np.abs(still - moved).max() > 40


def test_the_same_frame_is_always_the_same_picture(lively: ControlTrack) -> None:
    first, second = open_rig("vera", (320, 180), 25, False), open_rig("vera", (320, 180), 25, False)
    for index, (a, b) in enumerate(zip(first.items(lively), second.items(lively), strict=True)):
        if index % 10 == 0:
            assert np.array_equal(first.draw(a).pixels, second.draw(b).pixels)


@pytest.mark.parametrize("alpha", [False, True])
def test_frames_drawn_by_threads_in_any_order_equal_those_drawn_in_turn(
    lively: ControlTrack, alpha: bool
) -> None:
    engine = open_rig("milo", (320, 180), 25, alpha)
    items = list(engine.items(lively))
    in_turn = [engine.draw(item).pixels for item in items]
    order = np.random.default_rng(5).permutation(len(items)).tolist()
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda k: engine.draw(items[k]).pixels, order))
    assert all(np.array_equal(in_turn[k], pixels) for k, pixels in zip(order, drawn, strict=True))


def test_a_layer_is_not_overwritten_by_the_next_frame(pose) -> None:
    engine = open_rig("nova", (320, 180), 25, False)
    pixels = engine.draw(pose()).pixels
    copy = pixels.copy()
    engine.draw(pose(jaw=1.0, sway=1.0))
    assert np.array_equal(pixels, copy)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_out_figure_over_its_studio_looks_like_the_opaque_one(name: str, pose) -> None:
    opaque, cut_out = open_rig(name, (640, 360), 25, False), open_rig(name, (640, 360), 25, True)
    expected = place_layer(opaque, opaque.draw(pose(jaw=0.4)))
    figure = place_layer(cut_out, cut_out.draw(pose(jaw=0.4)))
    cover = figure[..., 3:].astype(np.float32) / 255
    assert opaque.base is not None
    over = figure[..., :3] * cover + opaque.base * (1 - cover)
    assert np.abs(over - expected).max() <= 4
    assert figure[0, 0, 3] == 0
    soft = (cover > 0.02) & (cover < 0.98)
    assert 0 < soft.mean() < 0.05, "edges are smooth, and only edges"


def test_hair_trails_behind_a_turning_head_and_comes_to_rest(track) -> None:
    turn = np.where(np.arange(100) < 10, 0.0, 6.0)
    engine = open_rig("nova", (160, 90), 25, False)
    swings = [item.swing for item in engine.items(track(100, yaw_deg=turn))]
    assert swings[:10] == [0.0] * 10
    assert max(map(abs, swings)) > 3
    assert abs(swings[-1]) < 0.05


def test_the_report_names_the_character() -> None:
    engine = open_rig("milo", (160, 90), 25, False)
    assert engine.report().facts["character"] == "milo"
    assert engine.info.name == "rig" and engine.info.gpus == 0
    engine.close()
