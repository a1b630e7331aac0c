"""A driving video is watched once, and a few numbers of each frame are kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.liveportrait.filmed import DrivingFilm  # noqa: E402
from avatar.errors import InvalidInput  # noqa: E402

PICTURE = np.zeros((120, 160, 3), np.uint8)


class Filmed:
    """Stands in for a video: a face that moves a little in every frame, and is away in some."""

    name = "drive.mp4"

    def __init__(self, frames: int, away: set[int] | None = None) -> None:
        self.frames, self.away = frames, away or set()

    def __len__(self) -> int:
        return self.frames

    def pictures(self) -> Iterator[Any]:
        return (PICTURE for _ in range(self.frames))

    decode_ahead = pictures

    def points(self, number: int) -> Any:
        points = np.random.default_rng(number).uniform(30, 90, (478, 3)).astype(np.float32)
        return None if number in self.away else points

    def track(self, tracker: Any, index: int | None) -> Iterator[Any]:
        return ((PICTURE, self.points(number)) for number in range(self.frames))


class Still:
    """An animator's door, which tells only how many crops it was given."""

    side_px = 8
    networks = SimpleNamespace(sizes=SimpleNamespace(output_px=16))

    def motions(self, crops: list[Any]) -> list[Any]:
        return list(range(len(crops)))


def watch_film(film: Filmed) -> DrivingFilm:
    as_film: Any = film
    return DrivingFilm.watch(as_film, as_film, lambda: None)


def test_a_lost_face_holds_what_it_did_and_at_the_start_does_what_comes_next() -> None:
    from avatar.engines.liveportrait.reenactment import openings_of

    film = Filmed(7, away={0, 3, 4})
    driving = watch_film(film)
    assert driving.lost == [0, 3, 4]
    animator: Any = Still()
    faces = list(driving.faces(animator, 2))
    assert len(faces) == 7
    for number, shown in enumerate([1, 1, 2, 2, 2, 5, 6]):
        expected, found = openings_of(film.points(shown)), faces[number].openings
        assert found is not None
        assert found.eyes.dtype == np.float32
        np.testing.assert_array_equal(found.eyes, np.asarray(expected.eyes, np.float32))
        assert found.lips == expected.lips


def test_a_driving_video_without_a_face_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        watch_film(Filmed(3, away={0, 1, 2}))
    assert refused.value.code == "face.not_found"


def test_a_minute_that_was_watched_takes_less_than_a_hundred_kilobytes() -> None:
    minute = Filmed(1500)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        driving = watch_film(minute)
        memory_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(driving.found) == 1500
    assert memory_bytes < 100_000
