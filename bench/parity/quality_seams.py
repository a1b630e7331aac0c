"""What shows of LatentSync's chunks where they meet: seam score and flicker, without overlap and with it.

    $(scripts/torch_environment)/bin/python bench/parity/quality_seams.py

Reduced networks of random weights draw twenty frames of a synthetic speaker: in one chunk, in two of ten, and
in chunks of twelve that share four. `tests/avatar/latentsync/test_clip.py` has the measures and holds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("avatar/src", "tests/avatar/parity", "tests/avatar/latentsync")
sys.path[:0] = [str(ROOT / part) for part in PARTS]

import latentsync_cases as cases  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from test_clip import faces, flicker, seams  # noqa: E402

FRAMES, BORDER = 20, 9


def main() -> None:
    torch.set_num_threads(2)
    networks = Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae())
    whole = faces(networks, FRAMES, length=FRAMES, overlap=0)
    cut = faces(networks, FRAMES, length=10, overlap=0)
    joined = faces(networks, FRAMES, length=12, overlap=4)
    usual = np.delete(seams(cut, whole), BORDER).max()
    for name, made in (("without overlap", cut), ("four frames shared", joined)):
        seam = seams(made, whole).max() / usual
        flickers = (flicker(made) / flicker(whole)).max()
        print(f"{name}: seam score {seam:.2f} of the most elsewhere,")
        print(f"    flicker {flickers:.2f} of one chunk's")


if __name__ == "__main__":
    main()
