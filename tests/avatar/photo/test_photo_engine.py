"""The photo engine as the pipeline sees it: cached, thread-safe, cut out when asked, honest about input."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from avatar.engines.base import Layer
from avatar.engines.mesh import INFO, PhotoEngine
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.stage import Stage
from avatar.errors import InvalidInput
from avatar.spec import MediaRef, PhotoFace
from avatar.tracks import CHANNELS, ControlTrack

FIXTURES = Path(__file__).parent / "fixtures"
Pose = Callable[..., dict[str, float]]
Open = Callable[..., PhotoEngine]
Whole = Callable[[PhotoEngine, Layer], np.ndarray]


def test_a_track_gives_one_item_per_frame(engine: PhotoEngine) -> None:
    curves = {name: np.linspace(0, 1, 7, dtype=np.float32) for name in CHANNELS}
    items = list(engine.items(ControlTrack(25, curves)))
    assert len(items) == 7 and items[3]["jaw"] == pytest.approx(0.5)


def test_layers_lie_inside_the_picture_on_even_pixels(engine: PhotoEngine, pose: Pose) -> None:
    layer = engine.draw(pose(yaw_deg=5.0))
    height, width = layer.pixels.shape[:2]
    assert (layer.x % 2, layer.y % 2, width % 2, height % 2) == (0, 0, 0, 0)
    assert layer.x + width <= engine.size[0] and layer.y + height <= engine.size[1]
    assert layer.pixels.shape[2] == 3 and engine.base is not None


def test_the_face_moves_and_the_far_background_does_not(
    engine: PhotoEngine, pose: Pose, whole: Callable[[PhotoEngine, Layer], np.ndarray]
) -> None:
    still = whole(engine, engine.draw(pose()))
    moved = whole(engine, engine.draw(pose(jaw=0.7, yaw_deg=6.0, roll_deg=2.0, sway=1.0)))
    change = np.abs(moved.astype(int) - still).max(axis=2)
    assert change[:, :60].max() == 0 and change[:, -60:].max() == 0
    assert change[100:260, 240:400].mean() > 8


def test_frames_are_the_same_in_any_order_and_from_any_thread(engine: PhotoEngine, pose: Pose) -> None:
    poses = [pose(jaw=k / 12, blink=(k % 4) / 3, yaw_deg=k - 6.0, gaze_x=k / 6 - 1) for k in range(12)]
    alone = [engine.draw(p).pixels for p in poses]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda p: engine.draw(p).pixels, reversed(poses)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, reversed(together), strict=True))


def test_a_layer_is_not_touched_by_later_frames(engine: PhotoEngine, pose: Pose) -> None:
    first = engine.draw(pose(jaw=0.5)).pixels
    before_ = first.copy()
    engine.draw(pose(blink=1.0, yaw_deg=-5.0))
    assert np.array_equal(first, before_)


def test_a_cut_out_person_moves_with_its_alpha(open_drawn: Open, pose: Pose) -> None:
    engine = open_drawn(alpha=True)
    assert engine.base is None
    still, moved = (np.zeros((360, 640, 4), np.uint8) for _ in range(2))
    for picture, sway in ((still, 0.0), (moved, 1.0)):
        layer = engine.draw(pose(sway=sway))
        height, width = layer.pixels.shape[:2]
        picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
    assert still[20, 20, 3] == 0 and still[180, 320, 3] == 255
    columns = np.arange(640)
    centre = [(p[100, :, 3] * columns).sum() / p[100, :, 3].sum() for p in (still.astype(float), moved)]
    assert centre[1] > centre[0] + 2


def test_several_processes_may_prepare_the_same_portrait_at_once(
    open_drawn: Open, tmp_path: Path, pose: Pose
) -> None:
    with ThreadPoolExecutor(6) as pool:
        engines = list(pool.map(lambda _: open_drawn(cache=tmp_path), range(6)))
    frames = [engine.draw(pose(jaw=0.4)).pixels for engine in engines]
    assert all(np.array_equal(frames[0], frame) for frame in frames)
    assert [path.suffix for path in (tmp_path / "stages").iterdir()] == [".npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a stage"])
def test_a_damaged_cache_is_made_again(open_drawn: Open, tmp_path: Path, pose: Pose, damage: bytes) -> None:
    expected = open_drawn(cache=tmp_path).draw(pose()).pixels
    (entry,) = (tmp_path / "stages").iterdir()
    entry.write_bytes(damage)
    assert np.array_equal(open_drawn(cache=tmp_path).draw(pose()).pixels, expected)
    assert entry.stat().st_size > 10_000


def test_sizes_share_nothing_but_the_portrait(open_drawn: Open, pose: Pose) -> None:
    for size in ((256, 256), (270, 480), (854, 480), (64, 64), (1200, 90)):
        engine = open_drawn(size=size)
        assert engine.base is not None and engine.base.shape == (size[1], size[0], 3)
        engine.draw(pose(jaw=0.5, blink=0.5, yaw_deg=-4.0))


def test_a_portrait_of_another_picture_is_refused(open_drawn: Open, tmp_path: Path) -> None:
    record = json.loads((FIXTURES / "drawn.json").read_text())
    record["picture"]["sha256"] = "sha256:" + "0" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(record))
    face = PhotoFace(image=MediaRef(path=str(FIXTURES / "drawn.png")), portrait=MediaRef(path=str(other)))
    with pytest.raises(InvalidInput) as caught:
        open_drawn(face=face, cache=tmp_path / "cache")
    assert caught.value.code == "portrait.other_picture"


def test_a_missing_photo_is_named(open_drawn: Open, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_drawn(face=PhotoFace(image=MediaRef(path=str(tmp_path / "nobody.png"))), cache=tmp_path)
    assert caught.value.code == "picture.missing" and "nobody.png" in caught.value.message


def test_quality_warnings_reach_the_report(open_drawn: Open, tmp_path: Path) -> None:
    record = json.loads((FIXTURES / "drawn.json").read_text())
    record["warnings"] = ["portrait.glasses", "portrait.turned"]
    warned = tmp_path / "warned.json"
    warned.write_text(json.dumps(record))
    face = PhotoFace(image=MediaRef(path=str(FIXTURES / "drawn.png")), portrait=MediaRef(path=str(warned)))
    notices = open_drawn(face=face, cache=tmp_path / "cache").report().notices
    assert [notice.code for notice in notices] == ["portrait.glasses", "portrait.turned"]
    assert all(len(notice.message) > 20 for notice in notices)


def test_long_runs_keep_a_bounded_number_of_eyes(open_drawn: Open, pose: Pose) -> None:
    engine = open_drawn()
    for k in range(120):
        engine.draw(pose(blink=(k % 17) / 16, gaze_x=(k % 11) / 5 - 1, gaze_y=(k % 7) / 3 - 1))
    assert len(engine._eye_cache) <= 48


def test_the_engine_declares_itself() -> None:
    assert INFO.name == "mesh.photo" and INFO.licence == "Apache-2.0" and INFO.vram_mib == 0


@pytest.mark.parametrize(
    ("channel", "value", "point"),
    [("smile", 1.0, 61), ("lid", 1.0, 159), ("lid", -1.0, 159), ("brow_tilt", 1.0, 55)],
)
def test_a_mood_moves_its_own_part_of_a_photo_and_nothing_far_from_it(
    engine: PhotoEngine, mesh_stage: Stage, pose: Pose, whole: Whole, channel: str, value: float, point: int
) -> None:
    still, moved = (whole(engine, engine.draw(one)) for one in (pose(), pose(**{channel: value})))
    change = np.abs(moved.astype(int) - still).sum(axis=2)
    rows, columns = np.nonzero(change > 24)
    away = np.hypot(*(np.stack([columns, rows]) - mesh_stage.points[point, :2, None]))
    e = float(np.hypot(*(mesh_stage.points[33, :2] - mesh_stage.points[263, :2])))
    assert len(away) > 5 and away.min() < 0.12 * e
    # The other eye, brow or corner moves with it; mouth or eyes, chin and shoulders do not.
    assert np.abs(rows - mesh_stage.points[point, 1]).max() < 0.6 * e


def test_the_corners_of_a_smile_go_up_and_of_a_sad_mouth_down() -> None:
    rest = -0.2
    smiles = [MouthPose(smile=value).weights(rest)[7] for value in (-1.0, 0.0, 1.0)]
    assert smiles[0] < smiles[1] < smiles[2] and smiles[1] == pytest.approx(rest)
