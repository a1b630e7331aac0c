"""The camera goes nearer without a jump, cuts where it is told, and leaves words where they are."""

import cv2
import numpy as np
import pytest
from avatar.compose.blend import Sprite
from avatar.compose.camera import CLOSE, CameraPath, Shooter, camera_path, stage_scene
from avatar.compose.colour import Planes
from avatar.compose.sets import draw_set
from avatar.spec import Canvas, Notice, Scene, SetBackground
from avatar.tracks import Word

CANVAS = Canvas(width=320, height=180, fps=25)
WORDS = [
    Word("Hello.", 300, 900), Word("This", 5000, 5300), Word("is", 5400, 5600), Word("it.", 5700, 6000),
    Word("And", 6500, 6800), Word("more.", 6900, 12_000),
]  # fmt: skip


def path_of(**camera) -> tuple[CameraPath | None, list[Notice]]:
    notices: list[Notice] = []
    scene = Scene.model_validate({"id": "s", "script": "x", "camera": camera})
    return camera_path(stage_scene(scene, CANVAS), WORDS, 300, CANVAS, notices.append), notices


def picture() -> np.ndarray:
    x = np.tile(np.linspace(0, 255, 320, dtype=np.float32), (180, 1))
    return np.dstack([x, np.full_like(x, 90), 255 - x]).astype(np.uint8)


def test_a_still_camera_costs_nothing():
    assert path_of(framing="close")[0] is None


def test_a_push_in_is_steady_and_ends_where_it_says():
    path, _ = path_of(push_in=0.06)
    steps = np.diff(path.scales)
    assert path.scales[0] < 1.001 and path.scales[-1] == pytest.approx(1.06, abs=1e-3)
    assert steps.min() > 0 and np.ptp(steps) < 1e-9
    assert path.stage_scale == 1
    back, _ = path_of(push_in=-0.06)
    assert back.scales[0] > 1.059 and back.scales[-1] < 1.001


def test_cuts_go_close_at_their_word_and_are_drawn_sharp():
    cuts = [
        {"at": {"at": "word", "word": "This"}, "framing": "close"},
        {"at": {"at": "word", "word": "And"}, "framing": "bust"},
    ]
    path, _ = path_of(cuts=cuts)
    assert path.scales[124] == 1 and path.scales[125] == CLOSE and path.scales[163] == 1
    assert path.stage_scale == CLOSE


def test_a_cut_at_a_word_that_is_gone_is_left_out_with_a_warning():
    path, notices = path_of(cuts=[{"at": {"at": "word", "word": "gone"}, "framing": "close"}])
    assert set(path.scales) == {1.0} and [notice.code for notice in notices] == ["overlay.word_not_found"]


def test_cuts_at_sentences_are_four_seconds_apart():
    path, _ = path_of(cut_at_sentences=True)
    changes = np.flatnonzero(np.diff(path.scales)) + 1
    assert [round(int(frame) / 25, 1) for frame in changes] == [4.9]


def test_the_point_that_is_looked_at_keeps_its_place_and_words_theirs():
    stage = Planes.of(picture())
    shooter = Shooter(CameraPath((1.0, 1.5), (0.5, 0.5)), CANVAS)
    word = Sprite(np.full((20, 40, 3), 255, np.uint8), 4, 6)
    same = shooter.shoot(stage, 0, (), None).to_bgr().astype(int)
    assert np.abs(same - stage.to_bgr()).max() <= 2
    near = shooter.shoot(stage, 1, (word,), None).to_bgr().astype(int)
    assert abs(near[90, 160, 0] - same[90, 160, 0]) <= 2
    assert abs(near[90, 310, 0] - same[90, 260, 0]) <= 3
    assert near[8:24, 8:40].min() > 245


