"""One person is followed through footage: small, lost, back again, and never mistaken for a bystander."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from avatar.face.follow import NARROW_SHARE, NEVER_CLOSE, FaceFollower
from avatar.face.landmarks import Picture
from avatar.face.tracker import FaceTracker
from scripted_people import BLUE, GREEN, RED, SIZE, ScriptedTracker, picture_of

SMALL, MIDDLE, LARGE = 48, 120, 260


def places(follower: FaceFollower, pictures: Iterable[Picture]) -> list[float | None]:
    """Returns the person's place from left to right, in every picture."""
    faces = [follower.next(picture) for picture in pictures]
    return [None if face is None else (face.box[0] + face.box[2]) / 2 for face in faces]


def follower_of(tracker: FaceTracker, index: int | None = None, *, least_eye_px: float = 0) -> FaceFollower:
    return FaceFollower(tracker, index, close_below=NARROW_SHARE, least_eye_px=least_eye_px)


def test_a_face_of_a_twentieth_of_the_picture_is_followed_and_searched_only_once() -> None:
    tracker = ScriptedTracker()
    assert tracker.track(picture_of((BLUE, 300, 200, SMALL))) == []
    tracker.looks.clear()
    steps = [300 + 6 * step for step in range(60)]
    found = places(follower_of(tracker), [picture_of((BLUE, x, 200, SMALL)) for x in steps])
    assert found == pytest.approx(steps, abs=1.5)
    assert sum(width == SIZE[0] for width in tracker.looks) <= 2 + 60 // 25
    assert sum(width < 3 * SMALL for width in tracker.looks) == 59


def test_a_large_face_costs_one_look_at_the_whole_picture_a_frame_even_while_it_is_lost() -> None:
    tracker = ScriptedTracker()
    people = [(BLUE, 400 + step, 270, LARGE) for step in range(10)]
    pictures = [*map(picture_of, people), *[picture_of()] * 60, *map(picture_of, people)]
    found = places(follower_of(tracker), pictures)
    assert found[:10] == found[70:] == pytest.approx([x for _, x, _, _ in people], abs=1)
    assert found[10:70] == [None] * 60
    assert tracker.looks == [SIZE[0]] * 80


def test_a_tracker_that_knows_the_place_is_only_shown_whole_pictures() -> None:
    tracker = ScriptedTracker()
    follower = FaceFollower(tracker, None, close_below=NEVER_CLOSE)
    pictures = [picture_of((BLUE, 400, 270, MIDDLE))] * 5 + [picture_of()] * 40
    assert places(follower, pictures) == [pytest.approx(400, abs=1)] * 5 + [None] * 40
    assert tracker.looks == [SIZE[0]] * 45


def test_who_was_alone_is_known_wherever_they_come_back_and_a_small_face_within_a_second() -> None:
    for size, wait in ((MIDDLE, 0), (SMALL, 25)):
        came = [picture_of((BLUE, 750, 350, size))] * 40
        found = places(
            follower_of(ScriptedTracker()), [picture_of((BLUE, 100, 150, size)), *[picture_of()] * 6, *came]
        )
        assert found[1:7] == [None] * 6
        assert found[7 + wait :] == pytest.approx([750] * (40 - wait), abs=2), size


def test_a_picture_in_which_nobody_is_yet_is_searched_closely_each_25_frames() -> None:
    tracker = ScriptedTracker()
    empty, there = [picture_of()] * 26, [picture_of((BLUE, 500, 200, SMALL))] * 30
    found = places(follower_of(tracker), [*empty, *there])
    assert found[:50] == [None] * 50 and None not in found[50:]
    assert len([width for width in tracker.looks[: len(empty)] if width != SIZE[0]]) > 0


@pytest.mark.parametrize("size", [SMALL, MIDDLE, 200])
def test_of_several_the_index_counts_from_the_left(size: int) -> None:
    trio = [(GREEN, 640, 200, size), (BLUE, 160, 260, size), (RED, 400, 300, size + 10)]
    for index, x in ((0, 160), (1, 400), (2, 640), (None, 400)):
        assert places(follower_of(ScriptedTracker(), index), [picture_of(*trio)] * 3) == pytest.approx(
            [x] * 3, abs=2
        )
    assert places(follower_of(ScriptedTracker(), 3), [picture_of(*trio)] * 3) == [None] * 3


