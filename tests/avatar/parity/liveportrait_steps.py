"""The steps of our LivePortrait that are compared with the original, with crops of the published 512 pixels:
pictures and the points of the faces in them, and our results.

`bench/parity/steps_liveportrait.py` runs the original on them and keeps figures; the tests run ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from avatar.engines.liveportrait import reenactment
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.filmed import DrivingFilm
from avatar.engines.liveportrait.motion_values import Pose
from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.paste import Matrix
from avatar.engines.liveportrait.poses import Manner, SourceFace, still_poses
from avatar.engines.liveportrait.reenactment import Reenactment, openings_of
from avatar.face.anchors import liveportrait_crop
from avatar.face.landmarks import Points
from liveportrait_cases import NETWORKS, STEP_SIZES, weights_of_network
from liveportrait_whole import Pixels, as_cut, landmarks, paste_onto
from seeded import Array, noise

CROP_PX = STEP_SIZES.output_px
WIDTH, HEIGHT = 640, 480
PLACES = (
    (0.0, 2.2, (320, 240)),
    (0.1, 1.5, (200, 200)),
    (-0.4, 2.0, (400, 300)),
    (1.2, 2.6, (300, 250)),
    (0.02, 3.0, (90, 80)),
    (0.01, 2.1, (560, 400)),
)
"""Turn in radians, size and centre of a face in the picture; the last two reach out of it."""
KINDS = ("grain", "plain")


@dataclass(frozen=True)
class Run:
    """Numbers of source and driving pictures."""

    sources: tuple[int, ...]
    driving: tuple[int, ...]

    @property
    def filmed(self) -> bool:
        return len(self.sources) > 1


RUNS = {"photo": Run((0,), (10, 11)), "film": Run((1, 5), (12, 13))}
MANNER = Manner(shut_lips=False)


def picture(index: int, kind: str = "grain") -> Pixels:
    """RGB (480, 640, 3): smooth colour with some grain, or plain squares with hard edges."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    if kind == "plain":
        squares = 20 + 200 * (((x + 7 * index) // 40 + y // 40) % 2)
        return np.repeat(squares[..., None], 3, axis=2).astype(np.uint8)
    waves = [np.sin(x / (17 + 4 * c) + y / (23 - 3 * c) + index / (3 + c)) for c in range(3)]
    grain = 8 * noise(f"step {index}", (HEIGHT, WIDTH, 3))
    return np.asarray(np.clip(128 + 90 * np.stack(waves, axis=-1) + grain, 0, 255), np.uint8)


def points(index: int) -> Points:
    """Landmarks (478, 3) of the face in picture `index`."""
    angle, size, centre = PLACES[index % len(PLACES)] if index < len(PLACES) else (0.05, 2.4, (310, 230))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placed = landmarks("step", index)
    placed[:, :2] = size * (placed[:, :2] - np.array([100, 80])) @ turn.T + np.array(centre)
    return placed


def corners_apart(ours: Matrix, theirs: Array) -> float:
    """Returns how far apart two matrices place the picture's corners, in pixels of the crop."""
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [WIDTH, HEIGHT, 1], [0, HEIGHT, 1]]).T
    return float(np.abs((ours - theirs.astype(np.float64)) @ corners).max())


def our_place(index: int) -> Matrix:
    return liveportrait_crop(points(index)).matrix(CROP_PX)


def face() -> Pixels:
    """A drawn face (512, 512, 3) that needs no network."""
    drawn = cv2.resize(noise("drawn face", (64, 64, 3)), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(128 + 60 * drawn, 0, 255), np.uint8)


def networks_of_seed() -> Networks:
    networks = Networks(STEP_SIZES)
    for network in NETWORKS:
        module = getattr(networks, network)
        shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        values = weights_of_network(network, shapes)
        module.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in values.items()})
    return networks


@dataclass(frozen=True)
class Place:
    """Stands for a `CropFrame` where the original's own matrix is to be used."""

    pixels: Array

    def matrix(self, size_px: int) -> Matrix:
        return self.pixels.astype(np.float64)


class FilmDouble:
    """Stands where the engine would decode a file and look for faces."""

    name = "the driving frames"

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def track(self, tracker: Any, index: int | None) -> Iterator[tuple[Pixels, Points | None]]:
        for number in self._numbers:
            yield bgr(picture(number)), points(number)

    def pictures(self) -> Iterator[Pixels]:
        return (shown for shown, _ in self.track(None, None))

    decode_ahead = pictures


def bgr(rgb: Pixels) -> Pixels:
    return np.ascontiguousarray(rgb[..., ::-1])


def our_film(numbers: Sequence[int]) -> DrivingFilm:
    film: Any = FilmDouble(numbers)
    nobody: Any = None
    return DrivingFilm.watch(film, nobody, lambda: None)


class WatchedAnimator(Animator):
    """Keeps what it drew: keypoints (2, 21, 3) and pictures RGB 0..1 (3, 512, 512)."""

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, torch.device("cpu"), torch.float32)
        self.keypoints: list[Array] = []
        self.rendered: list[Array] = []

    def place(self, poses: Sequence[Pose]) -> Any:
        placed = super().place(poses)
        self.keypoints += list(torch.stack(placed, dim=1).numpy())
        return placed

    def tensor_of(self, volume: Any, poses: Sequence[Pose]) -> Any:
        drawn = super().tensor_of(volume, poses)
        self.rendered += list(drawn.numpy())
        return drawn


@dataclass
class Result:
    """keypoints (frames, 2, 21, 3); made (frames, 3, 512, 512) RGB 0..1; frames: RGB, as the engine gives
    them.
    """

    keypoints: Array
    rendered: Array
    frames: Pixels
    sources: list[Matrix] = field(default_factory=list)


def ours(run: Run, networks: Networks, sources: Sequence[Array] = (), driving: Array | None = None) -> Result:
    """The run by the engine itself, from pictures and points to finished frames. `sources`, `driving`: the
    original's places of the faces, where they are not to be our own.
    """
    animator = WatchedAnimator(networks)
    film = our_film(run.driving)
    if driving is not None:
        place: Any = Place(driving)
        film = replace(film, frame=place)
    places = [matrix.astype(np.float64) for matrix in sources] or [our_place(i) for i in run.sources]
    drawing = Reenactment(animator, batch=1)
    faces = film.faces(animator, 1)
    if run.filmed:
        pixels = iter(places)
        real = reenactment.liveportrait_crop
        always: Any = lambda _: Place(next(pixels))  # noqa: E731
        vars(reenactment)["liveportrait_crop"] = always
        try:
            shown = ((bgr(picture(number)), points(number)) for number in run.sources)
            frames = list(drawing.video(shown, faces, MANNER))
        finally:
            vars(reenactment)["liveportrait_crop"] = real
    else:
        photo, number = bgr(picture(run.sources[0])), run.sources[0]
        motion = animator.motions([drawing._small(photo, places[0])])[0]
        source = SourceFace(motion, openings_of(points(number)), places[0])
        frames = list(drawing.photo(photo, source, still_poses(source, faces, MANNER)))
    return Result(
        np.stack(animator.keypoints), np.stack(animator.rendered), np.stack(frames)[..., ::-1], places
    )


def paste_as_cut(run: Run, rendered: Array, places: Sequence[Matrix]) -> Array:
    """Finished frames before they are cut to levels, of drawn faces that are cut as the original does it."""
    whole = []
    for index, drawn in enumerate(rendered):
        source = index if run.filmed else 0
        whole.append(paste_onto(picture(run.sources[source]), as_cut(drawn), places[source]))
    return np.stack(whole)
