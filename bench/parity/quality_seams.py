"""What shows of LatentSync's chunks where they meet: seam score and flicker, without overlap and with it.

    $(scripts/torch_environment)/bin/python bench/parity/quality_seams.py

Reduced networks of random weights draw forty frames of a synthetic speaker: in one chunk, in four of ten, and
in three as the engine makes them, of 16 that share four. `tests/avatar/latentsync/test_clip.py` has the
measures and holds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("avatar/src", "tests/avatar/parity", "tests/avatar/latentsync")
sys.path[:0] = [str(ROOT / part) for part in PARTS]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.chunks import LENGTH, OVERLAP  # noqa: E402
from test_clip import CUT, SEAM_FRAMES, faces, flicker, seam_networks, seams  # noqa: E402


def main() -> None:
    torch.set_num_threads(2)
    networks = seam_networks()
    whole = faces(networks, SEAM_FRAMES, length=SEAM_FRAMES, overlap=0)
    cut = faces(networks, SEAM_FRAMES, length=CUT, overlap=0)
    joined = faces(networks, SEAM_FRAMES, length=LENGTH, overlap=OVERLAP)
    borders = list(range(CUT - 1, SEAM_FRAMES - 1, CUT))
    usual = np.delete(seams(cut, whole), borders).max()
    for name, made in (
        (f"chunks of {CUT} without overlap", cut),
        (f"chunks of {LENGTH} that share {OVERLAP}", joined),
    ):
        seam = seams(made, whole).max() / usual
        flickers = (flicker(made) / flicker(whole)).max()
        print(f"{name}: seam score {seam:.2f} of the most elsewhere,")
        print(f"    flicker {flickers:.2f} of one chunk's")


if __name__ == "__main__":
    main()
