"""LivePortrait end to end, ours against the original, on one card with the same random weights.

    scripts/bench parity/race_liveportrait [--checkout PATH] [--frames 250]

Both begin with the same decoded photo, the same decoded driving frames and the same landmarks of each face,
for the detectors of the original are not free, and end with finished frames of the photo's size, 512 x 512
and 1920 x 1080: cutting out, motion, appearance, stitching, warping, generator and laying back are raced;
reading and writing of files is not. Each runs as it does by default: the original frame by frame under
autocast, ours in batches in fp16. A few frames warm both. Without a working tree of the original ours is
measured alone; `--small` runs reduced networks on the processor, to see that the program works.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import liveportrait as parity  # finds our packages
import numpy as np
import torch
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.engine import batch_of
from avatar.engines.liveportrait.filmed import DrivingFilm
from avatar.engines.liveportrait.poses import Manner, still_poses
from avatar.engines.liveportrait.reenactment import Reenactment
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.face.landmarks import Points
from liveportrait_cases import SMALL
from liveportrait_whole import HEIGHT, WIDTH, Pixels, landmarks
from race import device_for, race_parser, time_work

DRIVING_PX = 512
SOURCES = ((512, 512), (1920, 1080))
KINDS = 8
"""So many different driving frames, in turn."""
WARM_FRAMES = 16
Race = Callable[[int], Pixels]
"""Makes so many frames and gives the last, BGR."""


@dataclass(frozen=True)
class Cast:
    """The photo (h, w, 3), the driving frames (512, 512, 3), both BGR, and landmarks (478, 3) of each."""

    photo: Pixels
    photo_points: Points
    driving: list[Pixels]
    driving_points: list[Points]

    def film(self, frames: int) -> Iterator[tuple[Pixels, Points]]:
        for index in range(frames):
            yield self.driving[index % KINDS], self.driving_points[index % KINDS]


class FilmDouble:
    """Stands where our engine would decode a file and look for faces."""

    name = "the driving frames"

    def __init__(self, cast: Cast, frames: int) -> None:
        self._cast, self._frames = cast, frames

    def __len__(self) -> int:
        return self._frames

    def track(self, tracker: Any, index: int | None) -> Iterator[tuple[Pixels, Points | None]]:
        yield from self._cast.film(self._frames)

    def pictures(self) -> Iterator[Pixels]:
        return (picture for picture, _ in self._cast.film(self._frames))

    decode_ahead = pictures


def main() -> None:
    parser = race_parser(__doc__)
    parser.add_argument("--checkout", type=Path, metavar="PATH")
    parser.add_argument("--frames", type=int, default=250, metavar="N")
    options = parser.parse_args()
    if (device := device_for(options.small)) is None:
        return
    # As large as the original's pipeline has it; only the channels are fewer.
    sizes = replace(SMALL, picture_px=PUBLISHED.picture_px) if options.small else PUBLISHED
    casts = [cast_of(*size) for size in SOURCES]
    mine = race("ours", options.frames, casts, lambda cast: ours(sizes, device, cast))
    if options.checkout is None:
        print("ours / the original: not measured (no --checkout)")
        return
    parity.open_original(options.checkout)
    with tempfile.TemporaryDirectory() as folder:
        parity.write_checkpoints(Path(folder), sizes)
        theirs = race(
            "the original", options.frames, casts, lambda cast: original(Path(folder), sizes, device, cast)
        )
    for size, (rate, last), (their_rate, their_last) in zip(SOURCES, mine, theirs, strict=True):
        apart = np.abs(last.astype(int) - their_last.astype(int))
        print(f"ours / the original, {size_name(size)}: {rate / their_rate:.2f}", end="  ")
        print(f"(their last frames differ by {apart.mean():.3f} of 255 levels, at most {apart.max()})")


def cast_of(width: int, height: int) -> Cast:
    """Grain, in whose middle a face may be; another face that moves in the driving frames."""
    generator = np.random.default_rng(1)
    photo = generator.integers(0, 255, (height, width, 3), np.uint8)
    driving = list(generator.integers(0, 255, (KINDS, DRIVING_PX, DRIVING_PX, 3), np.uint8))
    points = [points_of("driving", index, DRIVING_PX, DRIVING_PX) for index in range(KINDS)]
    return Cast(photo, points_of("source", 0, width, height), driving, points)


def points_of(name: str, index: int, width: int, height: int) -> Points:
    """Landmarks in the middle of a picture, as high in it as in the cases of parity."""
    points = landmarks(name, index) * np.float32(height / HEIGHT)
    points[:, 0] += (width - WIDTH * height / HEIGHT) / 2
    return points


def race(
    name: str, frames: int, casts: list[Cast], open_race: Callable[[Cast], Race]
) -> list[tuple[float, Pixels]]:
    """Frames per second and the last frame for each cast; what was opened is let go before the next."""
    rows = []
    for size, cast in zip(SOURCES, casts, strict=True):
        run, last = open_race(cast), list[Pixels]()
        run(min(WARM_FRAMES, frames))

        def make_frames(run: Race = run, last: list[Pixels] = last) -> int:
            last.append(run(frames))
            return frames

        rows.append((time_work(f"{name}, {size_name(size)}", make_frames), last[0]))
        del run, make_frames
    return rows


def size_name(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def ours(sizes: Sizes, device: torch.device, cast: Cast) -> Race:
    """As `avatar reenact` does it: the driving frames are watched, then seen, drawn and laid in as one
    stream.
    """
    networks = copy.deepcopy(parity.networks_with_seeds(sizes))
    animator = Animator(networks, device, torch.float16 if device.type == "cuda" else torch.float32)
    batch = batch_of(animator)

    def race(frames: int) -> Pixels:
        film: Any = FilmDouble(cast, frames)
        nobody: Any = None
        watched = DrivingFilm.watch(film, nobody, lambda: None)
        drawing = Reenactment(animator, batch=batch)
        source = drawing.face_of(cast.photo, cast.photo_points)
        poses = still_poses(source, watched.faces(animator, batch), Manner())
        count = 0
        for picture in drawing.photo(cast.photo, source, poses):
            count, last = count + 1, picture
        if count != frames:
            raise RuntimeError(f"{count} frames in place of {frames}")
        return last

    return race


def original(folder: Path, sizes: Sizes, device: torch.device, cast: Cast) -> Race:
    """Its own `execute`; its checkpoints lie in `folder` and are read before the clock runs."""
    from published_liveportrait import open_run

    run = open_run(folder, sizes.output_px, card=device.type == "cuda")

    def race(frames: int) -> Pixels:
        filmed = list(cast.film(frames))
        rgb = [np.ascontiguousarray(picture[..., ::-1]) for picture in cast.driving]
        count = run(
            np.ascontiguousarray(cast.photo[..., ::-1]),
            cast.photo_points,
            [rgb[index % KINDS] for index in range(frames)],
            [points for _, points in filmed],
        )
        if len(count) != frames:
            raise RuntimeError(f"{len(count)} frames in place of {frames}")
        return np.asarray(count[-1][..., ::-1], np.uint8)

    return race


if __name__ == "__main__":
    main()