@pytest.mark.parametrize("size", [SMALL, MIDDLE, 200])
def test_a_bystander_never_gets_the_mouth_of_who_has_left(size: int) -> None:
    """However long it takes; and the person is known when they come back on the other side."""

    def beside(step: int) -> tuple[int, float, float, int]:
        return (GREEN, 300 + 2.2 * size + 0.1 * size * np.sin(step / 9), 270, size)

    both = [picture_of((BLUE, 300, 270, size), beside(step)) for step in range(30)]
    alone = [picture_of(beside(step)) for step in range(30, 230)]
    back = [picture_of(beside(step), (BLUE, 130, 300, size)) for step in range(230, 290)]
    found = places(follower_of(ScriptedTracker(), 0), [*both, *alone, *back])
    assert found[:30] == pytest.approx([300] * 30, abs=2)
    assert found[30:230] == [None] * 200
    assert found[-1] == pytest.approx(130, abs=2)


def test_who_comes_in_later_is_no_more_the_speaker_than_who_was_there_at_first() -> None:
    speaker, guest = (BLUE, 200, 270, MIDDLE), (GREEN, 560, 270, MIDDLE)
    found = places(
        follower_of(ScriptedTracker()),
        [*[picture_of(speaker)] * 10, *[picture_of(speaker, guest)] * 40, *[picture_of(guest)] * 100],
    )
    assert None not in found[:50] and found[50:] == [None] * 100


def test_two_who_pass_each_other_keep_their_names() -> None:
    pictures = [
        picture_of((BLUE, 200 + 8 * n, 190, MIDDLE), (GREEN, 760 - 8 * n, 350, MIDDLE)) for n in range(70)
    ]
    assert places(follower_of(ScriptedTracker(), 0), pictures) == pytest.approx(
        [200 + 8 * n for n in range(70)], abs=2
    )
    assert places(follower_of(ScriptedTracker(), 1), pictures) == pytest.approx(
        [760 - 8 * n for n in range(70)], abs=2
    )


def test_a_face_with_too_few_pixels_does_not_count() -> None:
    picture = picture_of((BLUE, 200, 200, SMALL), (GREEN, 600, 200, 2 * SMALL))
    follower = follower_of(ScriptedTracker(), 0, least_eye_px=0.6 * SMALL + 5)
    assert places(follower, [picture] * 2) == pytest.approx([600] * 2, abs=2)


def test_a_person_filmed_from_the_waist_up_is_followed_lost_and_found_again(tracker: FaceTracker) -> None:
    """Eyes 34 pixels apart in 1280 x 720: too small for one look at the whole picture."""
    from clipmaker.person import load_person
    from clipmaker.scene import Stage

    stage = Stage(load_person("astronaut", 34), (1280, 720))

    def at(x: float, step: int) -> Picture:
        drawn: Picture = stage.draw(stage.person.pixels, yaw=6 * np.sin(step / 3), shift=(x, -200))
        return drawn

    first = [at(-350 + 4 * step, step) for step in range(12)]
    away = [np.ascontiguousarray(stage.background)] * 8
    back = [at(300, step) for step in range(30)]
    assert not any(tracker.track(picture) for picture in (first[0], back[0]))
    follower = follower_of(tracker, least_eye_px=16)
    faces = [follower.next(picture) for picture in (*first, *away, *back)]
    seen = [None if face is None else face.box[0] + face.box[2] for face in faces]
    assert None not in seen[:12] and seen[12:20] == [None] * 8
    assert None not in seen[45:], "searched for each 25 frames"
    for face in (*faces[:12], *faces[45:]):
        assert face is not None and 29 < face.eye_distance_px < 39
    assert (seen[11] - seen[0]) / 2 == pytest.approx(44, abs=6)
    assert (seen[48] - seen[0]) / 2 == pytest.approx(650, abs=6)
