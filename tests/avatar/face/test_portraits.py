"""Portraits: the right face is chosen and measured steadily, the file is whole, bad input is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.face.landmarks import FaceLandmarks
from avatar.face.portrait import (
    WARNINGS,
    Portrait,
    load_portrait,
    prepare_portrait,
    save_portrait,
)
from avatar.face.search import choose_face, find_faces
from avatar.face.tracker import FaceTracker
from avatar.spec.base import sha256_of

HASH = "sha256:" + "5" * 64


@pytest.fixture(scope="module")
def hopper_portrait(hopper: np.ndarray, tracker: FaceTracker) -> Portrait:
    return prepare_portrait(hopper, HASH, tracker=tracker)


def code_of(image: np.ndarray, tracker: FaceTracker, index: int | None = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        prepare_portrait(image, HASH, face_index=index, tracker=tracker)
    assert caught.value.hint
    return caught.value.code


def test_measuring_twice_gives_the_same(
    hopper: np.ndarray, hopper_portrait: Portrait, tracker: FaceTracker
) -> None:
    again = prepare_portrait(hopper, HASH, tracker=tracker)
    assert np.array_equal(again.face.points, hopper_portrait.face.points)
    assert np.array_equal(again.mask, hopper_portrait.mask)


def test_a_portrait_is_steadier_than_one_look(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    def spread(faces: list[FaceLandmarks]) -> float:
        points = np.stack([face.points[:, :2] - np.array([k, k]) for k, face in enumerate(faces)])
        return float(points.std(axis=0).mean())

    pictures = [np.roll(astronaut, (k, k), axis=(0, 1)) for k in range(4)]
    looks = [tracker.track(picture)[0] for picture in pictures]
    portraits = [prepare_portrait(picture, HASH, tracker=tracker).face for picture in pictures]
    assert spread(portraits) < 0.7 * spread(looks)


class ShakyTracker:
    """The real tracker with a hand that shakes: each look is off by a few pixels, some by many."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker, self._random = tracker, np.random.default_rng(4)

    def track(self, image_bgr: np.ndarray) -> list[FaceLandmarks]:
        found = self._tracker.track(image_bgr)
        off = float(self._random.normal(0, 3) if self._random.random() < 0.8 else 60)
        return [face.shift(off, -off) for face in found]

    def close(self) -> None:
        pass


def test_one_wrong_look_does_not_spoil_the_portrait(
    hopper: np.ndarray, hopper_portrait: Portrait, tracker: FaceTracker
) -> None:
    shaken = prepare_portrait(hopper, HASH, tracker=ShakyTracker(tracker)).face.points
    assert np.abs(shaken - hopper_portrait.face.points).mean() < 3


