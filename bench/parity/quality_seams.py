"""What shows of LatentSync's chunks where they meet: seam score and flicker, without overlap and with it.

    scripts/bench parity/quality_seams [--frames 40 --overlap 4]

Reduced networks of random weights, others for each seed, draw frames of a synthetic speaker whose head
sways and whose mouth opens and shuts: in one chunk, and in chunks that meet. Seam score: how much the
distance to the single chunk changes from one frame to the next, in levels of 255. Flicker: how far a frame
lies from the middle of its neighbours, against the single chunk at the same place. Both are of the aligned
face that the networks draw, and of the finished frames, in the part that they change; the largest value where
chunks meet (with an overlap: over all of it), and the largest elsewhere.
`tests/avatar/latentsync/test_clip.py` has the measures and holds them. `--overlap` adds a row for chunks that
share so many, of a number of frames that holds them evenly (40 for 4).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("avatar/src", "tests/avatar/parity", "tests/avatar/latentsync")
sys.path[:0] = [str(ROOT / part) for part in PARTS]

import latentsync_cases as cases  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.chunks import LENGTH, OVERLAP, plan_chunks  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from synthetic_speaker import speaker  # noqa: E402
from test_clip import (  # noqa: E402
    CUT,
    PLAN,
    SEAM_FRAMES,
    SETTINGS,
    Clip,
    flicker,
    seam_networks,
    seams,
    shots,
)

Values = npt.NDArray[np.float64]
HALF_LEVELS = 127.5
"""Faces lie in -1..1."""
WAYS = ((CUT, 0), (2 * CUT, 0), (LENGTH, OVERLAP))


@dataclass(frozen=True, slots=True)
class Made:
    """Drawn faces (frames, 3, side, side) and finished frames (frames, h, w, 3), in levels."""

    faces: Values
    frames: Values


@dataclass(frozen=True, slots=True)
class Score:
    """The largest where chunks meet, and elsewhere."""

    meeting: float
    elsewhere: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=SEAM_FRAMES)
    parser.add_argument("--overlap", type=int, metavar="N")
    given = parser.parse_args()
    torch.set_num_threads(2)
    ways = WAYS if given.overlap is None else (*WAYS, (LENGTH, given.overlap))
    found: dict[tuple[int, int], list[tuple[Score, ...]]] = {way: [] for way in ways}
    usual: list[float] = []
    for seed in range(1, given.seeds + 1):
        networks = networks_of(seed)
        whole = drawn(networks, seed, given.frames, given.frames, 0)
        usual.append(float(flicker(whole.faces).mean()))
        for way, rows in found.items():
            rows.append(scores(drawn(networks, seed, given.frames, *way), whole, *way))
        print(f"seed {seed} of {given.seeds}", file=sys.stderr, flush=True)
    moved = np.abs(np.diff(np.stack([speaker(n).astype(int) for n in range(given.frames)]), axis=0)).mean()
    print(
        f"{given.frames} frames, {SETTINGS.steps} steps, {given.seeds} seeds: mean (least to most). The head"
    )
    print(f"moves: frames change by {moved:.1f} levels on average, the one chunk's faces flicker by")
    print(f"{np.mean(usual):.2f} levels.\n")
    print("| chunks | of | seam where they meet | elsewhere | flicker where they meet | elsewhere |")
    print("|---|---|---|---|---|---|")
    for (length, overlap), rows in found.items():
        name = f"{length} that share {overlap}" if overlap else f"{length} without overlap"
        for number, part in enumerate(("faces", "frames")):
            cells = [
                spread(rows, 2 * number + kind, of)
                for kind in range(2)
                for of in (lambda score: score.meeting, lambda score: score.elsewhere)
            ]
            print(f"| {name} | {part} | {' | '.join(cells)} |")


def networks_of(seed: int) -> Networks:
    """Those of the tests with other weights, and places for all frames in one chunk."""
    networks: Networks = seam_networks()
    for number, network in enumerate((networks.unet, networks.vae)):
        cases.fill(network, 10 * seed + number)
    return networks


def drawn(networks: Networks, seed: int, frames: int, length: int, overlap: int) -> Made:
    faces: list[Values] = []

    class Watched(Clip):
        def _paste(self, shot: object, face: torch.Tensor) -> npt.NDArray[np.uint8]:
            faces.append(HALF_LEVELS * face.numpy().astype(np.float64))
            laid: npt.NDArray[np.uint8] = super()._paste(shot, face)
            return laid

    clip = Watched(networks, PLAN, replace(SETTINGS, length=length, overlap=overlap, seed=seed))
    pictures = [picture.astype(np.float64) for picture in clip.draw(shots(frames), frames)]
    return Made(np.stack(faces), np.stack(pictures))


def scores(made: Made, whole: Made, length: int, overlap: int) -> tuple[Score, ...]:
    """Seam and flicker of the faces, then of the frames."""
    filmed = np.stack([speaker(number) for number in range(len(whole.frames))])
    changed = np.abs(whole.frames - filmed).max(axis=(0, 3)) > 0
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    part = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found: list[Score] = []
    for ours, theirs in ((made.faces, whole.faces), (made.frames[part], whole.frames[part])):
        found.append(parted(seams(ours, theirs), meeting(len(ours), length, overlap, 1)))
        found.append(parted(flicker(ours) / flicker(theirs), meeting(len(ours), length, overlap, 2)))
    return tuple(found)


def parted(values: Values, where: npt.NDArray[np.bool_]) -> Score:
    return Score(float(values[where].max()), float(values[~where].max()))


def meeting(frames: int, length: int, overlap: int, order: int) -> npt.NDArray[np.bool_]:
    """Which differences in time of this order reach across where two chunks meet."""
    chunks = plan_chunks(frames, length, overlap)
    found = np.zeros(frames - order, bool)
    for before, after in pairwise(chunks):
        found[max(0, after.start - order) : before.stop] = True
    return found


def spread(rows: list[tuple[Score, ...]], number: int, of: Callable[[Score], float]) -> str:
    values = [of(row[number]) for row in rows]
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
