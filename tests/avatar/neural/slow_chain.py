"""The worker's program on small checkpoints with one stage slowed down, and all it computes written down;
what `avatar work` starts in the tests of stopped workers.

SLOW_STAGE: `portrait` or `mouth`, which after SLOW_AFTER parts lingers for SLOW_S in each piece of the next.
IN_TURN: the stages follow each other, as on a card that does not hold both. COMPUTED: the file to write down
what is done and what lingers, a line for each.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# The folder of this file, which Python puts first, would hide packages of the same name.
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]
sys.path.append(str(HERE))


def record_pieces(stage: str, owner: Any, whole: str, within: Any, piece: str) -> None:
    """`owner.whole` makes a part of `stage`, and `within.piece` a piece of it, or more of them."""
    make, make_piece = getattr(owner, whole), getattr(within, piece)
    done = 0

    def making(*arguments: Any, **more: Any) -> Any:
        nonlocal done
        result = make(*arguments, **more)
        done += 1
        note(f"{stage} done")
        return result

    def lingering(*arguments: Any, **more: Any) -> Any:
        if os.environ.get("SLOW_STAGE") == stage and done == int(os.environ["SLOW_AFTER"]):
            note(f"{stage} lingers")
            time.sleep(float(os.environ["SLOW_S"]))
        return make_piece(*arguments, **more)

    setattr(owner, whole, making)
    setattr(within, piece, lingering)


def note(line: str) -> None:
    with Path(os.environ["COMPUTED"]).open("a") as lines:
        lines.write(line + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from small_checkpoints import as_if_published

    as_if_published()
    import torch
    from avatar.cli.main import main
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.latentsync.sampler import Sampler
    from avatar.engines.latentsync.unet import LatentSyncUNet
    from avatar.engines.liveportrait.animator import Animator
    from avatar.engines.liveportrait.networks import SpectralConv2d
    from avatar.engines.neural import models
    from avatar.engines.neural.engine import NeuralFace

    torch.set_num_threads(1)
    settings = Settings(steps=2, side_px=64, length=10, overlap=2)
    models.mouth_settings = lambda _: settings
    record_pieces("portrait", Animator, "draw", SpectralConv2d, "forward")
    record_pieces("mouth", Sampler, "denoise", LatentSyncUNet, "forward_full")
    if os.environ.get("IN_TURN"):
        NeuralFace._fit_together = lambda _: False  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