def test_people_far_beside_are_not_part_of_the_person(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    wide = np.full((512, 1500, 3), 200, np.uint8)
    wide[:, :512] = astronaut
    wide[100:330, 1250:1460] = cv2.resize(astronaut[30:260, 120:330], (210, 230))
    portrait = prepare_portrait(wide, HASH, face_index=0, tracker=tracker)
    mask = portrait.mask_for_picture()
    assert mask[130, 225] > 0.95 and mask[200, 1200:].max() == 0


def test_it_survives_the_file(hopper_portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "made" / "portrait.json"
    save_portrait(hopper_portrait, path)
    loaded = load_portrait(path)
    assert np.abs(loaded.face.points - hopper_portrait.face.points).max() < 0.001
    assert np.array_equal(loaded.mask, hopper_portrait.mask)
    assert (loaded.width, loaded.height, loaded.picture_sha256) == (512, 600, HASH)
    assert loaded.warnings == hopper_portrait.warnings
    assert loaded.mask_for_picture().shape == (600, 512)
    assert list(path.parent.iterdir()) == [path]


def test_many_may_write_one_portrait_at_once(hopper_portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "portrait.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: save_portrait(hopper_portrait, path), range(16)))
    load_portrait(path)
    assert list(tmp_path.iterdir()) == [path]


def test_warnings_say_what_will_show(
    astronaut: np.ndarray, hopper_portrait: Portrait, tracker: FaceTracker
) -> None:
    smiling = prepare_portrait(astronaut, HASH, tracker=tracker)
    assert "portrait.teeth_showing" in smiling.warnings and "portrait.small_face" in smiling.warnings
    assert "portrait.glasses" not in smiling.warnings
    assert hopper_portrait.warnings == ("portrait.glasses",)
    assert set(smiling.warnings) <= set(WARNINGS)


def test_a_tilted_dark_or_blurred_face_is_warned_of(hopper: np.ndarray, tracker: FaceTracker) -> None:
    turn = cv2.getRotationMatrix2D((256, 230), 16, 1)
    tilted = cv2.warpAffine(hopper, turn, (512, 600), borderMode=cv2.BORDER_REFLECT)
    assert "portrait.tilted" in prepare_portrait(tilted, HASH, tracker=tracker).warnings
    dark = (hopper * 0.25).astype(np.uint8)
    assert "portrait.dark" in prepare_portrait(dark, HASH, tracker=tracker).warnings
    blurred = cv2.GaussianBlur(hopper, (0, 0), 6)
    assert "portrait.blurry" in prepare_portrait(blurred, HASH, tracker=tracker).warnings


def test_a_cut_out_picture_brings_its_own_mask(hopper: np.ndarray, tracker: FaceTracker) -> None:
    alpha = np.zeros(hopper.shape[:2], np.uint8)
    alpha[100:, 120:400] = 255
    portrait = prepare_portrait(np.dstack([hopper, alpha]), HASH, tracker=tracker)
    assert np.array_equal(portrait.mask, alpha)


def test_all_twenty_faces_are_found_and_counted_from_the_left(
    crowd: np.ndarray, tracker: FaceTracker
) -> None:
    faces = find_faces(crowd, tracker)
    assert len(faces) == 20
    lefts = [face.box[0] for face in faces]
    assert lefts == sorted(lefts)


def test_of_twenty_faces_the_largest_or_the_asked_one_is_taken(
    crowd: np.ndarray, tracker: FaceTracker
) -> None:
    largest = prepare_portrait(crowd, HASH, tracker=tracker).face
    assert 420 < largest.box[0] < 630 and 200 < largest.box[1] < 400
    first = prepare_portrait(crowd, HASH, face_index=0, tracker=tracker).face
    assert first.box[2] < 210


def test_an_index_beyond_the_faces_is_named(
    crowd: np.ndarray, hopper: np.ndarray, tracker: FaceTracker
) -> None:
    assert code_of(crowd, tracker, 20) == "face.index_out_of_range"
    assert code_of(hopper, tracker, 1) == "face.index_out_of_range"


def test_no_face_is_named(tracker: FaceTracker) -> None:
    wall = np.random.default_rng(3).integers(90, 140, (300, 400, 3), dtype=np.uint8)
    assert code_of(wall, tracker) == "face.not_found"
    with pytest.raises(InvalidInput, match=r"face\.not_found"):
        choose_face([], 0)


def test_a_20_pixel_face_is_too_small(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    scale = 22 / 92
    small = cv2.resize(astronaut[30:230, 120:330], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((480, 640, 3), 190, np.uint8)
    picture[200 : 200 + small.shape[0], 300 : 300 + small.shape[1]] = small
    assert code_of(picture, tracker) == "face.too_small"


def test_a_face_in_an_8000_pixel_photo_is_measured_in_its_pixels(
    hopper: np.ndarray, tracker: FaceTracker
) -> None:
    large = cv2.resize(hopper, None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
    portrait = prepare_portrait(large, HASH, tracker=tracker)
    assert portrait.face.eye_distance_px == pytest.approx(6 * 118.7, rel=0.03)
    assert max(portrait.mask.shape) == 1024


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r | {"face": r["face"] | {"landmarks": r["face"]["landmarks"][:-1]}},
        lambda r: r | {"face": r["face"] | {"landmarks": "many"}},
        lambda r: r | {"mask_png": "???"},
        lambda r: r | {"mask_png": "AAAA"},
        lambda r: {key: value for key, value in r.items() if key != "picture"},
        lambda r: [r],
        lambda r: "portrait",
    ],
)
def test_a_damaged_portrait_is_named(hopper_portrait: Portrait, tmp_path: Path, change) -> None:
    path = tmp_path / "portrait.json"
    save_portrait(hopper_portrait, path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InvalidInput, match=r"portrait\.unreadable"):
        load_portrait(path)


def test_other_files_and_formats_are_named(hopper_portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "portrait.json"
    save_portrait(hopper_portrait, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    with pytest.raises(InvalidInput, match=r"portrait\.wrong_version"):
        load_portrait(path)
    path.write_bytes(b"\xff\xd8 a photo")
    for wrong in (path, tmp_path / "missing.json"):
        with pytest.raises(InvalidInput, match=r"portrait\.unreadable"):
            load_portrait(wrong)


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_a_picture_on_its_side_or_head_is_turned_upright(
    request: pytest.FixtureRequest, tracker: FaceTracker, name: str, turns: int
) -> None:
    upright = request.getfixturevalue(name)
    straight = prepare_portrait(upright, HASH, tracker=tracker)
    lying = prepare_portrait(np.ascontiguousarray(np.rot90(upright, turns)), HASH, tracker=tracker)
    assert (straight.turns, lying.turns) == (0, turns)
    assert (lying.height, lying.width) == upright.shape[:2]
    assert np.abs(lying.face.points[:, :2] - straight.face.points[:, :2]).max() < 1
    assert lying.mask.shape == straight.mask.shape
    (portrait_notice,) = [notice for notice in lying.notices() if notice.code == "portrait.rotated"]
    assert str(90 * turns) in portrait_notice.message
    assert "portrait.rotated" not in {notice.code for notice in straight.notices()}


def test_a_small_face_in_a_large_picture_is_turned_too(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    wide = np.full((700, 1000, 3), 200, np.uint8)
    wide[100:612, 300:812] = astronaut
    assert prepare_portrait(wide, HASH, tracker=tracker).turns == 0
    assert prepare_portrait(np.ascontiguousarray(np.rot90(wide)), HASH, tracker=tracker).turns == 1


def test_of_several_faces_it_is_said_how_many_and_which_was_taken(
    astronaut: np.ndarray, hopper: np.ndarray, tracker: FaceTracker
) -> None:
    both = np.full((600, 1024, 3), 200, np.uint8)
    both[:512, :512] = astronaut
    both[:, 512:] = hopper
    (portrait_notice,) = [
        notice
        for notice in prepare_portrait(both, HASH, tracker=tracker).notices()
        if notice.code == "face.several"
    ]
    assert (
        "2 faces" in portrait_notice.message
        and "number 2 from the left (face_index 1)" in portrait_notice.message
    )
    named = prepare_portrait(both, HASH, face_index=0, tracker=tracker)
    assert "face.several" not in {notice.code for notice in named.notices()}
    assert named.face.box[2] < 512


def test_half_a_face_is_warned_of(hopper: np.ndarray, tracker: FaceTracker) -> None:
    half = np.ascontiguousarray(hopper[:, :285])
    assert "portrait.half_face" in prepare_portrait(half, HASH, tracker=tracker).warnings


def test_what_an_older_program_prepared_is_read(hopper_portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "portrait.json"
    save_portrait(hopper_portrait, path)
    record = json.loads(path.read_text())
    for key in ("turns", "faces", "chosen"):
        del record[key]
    path.write_text(json.dumps(record))
    assert (load_portrait(path).turns, load_portrait(path).notices()) == (0, hopper_portrait.notices())