@pytest.mark.parametrize("scale", [1.0001, 1.01, 1.06, 1.38])
@pytest.mark.parametrize("centre", [(0.5, 0.42), (0.31, 0.0), (1.0, 0.7)])
def test_each_pixel_of_a_push_in_is_between_its_four_neighbours_of_the_stage(scale, centre):
    noise = np.random.default_rng(7).integers(0, 256, (180, 320, 3), np.uint8)
    stage = Planes.of(cv2.GaussianBlur(noise, (0, 0), 1))
    shown = Shooter(CameraPath((scale,), centre), CANVAS).shoot(stage, 0, (), None)
    for source, found in ((stage.y, shown.y), (stage.cb, shown.cb)):
        rows, columns = source.shape
        middle = [2 * round(share * size / 2) for share, size in zip(centre, (320, 180), strict=True)]
        x = neighbours(columns, middle[0] * columns / 320, scale)
        y = neighbours(rows, middle[1] * rows / 180, scale)
        expected = y @ source.astype(float) @ x.T
        assert np.abs(found - expected).max() < 2.5, "OpenCV rounds to a 32nd of a pixel"


def neighbours(size: int, middle: float, scale: float) -> np.ndarray:
    """Returns how much of each pixel of a line is in each pixel of the enlarged one, (size, size)."""
    at = np.clip((np.arange(size) + 0.5 - middle) / scale + middle - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def test_a_stage_drawn_larger_shows_the_same_frame():
    large = Planes.of(cv2.resize(picture(), (640, 360), interpolation=cv2.INTER_LINEAR))
    shown = Shooter(CameraPath((1.0,), (0.5, 0.42)), CANVAS).shoot(large, 0, (), None).to_bgr().astype(int)
    assert np.abs(shown - picture().astype(int)).mean() < 2


@pytest.mark.parametrize("shape", [(320, 180), (180, 320), (200, 200)])
@pytest.mark.parametrize(
    "framing", ["bust", "close", "half", "side_left", "side_right", "picture_in_picture"]
)
def test_every_framing_shows_the_face(shape, framing):
    canvas = Canvas(width=shape[0], height=shape[1])
    scene = stage_scene(
        Scene.model_validate({"id": "s", "script": "x", "camera": {"framing": framing}}), canvas
    )
    box = scene.layout.box
    assert 0.1 < box.x + 0.5 * box.width < 0.9 and 0.1 < box.y + 0.42 * box.height < 0.8
    if framing in ("half", "side_left", "side_right"):
        assert scene.background.kind == "set", "what they leave free is not empty"


def test_voice_over_shows_nobody_and_needs_no_consent():
    scene = Scene.model_validate({"id": "s", "script": "x", "camera": {"framing": "voice_over"}})
    assert not scene.speaker_visible


@pytest.mark.parametrize("name", ["studio", "office", "classroom", "plain"])
def test_a_set_fills_every_shape_and_depth_takes_its_edges(name):
    for width, height in ((320, 180), (180, 320)):
        sharp, soft = (
            draw_set(SetBackground(name=name, depth=depth), Canvas(width=width, height=height))
            for depth in (0.0, 1.0)
        )
        assert sharp.shape == (height, width, 3) and sharp.min(axis=2).max() > 40
        edges = [float(np.abs(cv2.Laplacian(one, cv2.CV_32F)).mean()) for one in (sharp, soft)]
        assert edges[1] <= edges[0] + 0.1
    warm, cool = (draw_set(SetBackground(name=name, light=light), CANVAS) for light in ("warm", "cool"))
    assert warm[..., 2].mean() > cool[..., 2].mean() and warm[..., 0].mean() < cool[..., 0].mean()


def test_the_camera_looks_between_two_speakers():
    own = {"box": {"x": 0.0, "y": 0.0, "width": 0.4, "height": 1.0}}
    guest = {"name": "mei", "layout": {"box": {"x": 0.6, "y": 0.0, "width": 0.4, "height": 1.0}}}
    scene = Scene.model_validate(
        {"id": "s", "script": "x", "camera": {"push_in": 0.06}, "layout": own, "speakers": [guest]}
    )
    path = camera_path(stage_scene(scene, CANVAS), WORDS, 300, CANVAS, lambda _: None)
    assert path.centre == pytest.approx((0.5, 0.42))
